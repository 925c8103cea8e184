"""Wilcoxon's signed-rank test and the Hodges-Lehmann estimate with the interval that belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from statistics import median

FEWEST_PAIRS = 6
"""Fewer pairs have no 95% interval: even with all signs equal, the two-sided p is 2 / 2**5 = 0.0625."""
_ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired differences.

    Attributes:
        estimate: Hodges-Lehmann: the median of all Walsh averages, in the unit of the differences.
        low: Lower end of the exact interval of at least 95%; None below `FEWEST_PAIRS`.
        high: Upper end, likewise.
        confidence: Of that interval: ranks are discrete, so it is 0.95 or somewhat more; None where it is.
        statistic: Sum of the ranks of the positive differences.
        p: Two-sided; None where every difference is 0.
        pairs: How many differences.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float | None
    statistic: float
    p: float | None
    pairs: int


def signed_rank(differences: Sequence[float]) -> SignedRank:
    """Test whether paired differences are symmetric about 0, and estimate about what they are.

    Hollander and Wolfe, Nonparametric Statistical Methods (1973), 3.1 to 3.3.

    Args:
        differences: One per pair, at least one.
    """
    walsh = sorted((a + b) / 2 for a, b in combinations_with_replacement(differences, 2))
    rank, confidence = _interval_rank(len(differences))
    found = rank is not None
    statistic, p = _test(differences)
    return SignedRank(
        estimate=median(walsh),
        low=walsh[rank - 1] if found and rank else None,
        high=walsh[len(walsh) - rank] if found and rank else None,
        confidence=confidence,
        statistic=statistic,
        p=p,
        pairs=len(differences),
    )


def _test(differences: Sequence[float]) -> tuple[float, float | None]:
    import numpy as np  # noqa: PLC0415
    from scipy.stats import PermutationMethod, rankdata, wilcoxon  # noqa: PLC0415

    moved = np.array([value for value in differences if value])
    if not moved.size:
        return 0.0, None
    statistic = float(rankdata(np.abs(moved))[moved > 0].sum())
    tied = len(set(np.abs(moved))) < moved.size
    # The exact distribution holds without ties; with ties the sign flips are counted, all where they are few.
    method = PermutationMethod(n_resamples=2**14, rng=0) if tied else "exact"
    return statistic, float(wilcoxon(moved, method=method).pvalue)


def _interval_rank(pairs: int) -> tuple[int | None, float | None]:
    """Return which Walsh average from either end bounds the interval (from 1), and its confidence."""
    if pairs < FEWEST_PAIRS:
        return None, None
    counts = _counts(pairs)
    total, rank, tail = 2**pairs, 0, 0
    while 2 * (tail + counts[rank]) <= _ALPHA * total:
        tail += counts[rank]
        rank += 1
    return rank, 1 - 2 * tail / total


def _counts(pairs: int) -> list[int]:
    """Return how many of the 2**pairs sign patterns give each sum of positive ranks, from 0 up."""
    counts = [1]
    for rank in range(1, pairs + 1):
        counts = [
            (counts[total] if total < len(counts) else 0) + (counts[total - rank] if total >= rank else 0)
            for total in range(len(counts) + rank)
        ]
    return counts
