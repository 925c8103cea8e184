"""How often the gate cries wolf, and how often it finds what is there, under noise that was recorded.

``python -m campaigns.gate_noise [RUN ...] [--pairs 1000] [--table docs/results/gate-noise.md]`` takes stored
runs, resamples their own round-to-round noise into pairs of runs of ten rounds, and sends each pair the way
of ``greenbench gate``: compare, then judge. Prints a table; status 1 where a promise is broken.

A cell's residuals are the logarithms of its round means about their own middle, widened by sqrt(n / (n - 1))
since few rounds lie closer to their own middle than to the truth. The residuals of a run's cells are pooled;
joules and seconds of one round are drawn together, so that what moves both still does.
"""

import argparse
import math
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from greenbench.core.trial import Trial
from greenbench.report.comparison import Side, compare, open_side
from greenbench.report.contrast import round_means
from greenbench.report.gate import Outcome, gate
from greenbench.report.measure import joules_per_sample, seconds_per_sample

LIMIT = 0.05
ROUNDS = 10
WORSE = 1.10
CV_FLOOR = 0.015
"""Smallest coefficient of variation of a cell's rounds under which the promises are asked for."""

MOST_FALSE_ALARMS, MOST_INCONCLUSIVE, FEWEST_FOUND = 0.01, 0.05, 0.95
RESULTS = Path("docs/results")
_FEWEST_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Residuals of one run's round means, of all its cells together.

    Attributes:
        energy: Of the logarithm of J/sample, shape (residuals,); empty where no energy was measured.
        time: Of the logarithm of seconds per sample, of the same rounds.
        cells: Trials of each cell that has them, by cell_id.
    """

    energy: np.ndarray
    time: np.ndarray
    cells: Mapping[str, Trial]

    @property
    def recorded_cv(self) -> tuple[float | None, float]:
        """Standard deviation of joules and of seconds on logarithms: a coefficient of variation."""
        return (_spread(self.energy) if self.energy.size else None, _spread(self.time))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What many pairs came to.

    Attributes:
        run: Whose noise.
        what: What was made worse.
        cv: Coefficient of variation of joules (None without) and of seconds, as resampled.
        outcomes: How many pairs ended how.
    """

    run: str
    what: str
    cv: tuple[float | None, float]
    outcomes: Counter[Outcome]

    def share(self, outcome: Outcome) -> float:
        """Return the share of the pairs that ended so."""
        return self.outcomes[outcome] / self.outcomes.total()


def _spread(values: np.ndarray) -> float:
    return math.sqrt(float(np.mean(values**2)))


def noise_of(trials: Iterable[Trial]) -> Noise:
    """Take the residuals of a run's cells; cells of one round have none.

    Args:
        trials: Last attempts of one run.

    Raises:
        SystemExit: No cell has two rounds.
    """
    own: dict[str, list[Trial]] = {}
    for trial in trials:
        own.setdefault(trial.cell_id, []).append(trial)
    found = {cell: _residuals(some) for cell, some in own.items()}
    kept = {cell: pair for cell, pair in found.items() if len(pair[1])}
    if not kept:
        raise SystemExit("no cell of the run has two rounds that count: no noise to resample")
    energies, times = zip(*kept.values(), strict=True)
    with_energy = all(len(one) for one in energies)
    return Noise(
        energy=np.concatenate(energies) if with_energy else np.empty(0),
        time=np.concatenate(times),
        cells={cell: next(trial for trial in own[cell] if trial.samples) for cell in kept},
    )


def _residuals(trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
    joules, seconds = (round_means(trials, value) for value in (joules_per_sample, seconds_per_sample))
    rounds = sorted(joules.keys() & seconds.keys()) if joules else sorted(seconds)
    if len(rounds) < _FEWEST_ROUNDS:
        return np.empty(0), np.empty(0)
    widened = math.sqrt(len(rounds) / (len(rounds) - 1))
    logs = [np.log([means[number] for number in rounds]) for means in (joules, seconds) if means]
    residuals = [widened * (values - values.mean()) for values in logs]
    return (residuals[0] if joules else np.empty(0)), residuals[-1]


def at_least(noise: Noise, cv: float) -> Noise:
    """Return the noise widened where its coefficient of variation is below `cv`; never narrowed."""
    energy, time = (
        values * max(1.0, cv / _spread(values)) if values.size and _spread(values) else values
        for values in (noise.energy, noise.time)
    )
    return replace(noise, energy=energy, time=time)


def resampled(
    noise: Noise, generator: np.random.Generator, *, worse: Mapping[tuple[str, str], float] | None = None
) -> tuple[Trial, ...]:
    """Return the trials of a run of ten rounds.

    Args:
        noise: Where residuals are drawn from.
        generator: Of chance.
        worse: (cell_id, ``energy`` or ``time``) -> factor by which it truly costs more.
    """
    factors = worse or {}
    return tuple(
        _trial(cell, noise, int(at), number, factors)
        for cell in noise.cells.values()
        for number, at in enumerate(generator.integers(len(noise.time), size=ROUNDS), start=1)
    )


def _trial(
    cell: Trial, noise: Noise, at: int, number: int, factors: Mapping[tuple[str, str], float]
) -> Trial:
    joules, rate = cell.energy_j_per_sample, cell.throughput_samples_per_s
    assert rate is not None
    slower = factors.get((cell.cell_id, "time"), 1.0) * math.exp(noise.time[at])
    if joules is not None and noise.energy.size:
        joules *= factors.get((cell.cell_id, "energy"), 1.0) * math.exp(noise.energy[at])
    load_id = f"r{number:02d}.{cell.cell_id}"
    return replace(
        cell,
        load_id=load_id,
        trial_id=f"{load_id}.a1.w1",
        round=number,
        window=1,
        attempt=1,
        energy_j_per_sample=joules if noise.energy.size else None,
        throughput_samples_per_s=rate / slower,
    )


def outcomes(side: Side, noise: Noise, *, what: str, pairs: int, seed: int = 1) -> Counter[Outcome]:
    """Send pairs of resampled runs through the gate.

    Args:
        side: The run that was recorded, as `greenbench gate` opens it.
        noise: Of it.
        what: ``""``, ``energy`` or ``time``: what costs 10% more in one cell of the new run, drawn
            anew for each pair.
        pairs: How many.
        seed: Of all chance.
    """
    generator = np.random.default_rng(seed)
    names = list(noise.cells)
    found: Counter[Outcome] = Counter()
    for _ in range(pairs):
        worse = {(names[generator.integers(len(names))], what): WORSE} if what else None
        before = replace(side, label="before", trials=resampled(noise, generator))
        # Another folder: rounds of two runs are no pairs.
        after = replace(
            side, label="after", folder=side.folder / "new", trials=resampled(noise, generator, worse=worse)
        )
        found[gate(compare(before, after), limit=LIMIT).outcome] += 1
    return found


def rows_of(run: Path, *, pairs: int, levels: Sequence[float]) -> Iterator[Row]:
    """Yield what the gate says of equal pairs and of pairs that differ, at each level of noise."""
    side = open_side(str(run), run.parent)
    recorded = noise_of(side.trials)
    for level in levels:
        noise = at_least(recorded, level)
        for what in ("", "energy", "time") if noise.energy.size else ("", "time"):
            found = outcomes(side, noise, what=what, pairs=pairs)
            yield Row(run=run.name, what=what, cv=noise.recorded_cv, outcomes=found)


def broken(row: Row) -> list[str]:
    """Return which promises a row breaks; none is made of noise that was recorded wider than the floor."""
    if max(value for value in row.cv if value is not None) > CV_FLOOR * (1 + 1e-9):
        return []
    if row.what:
        short = row.share(Outcome.REGRESSED) < FEWEST_FOUND
        return [f"{row.run}: a true 10% of {row.what} is found too seldom"] if short else []
    said = []
    if row.share(Outcome.REGRESSED) > MOST_FALSE_ALARMS:
        said.append(f"{row.run}: too many false alarms")
    if row.share(Outcome.INCONCLUSIVE) > MOST_INCONCLUSIVE:
        said.append(f"{row.run}: too often inconclusive")
    return said + ([f"{row.run}: pairs were refused"] if row.outcomes[Outcome.INVALID] else [])


def table_of(rows: Iterable[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| noise of | CV of joules | CV of seconds | new run | pairs | regressed | inconclusive | pass |",
        "|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        cvs = [_percent(value) for value in row.cv]
        counts = [row.outcomes[kind] for kind in (Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.PASS)]
        what = f"10% more {row.what} in one cell" if row.what else "the same"
        cells = [f"`{row.run}`", *cvs, what, row.outcomes.total(), *counts]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _head(runs: Sequence[Path], pairs: int) -> str:
    host = f"{os.cpu_count()} CPUs, {platform.platform()}"
    recorded = [(run, noise_of(open_side(str(run), run.parent).trials)) for run in runs]
    lines = [
        f"- `{run.name}`: {len(noise.cells)} cells, {len(noise.time)} residuals; recorded CV of joules "
        f"{_percent(noise.recorded_cv[0])}, of seconds {_percent(noise.recorded_cv[1])}"
        for run, noise in recorded
    ]
    return "\n".join([
        "# The gate under recorded noise", "",
        f"`make gate-noise`, {pairs:,} pairs a row, {datetime.now(UTC):%Y-%m-%d}, computed on {host}.",
        "", "Noise of:", "",
        *lines, "",
    ])  # fmt: skip


def main() -> int:
    """Resample, judge, print; return 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--levels", type=float, nargs="+", default=[CV_FLOOR, 0.02, 0.025])
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    runs = given.runs or [RESULTS / name for name in ("h100-compile-batch64-2026-11-23", "h100-2026-11-23")]
    rows = [row for run in runs for row in rows_of(run, pairs=given.pairs, levels=given.levels)]
    text = f"{_head(runs, given.pairs)}\n{table_of(rows)}\n"
    print(text)
    if given.table:
        given.table.write_text(text)
    said = [sentence for row in rows for sentence in broken(row)]
    print("\n".join(said) or "every promise held", file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
