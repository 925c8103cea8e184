"""One cell against itself: how often an interval of the difference holds 0, and how far apart the two are.

`python -m campaigns.aa_pairs [--env RUNTIME=PYTHON]` on a host with an NVIDIA GPU, after `greenbench up
pytorch`. Both sides of a pair are the same cell; each has ``--rounds`` windows, in the order AB BA AB BA, and
the ratio of B to A and its 95% interval come from the code that compares two cells of a run. Promised:
of 20 pairs at least 17 intervals hold 0, and the median difference is below 0.5%.

With ``--kept FILE.json`` every pair is kept when it ends, and the same command goes on after the last: the
GPU may be lent for minutes. ``--pairs-per-load 1`` starts a fresh process for each pair; by default
all share one, and differ by what windows of one process differ by.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from campaigns.held_load import HeldLoad, add_options, cell_of, held_load, instruments_of, options_of
from greenbench.bench.context import open_context
from greenbench.core.reading import Domain
from greenbench.energy.window import Window
from greenbench.report.contrast import contrast

PAIRS, ROUNDS, WINDOW_S = 20, 4, 2.0
HOLD_SHARE = 17 / 20
"""Smallest share of intervals that hold 0."""

DIFFERENCE = 0.005
"""Largest median of the relative differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One comparison of a cell with itself.

    Attributes:
        difference: B against A, relative and signed.
        low: Lower end of its 95% interval.
        high: Upper end.
        joules_a: Joules per iteration of A's windows.
        joules_b: Joules per iteration of B's.
        load: Which process it was measured in, from 1.
        over_power: Counter over integrated instant power of all windows as they were measured, None where a
            window has none: where joules scatter and this does not, the board's power did.
    """

    difference: float
    low: float
    high: float
    joules_a: tuple[float, ...]
    joules_b: tuple[float, ...]
    load: int
    over_power: tuple[float | None, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0 <= self.high


def sides(rounds: int) -> str:
    """Return whose each window is: AB, BA, AB ... so that a steady drift cancels."""
    return "".join("AB" if number % 2 == 0 else "BA" for number in range(rounds))


def pair_of(windows: Sequence[Window], *, load: int) -> Pair:
    """Compare the windows of the two sides, taken in the order of `sides`."""
    order = sides(len(windows) // 2)
    of_side: dict[str, dict[int, float]] = {"A": {}, "B": {}}
    for side, window in zip(order, windows, strict=True):
        of_side[side][len(of_side[side])] = _joules_per_iteration(window)
    found = contrast(of_side["A"], of_side["B"], paired=True)
    if found is None or found.low is None or found.high is None:
        raise SystemExit(f"{len(windows)} windows make no interval; take --rounds 2 or more")
    return Pair(
        difference=found.ratio - 1,
        low=found.low - 1,
        high=found.high - 1,
        joules_a=tuple(of_side["A"].values()),
        joules_b=tuple(of_side["B"].values()),
        load=load,
        over_power=tuple(window.counter_over_integral for window in windows),
    )


def _joules_per_iteration(window: Window) -> float:
    found = window.energy.get(Domain.GPU)
    if found is None:
        raise SystemExit(f"a window has no joules of the GPU: {window.absent}")
    return found.joules / window.iterations


def measure(
    load: Callable[[int], AbstractContextManager[HeldLoad]],
    *,
    done: Sequence[Pair],
    pairs: int,
    per_load: int,
    rounds: int,
    window_s: float,
) -> Iterator[Pair]:
    """Yield each pair that is not done yet.

    Args:
        load: Starts the load of a number.
        done: Pairs of an earlier session.
        pairs: How many there are to be in all.
        per_load: After so many pairs a fresh load is started.
        rounds: Windows of each side of a pair.
        window_s: Length of each.
    """
    left, number = pairs - len(done), max((pair.load for pair in done), default=0)
    while left > 0:
        number += 1
        with load(number) as held:
            for _ in range(min(left, per_load)):
                yield pair_of(held.measure(held.lay_out(2 * rounds, window_s)), load=number)
                left -= 1


def summary(pairs: Sequence[Pair], facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept: the facts, the two figures, the pairs."""
    held = sum(pair.holds for pair in pairs)
    middle = median(abs(pair.difference) for pair in pairs)
    return {
        **facts,
        "hold_zero": held,
        "median_difference": middle,
        "as_promised": held >= HOLD_SHARE * len(pairs) and middle < DIFFERENCE,
        "pairs": [asdict(pair) for pair in pairs],
    }


def read_kept(path: Path | None, protocol: dict[str, Any]) -> list[Pair]:
    """Return the pairs of earlier sessions; ends the program where they were measured otherwise."""
    if path is None or not path.exists():
        return []
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["protocol"] != protocol:
        raise SystemExit(
            f"{path} holds pairs of {kept['protocol']}, asked is {protocol}; name another --kept"
        )
    listed = ("joules_a", "joules_b", "over_power")
    return [Pair(**pair | {name: tuple(pair.get(name, ())) for name in listed}) for pair in kept["pairs"]]


def table(kept: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    head = [
        "# The same cell twice",
        "",
        *_told(kept),
        "",
        "| pair | load | difference | 95% interval | holds 0 |",
    ]
    rows = [
        f"| {number} | {pair['load']} | {pair['difference']:+.3%} "
        f"| {pair['low']:+.3%} to {pair['high']:+.3%} "
        f"| {'yes' if pair['low'] <= 0 <= pair['high'] else '**no**'} |"
        for number, pair in enumerate(kept["pairs"], 1)
    ]
    return "\n".join([*head, "|---|---|---|---|---|", *rows]) + "\n"


def _told(kept: dict[str, Any]) -> tuple[str, ...]:
    protocol, pairs = kept["protocol"], kept["pairs"]
    loads = len({pair["load"] for pair in pairs})
    each = f"{protocol['rounds']} windows of {protocol['window_s']:g} s"
    held = f"{kept['hold_zero']} of {len(pairs)} intervals hold 0 (at least {HOLD_SHARE:.0%})"
    middle = f"the median difference is {kept['median_difference']:.3%} (below {DIFFERENCE:.1%})"
    return (
        f"`{kept['command']}`, {kept['date']}, {protocol['gpu']}.",
        f"{protocol['cell']}: {len(pairs)} pairs in {loads} load(s); a side is {each}, joules per iteration.",
        "",
        f"{held}, {middle}; as promised: {'yes' if kept['as_promised'] else '**no**'}.",
        *_scatter(pairs),
    )


def _scatter(pairs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say how much single windows scatter, and how much of that is not the board's power."""
    of_windows = [relative_scatter([*pair["joules_a"], *pair["joules_b"]]) for pair in pairs]
    text = f"Windows of a pair scatter by {median(of_windows):.2%} in the median (standard deviation)"
    known = [[one for one in pair.get("over_power", ()) if one is not None] for pair in pairs]
    if all(len(values) > 1 for values in known):
        text += f", counter over the power between its edges by {median(map(relative_scatter, known)):.2%}"
    yield f"{text}."


def relative_scatter(values: Sequence[float]) -> float:
    """Return the standard deviation of some values over their mean; 0 of a single one."""
    return stdev(values) / mean(values) if len(values) > 1 else 0.0


def keep(path: Path | None, kept: dict[str, Any]) -> None:
    """Keep the figures as JSON, and the table beside them."""
    if path:
        partial_path = path.with_suffix(".partial")
        partial_path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        partial_path.replace(path)
        path.with_suffix(".md").write_text(table(kept), encoding="utf-8")


def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    with open_context(options_of(asked)) as context:
        gpu = context.meters.facts["gpu"]
        instruments = instruments_of(context.meters, context.state.calibration)
        cell = cell_of(context, runtime=asked.runtime, model=asked.model, batch_size=asked.batch_size)
        protocol = {
            "gpu": f"{gpu['name']}, driver {gpu['driver']}",
            "cell": cell.cell_id,
            "rounds": asked.rounds,
            "window_s": asked.window_s,
        }

        def load(number: int) -> AbstractContextManager[HeldLoad]:
            return held_load(context, cell, instruments, seed=asked.seed + number)

        return measure_and_keep(load, protocol, asked)


def measure_and_keep(
    load: Callable[[int], AbstractContextManager[HeldLoad]],
    protocol: dict[str, Any],
    asked: argparse.Namespace,
) -> dict[str, Any]:
    """Measure what is left of the pairs, keeping each when it ends, and return what all came to."""
    pairs = read_kept(asked.kept, protocol)
    facts = {
        "command": f"python -m campaigns.aa_pairs --pairs {asked.pairs} --rounds {asked.rounds} "
        f"--window-s {asked.window_s:g} --pairs-per-load {asked.pairs_per_load}",
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "protocol": protocol,
    }
    lengths = {"rounds": asked.rounds, "window_s": asked.window_s}
    found = measure(load, done=tuple(pairs), pairs=asked.pairs, per_load=asked.pairs_per_load, **lengths)
    for pair in found:
        pairs.append(pair)
        keep(asked.kept, summary(pairs, facts))
        print(f"pair {len(pairs)} of {asked.pairs}: {pair.difference:+.3%}", file=sys.stderr, flush=True)
    return summary(pairs, facts)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="windows of each side of a pair")
    parser.add_argument("--window-s", type=float, default=WINDOW_S)
    parser.add_argument("--pairs-per-load", type=int, default=PAIRS)
    parser.add_argument("--kept", type=Path, help="JSON file; the table goes beside it, a second run goes on")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; returns 1 where the result is not as promised."""
    kept = _measured(parsed(arguments))
    sys.stdout.write(table(kept))
    return 0 if kept["as_promised"] else 1


if __name__ == "__main__":
    sys.exit(main())
