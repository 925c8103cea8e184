"""A gate for pipelines: passes or fails on intervals of joules and of seconds, never on a point."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from greenbench.report.comparison import CellComparison, Comparison
from greenbench.report.contrast import Contrast


class Outcome(StrEnum):
    """What a gate says; the worst of its cells."""

    PASS = "pass"  # noqa: S105 - not a password
    INCONCLUSIVE = "inconclusive"
    REGRESSED = "regressed"
    INVALID = "invalid"


EXIT_STATUS = {Outcome.PASS: 0, Outcome.REGRESSED: 1, Outcome.INCONCLUSIVE: 3, Outcome.INVALID: 4}
ENERGY, TIME = "energy", "time"
_WORST = (Outcome.INVALID, Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.PASS)
_WHY_NO_ENERGY = (
    "",
    "energy was measured on one side only",
    "energy was measured on both sides, but in no round of both",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedCell:
    """One quantity of one cell at the gate.

    Attributes:
        cell: Its name.
        quantity: ``energy`` (J/sample) or ``time`` (seconds per sample).
        contrast: New over baseline; None where nothing could be compared.
        outcome: Of this quantity of this cell.
        reason: In words.
    """

    cell: str
    quantity: str
    contrast: Contrast | None
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the gate says.

    Attributes:
        outcome: The worst of the cells.
        limit: Largest share by which a cell may cost more.
        cells: Energy, then time, one by one, and the baseline's cells that the new run lacks.
    """

    outcome: Outcome
    limit: float
    cells: tuple[GatedCell, ...]


def gate(comparison: Comparison, *, limit: float) -> Gate:
    """Judge a new run (B) by a baseline (A).

    Each cell is judged twice, by joules where a side has any and by seconds: it has regressed where the
    whole 95% interval of one of them lies above the limit and passes where none of either does.

    Args:
        comparison: Of the baseline with the new run.
        limit: Largest share by which a cell may cost more.
    """
    cells = tuple(found for cell in comparison.cells for found in _judged(cell, limit))
    cells += tuple(_invalid(name, ENERGY, "the new run does not have it") for name in comparison.only_a)
    outcome = next((kind for kind in _WORST if any(cell.outcome is kind for cell in cells)), Outcome.INVALID)
    return Gate(outcome=outcome, limit=limit, cells=cells)


def _judged(cell: CellComparison, limit: float) -> Iterator[GatedCell]:
    if cell.energy is None and cell.time is None:
        reason = "; ".join(cell.refused) or "no valid or doubtful trial on both sides"
        yield _invalid(cell.b, ENERGY, reason)
        return
    if cell.energy or cell.energy_sides:
        yield _by_interval(cell.b, ENERGY, cell.energy, limit, why_none=_WHY_NO_ENERGY[cell.energy_sides])
    yield _by_interval(cell.b, TIME, cell.time, limit, why_none="no time on both sides")


def _invalid(cell: str, quantity: str, reason: str) -> GatedCell:
    return GatedCell(cell=cell, quantity=quantity, contrast=None, outcome=Outcome.INVALID, reason=reason)


def _by_interval(
    cell: str, quantity: str, found: Contrast | None, limit: float, *, why_none: str
) -> GatedCell:
    if found is None:
        return _invalid(cell, quantity, why_none)
    outcome, reason = _outcome(found, limit)
    return GatedCell(cell=cell, quantity=quantity, contrast=found, outcome=outcome, reason=reason)


def _outcome(found: Contrast, limit: float) -> tuple[Outcome, str]:
    if found.low is None or found.high is None:
        return Outcome.INCONCLUSIVE, "one round has no interval; measure more rounds"
    if found.low > 1 + limit:
        return Outcome.REGRESSED, f"all of the interval is above +{100 * limit:g}%"
    if found.high <= 1 + limit:
        return Outcome.PASS, "none of the interval is above the limit"
    return Outcome.INCONCLUSIVE, "the interval holds the limit; measure more rounds"
