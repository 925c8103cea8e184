"""Ratios of two cells from the rounds that both have: what changed from round to round cancels."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from greenbench.core.doubt import Verdict
from greenbench.core.trial import Trial
from greenbench.results.cells import half_width_95


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The geometric mean of a cell's figure over another's, round by round.

    Attributes:
        mean: The ratio; above 1 the first cell's figure is the larger.
        low: Lower end of its 95% interval (Student's t on logarithms); None with fewer than two rounds.
        high: Upper end, likewise.
        rounds: Rounds that both cells have.
    """

    mean: float
    low: float | None
    high: float | None
    rounds: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def paired_ratio(
    trials: Iterable[Trial], cell_id: str, other_id: str, value: Callable[[Trial], float | None]
) -> Ratio | None:
    """Return the ratio of two cells; None where no round has both.

    Args:
        trials: Last attempts of one run; only valid and doubtful ones count.
        cell_id: The dividend.
        other_id: The divisor.
        value: Picks the figure; only positive ones have a ratio.
    """
    every = tuple(trials)
    ours, theirs = _round_means(every, cell_id, value), _round_means(every, other_id, value)
    logs = [math.log(ours[number] / theirs[number]) for number in sorted(ours.keys() & theirs.keys())]
    if not logs:
        return None
    middle, half = fmean(logs), half_width_95(logs)
    low, high = (None, None) if half is None else (math.exp(middle - half), math.exp(middle + half))
    return Ratio(mean=math.exp(middle), low=low, high=high, rounds=len(logs))


def _round_means(
    trials: Iterable[Trial], cell_id: str, value: Callable[[Trial], float | None]
) -> dict[int, float]:
    rounds: dict[int, list[float]] = {}
    for trial in trials:
        if trial.cell_id == cell_id and trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL}:
            found = value(trial)
            if found is not None and found > 0:
                rounds.setdefault(trial.round, []).append(found)
    return {number: fmean(values) for number, values in rounds.items()}
