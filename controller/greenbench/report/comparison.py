"""Two runs, or two selections of a run, cell by cell; what cannot be compared is refused with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from greenbench.core.doubt import Verdict
from greenbench.core.errors import ConfigurationError
from greenbench.core.trial import Trial
from greenbench.core.units import megahertz_from_hertz
from greenbench.report.contrast import Contrast, contrast, round_means
from greenbench.report.measure import joules_per_sample, seconds_per_sample
from greenbench.results.cells import last_attempts
from greenbench.results.manifest import Manifest
from greenbench.results.runs import find_run
from greenbench.results.stored import StoredRun

KEYS = (
    "runtime", "mode", "source", "model", "precision", "batch_size", "sequence_length", "weights",
    "weights_from", "path", "io", "device", "threads",
)  # fmt: skip
_WITH = {"runtime": ("mode", "source"), "mode": ("source",)}
"""Keys that have other values wherever this one has: choosing by it leaves them open too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison.

    Attributes:
        label: As the user named it.
        folder: Of the run.
        manifest: Of the run.
        chosen: Key -> value that its trials have.
        trials: Last attempts that have them.
    """

    label: str
    folder: Path
    manifest: Manifest
    chosen: Mapping[str, str]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """One cell of both sides.

    Attributes:
        cell: What both have in common, and A's name where all is.
        a: cell_id on side A.
        b: cell_id on side B.
        energy: J/sample of B over A; None where it was not measured on both.
        time: Seconds per sample of B over A; None where no trial of a side counts.
        refused: Why the two cannot be compared; empty where they can.
        energy_sides: How many of the two have joules, 0 to 2.
    """

    cell: str
    a: str
    b: str
    energy: Contrast | None
    time: Contrast | None
    refused: tuple[str, ...]
    energy_sides: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides, cell by cell.

    Attributes:
        a: Label of the side that is 1.
        b: Label of the other.
        cells: That both have.
        only_a: Cells without a partner.
        only_b: Cells without a partner.
    """

    a: str
    b: str
    cells: tuple[CellComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def open_side(text: str, out: Path) -> Side:
    """Return the trials that ``RUN`` or ``RUN:KEY=VALUE,...`` names.

    Args:
        text: A run's id or folder, with a selection or without.
        out: Parent of the folders of runs.

    Raises:
        ConfigurationError: No such run, an unknown key, or nothing has these values.
        DamagedResultsError: The run cannot be read.
    """
    head, colon, tail = text.rpartition(":")
    name, chosen = (head, _selection(tail)) if colon and "=" in tail else (text, {})
    folder = find_run(name, out)
    run = StoredRun(folder)
    trials = tuple(
        trial
        for trial in last_attempts(run.final_trials())
        if all(str(getattr(trial, key)) == value for key, value in chosen.items())
    )
    if not trials:
        raise ConfigurationError(f"{text}: no trial of {folder.name} is of that kind")
    return Side(label=text, folder=folder, manifest=run.manifest(), chosen=chosen, trials=trials)


def _selection(text: str) -> dict[str, str]:
    chosen = dict(item.partition("=")[::2] for item in text.split(","))
    unknown = [key for key in chosen if key not in KEYS]
    if unknown:
        raise ConfigurationError(f"{unknown[0]} cannot be chosen by; a selection knows {', '.join(KEYS)}")
    return chosen


def compare(a: Side, b: Side, *, anyway: bool = False) -> Comparison:
    """Compare the cells that two sides share.

    Args:
        a: The side that is 1.
        b: The other.
        anyway: Give the figures of what is refused too; the reasons stay.

    Raises:
        ConfigurationError: Several cells of a side fit one of the other; names them.
    """
    open_keys = {key for side in (a, b) for key in side.chosen}
    open_keys |= {other for key in open_keys for other in _WITH.get(key, ())}
    ours, theirs = _by_cell(a, open_keys), _by_cell(b, open_keys)
    reasons, same_run = unlike(a.manifest, b.manifest), a.folder.resolve() == b.folder.resolve()
    cells = tuple(
        _compared(
            key,
            ours[key],
            theirs[key],
            reasons,
            paired=same_run,
            anyway=anyway,
        )
        for key in ours
        if key in theirs
    )
    return Comparison(
        a=a.label,
        b=b.label,
        cells=cells,
        only_a=tuple(found[0].cell_id for key, found in ours.items() if key not in theirs),
        only_b=tuple(found[0].cell_id for key, found in theirs.items() if key not in ours),
    )


def _by_cell(side: Side, open_keys: set[str]) -> dict[str, list[Trial]]:
    cells: dict[str, list[Trial]] = {}
    for trial in side.trials:
        common = [f"{key}={getattr(trial, key)}" for key in KEYS if key not in open_keys]
        cells.setdefault(" ".join(item for item in common if not item.endswith("=None")), []).append(trial)
    for trials in cells.values():
        names = list(dict.fromkeys(trial.cell_id for trial in trials))
        if len(names) > 1:
            raise ConfigurationError(
                f"{side.label} leaves open which is meant: {', '.join(names)}; add mode=... or source=..."
            )
    return cells


def unlike(a: Manifest, b: Manifest) -> tuple[str, ...]:
    """Return what differs between two runs as a whole, so that their figures cannot be compared."""
    gpus = [_several(own.gpu.name if own.gpu else "no GPU" for own in one.measured_on) for one in (a, b)]
    hosts = [_several(own.host.get("cpu_model") for own in one.measured_on) for one in (a, b)]
    found = [f"other GPUs: {gpus[0]} and {gpus[1]}"] if gpus[0] != gpus[1] else []
    if "cpu" in {a.device, b.device} and hosts[0] != hosts[1]:
        found.append(f"other processors: {hosts[0]} and {hosts[1]}")
    return tuple(found)


def _several(values: Iterable[object]) -> str:
    return " and ".join(dict.fromkeys(map(str, values)))


CLOCKS = 0.03
"""Mean SM clocks that differ by more than this share were not run at like clocks."""


def _compared(
    key: str, a: list[Trial], b: list[Trial], reasons: tuple[str, ...], *, paired: bool, anyway: bool
) -> CellComparison:
    refused = (*reasons, *_refusals(a, b, same_run=paired))
    told = anyway or not refused
    energies = (round_means(a, joules_per_sample), round_means(b, joules_per_sample))
    times = (round_means(a, seconds_per_sample), round_means(b, seconds_per_sample))
    return CellComparison(
        cell=key,
        a=a[0].cell_id,
        b=b[0].cell_id,
        energy=contrast(*energies, paired=paired) if told else None,
        time=contrast(*times, paired=paired) if told else None,
        refused=refused,
        energy_sides=sum(map(bool, energies)),
    )


def _refusals(a: list[Trial], b: list[Trial], *, same_run: bool) -> tuple[str, ...]:
    found = [
        f"other {name}: {before} and {after}"
        # Rounds of two hosts are no pairs, and two boards of one model differ.
        for name, column in (
            ("energy scopes", "energy_scope"),
            ("precisions", "precision"),
            ("hosts", "host_id"),
        )
        if (before := _one(a, column)) != (after := _one(b, column))
    ]
    clocks = [_mean(side, "sm_clock_mean_hz") for side in (a, b)]
    # Inside a run a runtime's own clocks are part of what it costs.
    if not same_run and clocks[0] and clocks[1] and abs(clocks[1] / clocks[0] - 1) > CLOCKS:
        before_mhz, after_mhz = megahertz_from_hertz(clocks[0]), megahertz_from_hertz(clocks[1])
        found.append(f"other clocks: {before_mhz:.0f} and {after_mhz:.0f} MHz")
    return tuple(found)


def _counting(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL}]


def _one(trials: list[Trial], column: str) -> str:
    return ", ".join(sorted({str(getattr(trial, column)) for trial in _counting(trials) or trials}))


def _mean(trials: list[Trial], column: str) -> float | None:
    values = [value for trial in _counting(trials) if (value := getattr(trial, column)) is not None]
    return fmean(values) if values else None
