"""Trials to cells: round means and their Student's t intervals."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from greenbench.core.doubt import Verdict
from greenbench.core.trial import Absent, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over rounds.

    Attributes:
        mean: Mean of the round means, SI units.
        u95: Half the width of its 95% interval (Student's t); None with fewer than two rounds.
        rounds: Rounds that had a value.
    """

    mean: float
    u95: float | None
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSummary:
    """One cell of a run in figures.

    Figures come from the valid and doubtful trials of each window's last attempt; from the invalid ones
    where there are no others, and `verdict` then says so. None where no trial had a value.

    Attributes:
        cell_id: As in the plan.
        runtime: Its name.
        mode: Its mode.
        source: Framework the model was converted from.
        model: The model.
        precision: The numeric mode.
        batch_size: Samples per iteration.
        sequence_length: Tokens per sample; None for vision models.
        weights: ``matched`` or ``native``.
        path: ``loop`` or ``served``.
        io: ``device`` or ``host``.
        device: ``cpu`` or ``cuda``.
        energy_scope: Domains that `energy_j_per_sample` sums.
        throughput_samples_per_s: Samples per second.
        latency_p50_s: Median time of an iteration, seconds.
        energy_j_per_sample: Gross joules per sample over the scope.
        cpu_s_per_sample: CPU seconds of the runtime per sample.
        memory_peak_b: Largest peak over the loads, bytes.
        rounds: Rounds that the figures come from.
        verdicts: How many trials got which verdict.
        verdict: Of the cell.
        absent: Why values are absent, without repeats.
        hosts: host_id of every host that measured it.
    """

    cell_id: str
    runtime: str
    mode: str
    source: str | None
    model: str
    precision: str
    batch_size: int
    sequence_length: int | None
    weights: str
    path: str
    io: str
    device: str
    energy_scope: str
    throughput_samples_per_s: Estimate | None
    latency_p50_s: Estimate | None
    energy_j_per_sample: Estimate | None
    cpu_s_per_sample: Estimate | None
    memory_peak_b: int | None
    rounds: int
    verdicts: Mapping[Verdict, int]
    verdict: Verdict
    absent: tuple[Absent, ...]
    hosts: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the figures may be compared with those of other cells."""
        return self.verdict in {Verdict.VALID, Verdict.DOUBTFUL}


def last_attempts(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return each window's last attempt: the trials that a resumed run stands by."""
    every = tuple(trials)
    newest: dict[tuple[str, int], int] = {}
    for trial in every:
        key = (trial.load_id, trial.window)
        newest[key] = max(trial.attempt, newest.get(key, 0))
    return tuple(trial for trial in every if trial.attempt == newest[trial.load_id, trial.window])


def summarise(trials: Iterable[Trial]) -> tuple[CellSummary, ...]:
    """Sum trials up by cell, in the order in which the cells first appear.

    Args:
        trials: Of one run.
    """
    cells: dict[str, list[Trial]] = {}
    for trial in last_attempts(trials):
        cells.setdefault(trial.cell_id, []).append(trial)
    return tuple(_summary(own) for own in cells.values())


def _summary(trials: Sequence[Trial]) -> CellSummary:
    counts = Counter(trial.verdict for trial in trials)
    used = _used(trials)
    first = (used or trials)[0]
    peaks = [trial.memory_peak_b for trial in used if trial.memory_peak_b is not None]
    return CellSummary(
        cell_id=first.cell_id,
        runtime=first.runtime,
        mode=first.mode,
        source=first.source,
        model=first.model,
        precision=first.precision,
        batch_size=first.batch_size,
        sequence_length=first.sequence_length,
        weights=first.weights,
        path=first.path,
        io=first.io,
        device=first.device,
        energy_scope=first.energy_scope,
        throughput_samples_per_s=estimate(used, lambda trial: trial.throughput_samples_per_s),
        latency_p50_s=estimate(used, lambda trial: trial.latency_p50_s),
        energy_j_per_sample=estimate(used, lambda trial: trial.energy_j_per_sample),
        cpu_s_per_sample=estimate(used, _cpu_s_per_sample),
        memory_peak_b=max(peaks, default=None),
        rounds=len({trial.round for trial in used}),
        verdicts=dict(counts),
        verdict=_verdict(counts),
        absent=tuple(dict.fromkeys(item for trial in trials for item in trial.absent)),
        hosts=tuple(sorted({trial.host_id for trial in trials})),
    )


def _used(trials: Sequence[Trial]) -> list[Trial]:
    good = [trial for trial in trials if trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL}]
    return good or [trial for trial in trials if trial.verdict is Verdict.INVALID]


def _verdict(counts: Mapping[Verdict, int]) -> Verdict:
    """Doubtful as soon as one trial is anything but valid; invalid or failed when nothing better is left."""
    if counts.get(Verdict.VALID) or counts.get(Verdict.DOUBTFUL):
        return Verdict.VALID if set(counts) == {Verdict.VALID} else Verdict.DOUBTFUL
    return Verdict.INVALID if counts.get(Verdict.INVALID) else Verdict.FAILED


def _cpu_s_per_sample(trial: Trial) -> float | None:
    return trial.cpu_s / trial.samples if trial.cpu_s is not None and trial.samples else None


def estimate(trials: Iterable[Trial], value: Callable[[Trial], float | None]) -> Estimate | None:
    """Return the mean of the round means with its interval.

    Args:
        trials: Of one cell.
        value: Picks the figure; None where a trial has none.

    Returns:
        The mean over rounds of the mean over the windows of a round; None where no trial has a value.
    """
    rounds: dict[int, list[float]] = {}
    for trial in trials:
        if (found := value(trial)) is not None:
            rounds.setdefault(trial.round, []).append(found)
    means = [fmean(values) for values in rounds.values()]
    if not means:
        return None
    return Estimate(mean=fmean(means), u95=half_width_95(means), rounds=len(means))


def half_width_95(means: Sequence[float]) -> float | None:
    """Return half the width of Student's t 95% interval of a mean; None below two values."""
    if len(means) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    # SciPy takes a second to import, and only who sums up needs it.
    from scipy.special import stdtrit  # noqa: PLC0415

    quantile = float(stdtrit(len(means) - 1, 0.975))
    return quantile * stdev(means) / math.sqrt(len(means))
