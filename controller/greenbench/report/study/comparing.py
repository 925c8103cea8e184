"""One cell against another of the same setting, round by round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from greenbench.core.doubt import Verdict
from greenbench.core.trial import Trial
from greenbench.report.answer import title_of
from greenbench.report.contrast import Contrast, contrast, round_means
from greenbench.report.measure import joules_per_sample, net_joules_per_sample, seconds_per_sample
from greenbench.report.statistics import Difference, Outcome, difference_of
from greenbench.report.study.naming import cell_name

USED = frozenset({Verdict.VALID, Verdict.DOUBTFUL})


DOUBTFUL = "rests on doubtful trials of "
"""How the note of a comparison begins whose trials are doubtful; their cells follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What is compared.

    Attributes:
        name: Of columns.
        words: In sentences.
        of_trial: Picks it.
        is_energy: Whether it is joules, and so bound to a scope.
    """

    name: str
    words: str
    of_trial: Callable[[Trial], float | None]
    is_energy: bool = False


ENERGY = Quantity(name="energy", words="energy per sample", of_trial=joules_per_sample, is_energy=True)
NET = Quantity(
    name="energy_net_b0",
    words="energy per sample net of idle",
    of_trial=net_joules_per_sample,
    is_energy=True,
)
TIME = Quantity(name="time", words="time per sample", of_trial=seconds_per_sample)
CPU_TIME = Quantity(
    name="cpu_s",
    words="CPU time per sample",
    of_trial=lambda trial: trial.cpu_s / trial.samples if trial.cpu_s and trial.samples else None,
)
GPU_USE = Quantity(name="gpu_util_mean", words="GPU utilisation", of_trial=lambda trial: trial.gpu_util_mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTrials:
    """One cell's last attempts; at least one.

    Attributes:
        name: In sentences.
        trials: All of them, whatever their verdict.
    """

    name: str
    trials: tuple[Trial, ...]

    @property
    def first(self) -> Trial:
        """The trial that tells what the cell is."""
        return self.trials[0]

    @property
    def used(self) -> tuple[Trial, ...]:
        """Valid and doubtful ones."""
        return tuple(trial for trial in self.trials if trial.verdict in USED)

    @property
    def doubtful(self) -> bool:
        """Whether figures rest on a doubtful trial."""
        return any(trial.verdict is Verdict.DOUBTFUL for trial in self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One quantity of B against A.

    Attributes:
        quantity: Its name.
        difference: By the rounds that both have; None where nothing can be compared.
        student: The same by Student's t on logarithms, for comparison.
        p_holm: Of the signed-rank test, adjusted within its research question; None before, or without p.
        absent: Why nothing can be compared; empty where it can.
    """

    quantity: str
    difference: Difference | None
    student: Contrast | None = None
    p_holm: float | None = None
    absent: str = ""

    @property
    def outcome(self) -> Outcome | None:
        """What the interval says; None where nothing can be compared."""
        return self.difference.outcome if self.difference else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cell against another.

    Attributes:
        setting: Title of what both have in common.
        a: The cell that is 1, in words.
        b: The cell that is compared with it, in words.
        cell_a: cell_id of A.
        cell_b: cell_id of B.
        energy: Gross.
        energy_net: Net of the idle host, as the study's.
        time: Of a sample.
        notes: Whatever the figures rest on or leave out.
    """

    setting: str
    a: str
    b: str
    cell_a: str
    cell_b: str
    energy: Effect
    energy_net: Effect
    time: Effect
    notes: tuple[str, ...]

    @property
    def effects(self) -> tuple[Effect, Effect, Effect]:
        """Gross energy, net energy, time."""
        return self.energy, self.energy_net, self.time


def cells_of(trials: Sequence[Trial]) -> tuple[CellTrials, ...]:
    """Return the cells of some trials, in the order in which they first appear."""
    own: dict[str, list[Trial]] = {}
    for trial in trials:
        own.setdefault(trial.cell_id, []).append(trial)
    return tuple(CellTrials(name=cell_name(some[0]), trials=tuple(some)) for some in own.values())


def finding_of(a: CellTrials, b: CellTrials, absent: Mapping[str, str]) -> Finding:
    """Compare B with A.

    Args:
        a: The cell that is 1.
        b: A cell of the same setting.
        absent: Domain -> why this host cannot measure it, for trials that do not tell.
    """
    return Finding(
        setting=title_of(a.first),
        a=a.name,
        b=b.name,
        cell_a=a.first.cell_id,
        cell_b=b.first.cell_id,
        energy=effect_of(ENERGY, a, b, absent),
        energy_net=effect_of(NET, a, b, absent),
        time=effect_of(TIME, a, b, absent),
        notes=_notes(a, b),
    )


def effect_of(quantity: Quantity, a: CellTrials, b: CellTrials, absent: Mapping[str, str]) -> Effect:
    """Compare one quantity of B with A's, or say why it cannot be; arguments as in `finding_of`."""
    rounds_a, rounds_b = (round_means(cell.used, quantity.of_trial) for cell in (a, b))
    shared = sorted(rounds_a.keys() & rounds_b.keys())
    reason = _reason(quantity, a, b, absent)
    if not reason and not shared:
        reason = "no round has a value of both"
    if reason:
        return Effect(quantity=quantity.name, difference=None, absent=reason)
    return Effect(
        quantity=quantity.name,
        difference=difference_of([rounds_a[one] for one in shared], [rounds_b[one] for one in shared]),
        student=contrast(rounds_a, rounds_b, paired=True),
    )


def with_holm(effect: Effect, p_holm: float | None) -> Effect:
    """Return an effect with its adjusted p-value."""
    return replace(effect, p_holm=p_holm)


def _reason(quantity: Quantity, a: CellTrials, b: CellTrials, absent: Mapping[str, str]) -> str:
    for cell in (a, b):
        if not cell.used:
            return f"{cell.name} has no valid or doubtful trial"
    scopes = [", ".join(sorted({trial.energy_scope for trial in cell.used})) for cell in (a, b)]
    if quantity.is_energy and scopes[0] != scopes[1]:
        return f"energies cover other domains: {a.name} {scopes[0]}, {b.name} {scopes[1]}"
    for cell in (a, b):
        values = [quantity.of_trial(trial) for trial in cell.used]
        known = [value for value in values if value is not None]
        if not known:
            return _why_none(quantity, cell, absent)
        # A mean over the positive windows alone would be too high, and a ratio to nothing has no meaning.
        if min(known) <= 0:
            low = sum(value <= 0 for value in known)
            return f"{quantity.words} of {cell.name} is not above 0 in {low} of {len(known)} trials"
    return ""


def _why_none(quantity: Quantity, cell: CellTrials, absent: Mapping[str, str]) -> str:
    if not quantity.is_energy:
        return f"{cell.name} has no {quantity.words}"
    told = dict.fromkeys(
        item.reason.rstrip(".")
        for trial in cell.used
        for item in trial.absent
        if item.domain in {"gpu", "cpu", "dram"} or item.domain.startswith("energy_")
    )
    reasons = "; ".join(told or dict.fromkeys(absent.values()))
    if not reasons and quantity is NET and any(trial.energy_j_per_sample for trial in cell.used):
        reasons = "no idle baseline (B0) was kept for it"
    return f"{cell.name} has no {quantity.words}: {reasons or 'no trial says why'}"


def _notes(a: CellTrials, b: CellTrials) -> tuple[str, ...]:
    doubtful = [cell.name for cell in (a, b) if cell.doubtful]
    notes = [f"{DOUBTFUL}{' and '.join(doubtful)}"] if doubtful else []
    for cell in (a, b):
        dropped = len(cell.trials) - len(cell.used)
        if dropped:
            notes.append(
                f"{dropped} of {len(cell.trials)} trials of {cell.name} are invalid or failed and left out"
            )
    return tuple(notes)
