"""The columns of the result table, and which of them a width has room for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenbench.core.doubt import Verdict
from greenbench.core.units import mebibytes_from_bytes, milliseconds_from_seconds
from greenbench.report.numbers import ABSENT, figure, with_interval
from greenbench.report.visible import visible
from greenbench.results.cells import CellSummary, Estimate

GAP = 2
"""Spaces between two columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: Its header, one word a line.
        cell: What it shows of a cell: lines that are never cut.
        right: Whether it is flush right, as figures are.
    """

    name: str
    cell: Callable[[CellSummary], str]
    right: bool = True

    def width(self, cells: Sequence[CellSummary]) -> int:
        """Return how wide its widest line is, the header included."""
        texts = [self.name, *(visible(self.cell(cell)) for cell in cells)]
        return max(len(line) for text in texts for line in text.splitlines())


def _mean(estimate: Estimate | None) -> str:
    return figure(estimate.mean) if estimate else ABSENT


def _latency(cell: CellSummary) -> str:
    p50 = cell.latency_p50_s
    return figure(milliseconds_from_seconds(p50.mean)) if p50 else ABSENT


def _memory(cell: CellSummary) -> str:
    return ABSENT if cell.memory_peak_b is None else f"{mebibytes_from_bytes(cell.memory_peak_b):.0f}"


def _verdict(cell: CellSummary) -> str:
    total = sum(cell.verdicts.values())
    good = cell.verdicts.get(Verdict.VALID, 0)
    if cell.verdict is Verdict.DOUBTFUL:
        return f"{cell.verdict} {total - good}/{total}"
    return str(cell.verdict)


def layouts(marks: dict[str, str], *, sign: str) -> tuple[tuple[Column, ...], ...]:
    """Return the sets of columns, from the richest to the poorest.

    Args:
        marks: cell_id -> ``cheapest`` or ``fastest``.
        sign: How plus-minus is written on this terminal.
    """

    def energy(cell: CellSummary) -> str:
        cost = cell.energy_j_per_sample
        return with_interval(cost.mean, cost.u95, sign=sign) if cost else ABSENT

    def verdict(joint: str) -> Callable[[CellSummary], str]:
        return lambda cell: joint.join(filter(None, (_verdict(cell), marks.get(cell.cell_id))))

    def name(joint: str) -> Callable[[CellSummary], str]:
        source = f"{joint}from "
        return lambda cell: (
            f"{cell.runtime}{joint}{cell.mode}" + (f"{source}{cell.source}" if cell.source else "")
        )

    figures = (
        Column(name="samples\n/s", cell=lambda cell: _mean(cell.throughput_samples_per_s)),
        Column(name="p50\nms", cell=_latency),
        Column(name="J\n/sample", cell=energy),
        Column(name="CPU s\n/sample", cell=lambda cell: _mean(cell.cpu_s_per_sample)),
        Column(name="memory\nMiB", cell=_memory),
        Column(name="rounds", cell=lambda cell: str(cell.rounds)),
    )
    wide = (
        Column(name="runtime", cell=name(" "), right=False),
        Column(name="verdict", cell=verdict(", "), right=False),
    )
    narrow = (
        Column(name="runtime", cell=name("\n"), right=False),
        Column(name="verdict", cell=verdict("\n"), right=False),
    )
    kept = [figures, figures[:5], figures[:4], figures[:3], (figures[0], figures[2])]
    return (
        (wide[0], *figures, wide[1]),
        (wide[0], *figures, narrow[1]),
        *((narrow[0], *some, narrow[1]) for some in kept),
    )


def fitting(
    choices: Sequence[tuple[Column, ...]], cells: Sequence[CellSummary], width: int
) -> tuple[Column, ...] | None:
    """Return the richest set of columns that fits without cutting; None where none does."""
    for columns in choices:
        if sum(column.width(cells) for column in columns) + GAP * (len(columns) - 1) <= width:
            return columns
    return None
