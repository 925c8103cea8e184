"""A gate for pipelines: passes or fails on an interval, never on a point."""

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
_WORST = (Outcome.INVALID, Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedCell:
    """One cell at the gate.

    Attributes:
        cell: Its name.
        quantity: ``energy`` (J/sample) or, where no energy was measured, ``time`` (seconds per sample).
        contrast: New over baseline; None where nothing could be compared.
        outcome: Of this cell.
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
        cells: One by one, and the baseline's cells that the new run lacks.
    """

    outcome: Outcome
    limit: float
    cells: tuple[GatedCell, ...]


def gate(comparison: Comparison, *, limit: float) -> Gate:
    """Judge a new run (B) by a baseline (A).

    A cell has regressed where its whole 95% interval lies above the limit and passes where none of it does.

    Args:
        comparison: Of the baseline with the new run.
        limit: Largest share by which a cell may cost more.
    """
    cells = tuple(_judged(cell, limit) for cell in comparison.cells)
    cells += tuple(
        GatedCell(
            cell=name, quantity="energy", contrast=None, outcome=Outcome.INVALID,
            reason="the new run does not have it",
        )
        for name in comparison.only_a
    )  # fmt: skip
    outcome = next((kind for kind in _WORST if any(cell.outcome is kind for cell in cells)), Outcome.INVALID)
    return Gate(outcome=outcome, limit=limit, cells=cells)


def _judged(cell: CellComparison, limit: float) -> GatedCell:
    quantity, found = ("energy", cell.energy) if cell.energy else ("time", cell.time)
    outcome, reason = _outcome(cell, found, limit)
    return GatedCell(cell=cell.b, quantity=quantity, contrast=found, outcome=outcome, reason=reason)


def _outcome(cell: CellComparison, found: Contrast | None, limit: float) -> tuple[Outcome, str]:
    if cell.refused and found is None:
        return Outcome.INVALID, "; ".join(cell.refused)
    if found is None or (cell.energy is None and cell.energy_on_one_side):
        lone = "energy was measured on one side only"
        none = "no valid or doubtful trial on both sides"
        return Outcome.INVALID, none if found is None else lone
    if found.low is None or found.high is None:
        return Outcome.INCONCLUSIVE, "one round has no interval; measure more rounds"
    if found.low > 1 + limit:
        return Outcome.REGRESSED, f"all of the interval is above +{100 * limit:g}%"
    if found.high <= 1 + limit:
        return Outcome.PASS, "none of the interval is above the limit"
    return Outcome.INCONCLUSIVE, "the interval holds the limit; measure more rounds"
