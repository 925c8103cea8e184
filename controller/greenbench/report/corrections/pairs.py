"""Cells of two runs, or of one, that differ in weights or numeric mode alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greenbench.core.trial import Trial
from greenbench.report.contrast import Contrast, contrast, round_means
from greenbench.report.study.comparing import ENERGY, NET, TIME, CellTrials, Quantity, cells_of

_SAME = ("runtime", "mode", "source", "model", "batch_size", "sequence_length", "path", "io", "device")
_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCell:
    """One cell beside its like.

    Attributes:
        name: What both are: runtime, model, batch size and the like.
        a: Weights and numeric mode of the one that is 1.
        b: Of the other.
        energy: J/sample, gross, of B over A; None where it cannot be compared.
        energy_net: Net of the idle host (B0).
        time: Seconds per sample.
        note: Why energy is not compared; empty where it is.
    """

    name: str
    a: str
    b: str
    energy: Contrast | None
    energy_net: Contrast | None
    time: Contrast | None
    note: str = ""


def between(a: Sequence[Trial], b: Sequence[Trial]) -> tuple[PairedCell, ...]:
    """Pair the cells of two runs: by weights and numeric mode, else by numeric mode, else what is left.

    Args:
        a: Last attempts of the run that is 1.
        b: Of the other.
    """
    ours, theirs = _by_key(a), _by_key(b)
    return tuple(
        paired_cell(first, second, paired=False)
        for key in ours
        if key in theirs
        for first, second in _matched(ours[key], theirs[key])
    )


def within(trials: Sequence[Trial], varied: str) -> tuple[PairedCell, ...]:
    """Pair the cells of one run that differ in one thing alone, round by round.

    Args:
        trials: Last attempts of one run.
        varied: ``weights`` or ``precision``; the value measured first of ``matched`` and ``fp32`` is 1.
    """
    other = "precision" if varied == "weights" else "weights"
    found: list[PairedCell] = []
    for cells in _by_key(trials).values():
        for base in (cell for cell in cells if getattr(cell.first, varied) in {"matched", "fp32"}):
            found += [
                paired_cell(base, cell, paired=True)
                for cell in cells
                if cell is not base and getattr(cell.first, other) == getattr(base.first, other)
            ]
    return tuple(found)


def paired_cell(a: CellTrials, b: CellTrials, *, paired: bool) -> PairedCell:
    """Put one cell beside another.

    Args:
        a: The one that is 1.
        b: The other.
        paired: Whether rounds were measured side by side.
    """
    scopes = [", ".join(sorted({trial.energy_scope for trial in cell.used})) for cell in (a, b)]
    same = scopes[0] == scopes[1]
    energy = _contrast(ENERGY, a, b, paired=paired) if same else None
    return PairedCell(
        name=_name(a),
        a=_which(a),
        b=_which(b),
        energy=energy,
        energy_net=_contrast(NET, a, b, paired=paired) if same else None,
        time=_contrast(TIME, a, b, paired=paired),
        note="" if same else _why_no_energy(*scopes),
    )


def _why_no_energy(first: str, second: str) -> str:
    if not (first and second):
        return f"no trial of the {'second' if first else 'first'} is valid or doubtful"
    return f"energies cover other domains: {first} and {second}"


def _contrast(quantity: Quantity, a: CellTrials, b: CellTrials, *, paired: bool) -> Contrast | None:
    values = [quantity.of_trial(trial) for cell in (a, b) for trial in cell.used]
    # A mean over the positive windows alone would be too high.
    if any(value is not None and value <= 0 for value in values):
        return None
    means = [round_means(cell.used, quantity.of_trial) for cell in (a, b)]
    return contrast(means[0], means[1], paired=paired)


def _by_key(trials: Sequence[Trial]) -> dict[_Key, list[CellTrials]]:
    found: dict[_Key, list[CellTrials]] = {}
    for cell in cells_of(trials):
        found.setdefault(tuple(getattr(cell.first, key) for key in _SAME), []).append(cell)
    return found


def _matched(a: Sequence[CellTrials], b: Sequence[CellTrials]) -> Iterable[tuple[CellTrials, CellTrials]]:
    """Yield the pairs that weights and numeric mode name, then the mode alone, then what is left.

    Where several are left on a side, which of them answers which would be a guess.
    """
    left_a, left_b = list(a), list(b)
    for told in (_which, _precision, _any):
        for first in tuple(left_a):
            answers = [cell for cell in left_b if told(cell) == told(first)]
            rivals = [cell for cell in left_a if told(cell) == told(first)]
            if len(answers) == len(rivals) == 1:
                yield first, answers[0]
                left_a.remove(first)
                left_b.remove(answers[0])


def _precision(cell: CellTrials) -> str:
    return cell.first.precision


def _any(_cell: CellTrials) -> str:
    return ""


def _which(cell: CellTrials) -> str:
    return f"{cell.first.weights}, {cell.first.precision}"


def _name(cell: CellTrials) -> str:
    trial = cell.first
    tokens = f", {trial.sequence_length} tokens" if trial.sequence_length else ""
    return f"{cell.name} {trial.mode}, {trial.model}, batch {trial.batch_size}{tokens}".replace(
        f"{trial.mode} {trial.mode}", trial.mode
    )
