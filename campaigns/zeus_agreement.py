"""Joules of ZeusMonitor and of greenbench over the same stamps of one load that runs on.

`python -m campaigns.zeus_agreement --zeus-python ENVIRONMENT/bin/python [--env RUNTIME=PYTHON]` on a host
with an NVIDIA GPU, after `greenbench up pytorch`. Prints a Markdown table; with ``--kept FILE.json`` keeps
the figures there and the table beside it. Status 1 where the median difference is not below 0.5%.

Zeus reads the counter at the asked stamps, wherever those fall between two of its changes, so its
figure is off by up to a step at each edge. greenbench's window lies between the two changes after them.
Over Zeus's own stamps greenbench's energy is its window's mean power times their distance: the
stamps and the window differ by a sensor period at most, and the load is steady.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from campaigns.held_load import HeldLoad, add_options, cell_of, held_load, instruments_of, options_of
from greenbench.bench.context import open_context
from greenbench.bench.timeline import Asked
from greenbench.core.reading import Domain
from greenbench.core.units import seconds_from_ns
from greenbench.energy.window import Window

AGREEMENT = 0.005
"""Largest median of the relative differences."""

WINDOWS, WINDOW_S = 20, 20.0
END_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One window of both.

    Attributes:
        zeus_j: Zeus's joules.
        zeus_s: Between Zeus's two stamps, seconds.
        window_j: Joules of greenbench's own window.
        window_s: Its length, seconds.
        edge_u95_j: Half its 95% interval, joules; None where unknown.
    """

    zeus_j: float
    zeus_s: float
    window_j: float
    window_s: float
    edge_u95_j: float | None

    @property
    def same_stamps_j(self) -> float:
        """Joules of greenbench over Zeus's stamps."""
        return self.window_j / self.window_s * self.zeus_s

    @property
    def difference(self) -> float:
        """Zeus's joules against greenbench's over the same stamps, relative and signed."""
        return self.zeus_j / self.same_stamps_j - 1


class ZeusSide:
    """The other process; one window after the other is handed to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.version = str(self._answer()["zeus"])

    def hand(self, asked: Sequence[Asked]) -> None:
        """Hand windows over without waiting for them."""
        if self._process.stdin:
            self._process.stdin.writelines(json.dumps(asdict(window)) + "\n" for window in asked)
            self._process.stdin.flush()

    def answers(self, count: int) -> list[dict[str, Any]]:
        """Return what was measured, in order; waits for it."""
        return [self._answer() for _ in range(count)]

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("Zeus's process ended; what it said is above. Is zeus==0.16.0 in --zeus-python?")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def zeus_side(command: Sequence[str]) -> Iterator[ZeusSide]:
    """Start Zeus's process and end it."""
    # Zeus numbers GPUs as CUDA shows them; without this variable as NVML does.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield ZeusSide(process)
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def compare(held: HeldLoad, zeus: ZeusSide, *, windows: int, window_s: float) -> tuple[Row, ...]:
    """Measure the same stamps with both."""
    asked = held.lay_out(windows, window_s)
    zeus.hand(asked)
    cut = held.measure(asked)
    return tuple(_row(window, answer) for window, answer in zip(cut, zeus.answers(windows), strict=True))


def _row(window: Window, answer: dict[str, Any]) -> Row:
    found = window.energy.get(Domain.GPU)
    if found is None:
        raise SystemExit(f"a window has no joules of the GPU: {window.absent}")
    return Row(
        zeus_j=answer["joules"],
        zeus_s=seconds_from_ns(answer["end_ns"] - answer["begin_ns"]),
        window_j=found.joules,
        window_s=window.duration_s,
        edge_u95_j=found.edge_u95_j,
    )


def summary(rows: Sequence[Row], facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept: the facts, the two figures, the windows."""
    differences = [abs(row.difference) for row in rows]
    return {
        **facts,
        "median_difference": median(differences),
        "worst_difference": max(differences),
        "agrees": median(differences) < AGREEMENT,
        "windows": [asdict(row) | {"difference": row.difference} for row in rows],
    }


def table(kept: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    columns = ("window", "stamps, s", "Zeus, J", "greenbench, J", "difference", "greenbench's own window")
    rows = [
        f"| {number} | {row['zeus_s']:.3f} | {row['zeus_j']:.1f} "
        f"| {row['window_j'] / row['window_s'] * row['zeus_s']:.1f} | {row['difference']:+.3%} "
        f"| {row['window_j']:.1f} J{_half_interval(row['edge_u95_j'])} in {row['window_s']:.3f} s |"
        for number, row in enumerate(kept["windows"], 1)
    ]
    head = ["# ZeusMonitor and greenbench over the same stamps", "", *_told(kept), ""]
    return "\n".join([*head, f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows]) + "\n"


def _half_interval(joules: float | None) -> str:
    return ", interval unknown," if joules is None else f" +- {joules:.1f}"


def _told(kept: dict[str, Any]) -> tuple[str, ...]:
    warm = "" if kept["steady"] else "; the warm-up reached its cap"
    period = f"counter period {kept['sensor_period_s'] * 1e3:.1f} ms"
    found = f"median {kept['median_difference']:.3%}, worst {kept['worst_difference']:.3%}"
    agrees = "yes" if kept["agrees"] else "**no**"
    return (
        f"`{kept['command']}`, {kept['date']}, {kept['gpu']}, zeus {kept['zeus']}.",
        f"{kept['cell']}, {len(kept['windows'])} windows under one run, {period}{warm}.",
        "",
        f"Relative difference: {found}; median below {AGREEMENT:.1%}: {agrees}.",
    )


def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    with open_context(options_of(asked)) as context:
        gpu = context.meters.facts["gpu"]
        instruments = instruments_of(context.meters, context.state.calibration)
        cell = cell_of(context, runtime=asked.runtime, model=asked.model, batch_size=asked.batch_size)
        script = Path(__file__).with_name("zeus_side.py")
        with (
            zeus_side([asked.zeus_python, str(script), str(gpu["index"])]) as zeus,
            held_load(context, cell, instruments, seed=asked.seed) as held,
        ):
            rows = compare(held, zeus, windows=asked.windows, window_s=asked.window_s)
            facts = {
                "command": f"python -m campaigns.zeus_agreement --windows {asked.windows} "
                f"--window-s {asked.window_s:g}",
                "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
                "gpu": f"{gpu['name']}, driver {gpu['driver']}",
                "zeus": zeus.version,
                "cell": cell.cell_id,
                "sensor_period_s": instruments.sensor_period_s,
                "steady": held.steady,
            }
    return summary(rows, facts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; returns 1 where the two do not agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--zeus-python", default=sys.executable, help="of an environment with zeus==0.16.0")
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--window-s", type=float, default=WINDOW_S)
    parser.add_argument("--kept", type=Path, help="JSON file; the table goes beside it")
    asked = parser.parse_args(arguments)
    kept = _measured(asked)
    sys.stdout.write(table(kept))
    if asked.kept:
        asked.kept.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        asked.kept.with_suffix(".md").write_text(table(kept), encoding="utf-8")
    return 0 if kept["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
