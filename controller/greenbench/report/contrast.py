"""The ratio of two samples of round means: paired by round inside one run, unpaired between two."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, variance

from greenbench.core.doubt import Verdict
from greenbench.core.trial import Trial
from greenbench.results.cells import half_width_95

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """How many times B's figure is A's.

    Attributes:
        ratio: Geometric mean of B over A.
        low: Lower end of its 95% interval; None where a side has fewer than two rounds.
        high: Upper end, likewise.
        rounds_a: Rounds of A that count.
        rounds_b: Rounds of B that count.
        paired: Whether rounds were compared one by one: what changed from round to round then cancels.
    """

    ratio: float
    low: float | None
    high: float | None
    rounds_a: int
    rounds_b: int
    paired: bool

    @property
    def decided(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def round_means(trials: Iterable[Trial], value: Callable[[Trial], float | None]) -> dict[int, float]:
    """Return the mean of each round over its windows; only valid and doubtful trials count.

    Args:
        trials: Of one cell.
        value: Picks the figure; only positive ones have a ratio.
    """
    rounds: dict[int, list[float]] = {}
    for trial in trials:
        found = value(trial) if trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL} else None
        if found is not None and found > 0:
            rounds.setdefault(trial.round, []).append(found)
    return {number: fmean(values) for number, values in rounds.items()}


def contrast(a: Mapping[int, float], b: Mapping[int, float], *, paired: bool) -> Contrast | None:
    """Return the ratio of two samples of round means; None where nothing can be compared.

    Student's t on logarithms: of the differences where rounds are pairs, Welch's where they are not.

    Args:
        a: Round -> mean, positive.
        b: Round -> mean, positive.
        paired: Whether equal rounds of both were measured side by side.
    """
    shared = sorted(a.keys() & b.keys()) if paired else []
    if paired and not shared:
        return None
    logs_a = [math.log(a[number]) for number in shared or sorted(a)]
    logs_b = [math.log(b[number]) for number in shared or sorted(b)]
    if not logs_a or not logs_b:
        return None
    middle = fmean(logs_b) - fmean(logs_a)
    if paired:
        half = half_width_95([after - before for before, after in zip(logs_a, logs_b, strict=True)])
    else:
        half = _welch_half_width_95(logs_a, logs_b)
    return Contrast(
        ratio=math.exp(middle),
        low=None if half is None else math.exp(middle - half),
        high=None if half is None else math.exp(middle + half),
        rounds_a=len(logs_a),
        rounds_b=len(logs_b),
        paired=paired,
    )


def _welch_half_width_95(a: list[float], b: list[float]) -> float | None:
    if min(len(a), len(b)) < _FEWEST:
        return None
    # SciPy takes a second to import, and only who compares needs it.
    from scipy.special import stdtrit  # noqa: PLC0415

    parts = [variance(sample) / len(sample) for sample in (a, b)]
    if not sum(parts):
        return 0.0
    spread = [part**2 / (len(sample) - 1) for part, sample in zip(parts, (a, b), strict=True)]
    freedom = sum(parts) ** 2 / sum(spread)
    return float(stdtrit(freedom, 0.975)) * math.sqrt(sum(parts))
