"""By how much one sample of paired round means is above another, and what may be said of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from greenbench.report.statistics.effect_size import cliffs_delta
from greenbench.report.statistics.power import smallest_ratio_seen
from greenbench.report.statistics.signed_rank import signed_rank
from greenbench.report.statistics.usual import mann_whitney_p, shapiro_p, welch_p

EQUIVALENCE = 0.05
"""Differences within this share are called equivalent."""


class Outcome(StrEnum):
    """What a comparison's interval says."""

    LOWER = "lower"
    HIGHER = "higher"
    EQUIVALENT = "equivalent"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """B against A, from pairs.

    Attributes:
        ratio: B over A: exp of the Hodges-Lehmann estimate of the differences of logarithms.
        low: Lower end of its interval; None below six pairs.
        high: Upper end, likewise.
        confidence: Of the interval, 0.95 or somewhat more.
        outcome: What the interval says of B.
        p: Wilcoxon's signed-rank test, two-sided; None where no pair differs.
        pairs: How many.
        smallest_ratio: Ratio that these pairs could find (power 0.8); None below two pairs.
        smallest_ratio_t: The same for Student's t.
        cliffs_delta: Of B against A.
        shapiro_p: Shapiro and Wilk's test of the differences of logarithms; None below three or all equal.
        mann_whitney_p: Unpaired, two-sided, as studies without blocks test.
        welch_p: Student's t of logarithms, unpaired, unequal variances; None where nothing varies.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float | None
    outcome: Outcome
    p: float | None
    pairs: int
    smallest_ratio: float | None
    smallest_ratio_t: float | None
    cliffs_delta: float
    shapiro_p: float | None
    mann_whitney_p: float
    welch_p: float | None


def difference_of(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare paired, positive values on the logarithmic scale.

    Costs are ratios by nature: a host that is slow for a round multiplies both sides. On logarithms that
    factor cancels in the pair, and B against A is the inverse of A against B.

    Args:
        a: One positive value per pair, at least one.
        b: The other side, in the same order.
    """
    logs_a, logs_b = [math.log(value) for value in a], [math.log(value) for value in b]
    differences = [after - before for before, after in zip(logs_a, logs_b, strict=True)]
    ranked = signed_rank(differences)
    low = None if ranked.low is None else math.exp(ranked.low)
    high = None if ranked.high is None else math.exp(ranked.high)
    return Difference(
        ratio=math.exp(ranked.estimate),
        low=low,
        high=high,
        confidence=ranked.confidence,
        outcome=outcome_of(low, high),
        p=ranked.p,
        pairs=ranked.pairs,
        smallest_ratio=smallest_ratio_seen(differences) if low is not None else None,
        smallest_ratio_t=smallest_ratio_seen(differences, signed_rank=False),
        cliffs_delta=cliffs_delta(a, b),
        shapiro_p=shapiro_p(differences),
        mann_whitney_p=mann_whitney_p(a, b),
        welch_p=welch_p(logs_a, logs_b),
    )


def outcome_of(low: float | None, high: float | None) -> Outcome:
    """Return what an interval of a ratio says: equivalence within 5% goes before lower and higher.

    Args:
        low: Lower end of the interval; None where there is none.
        high: Upper end, likewise.
    """
    if low is None or high is None:
        return Outcome.OPEN
    if low >= 1 - EQUIVALENCE and high <= 1 + EQUIVALENCE:
        return Outcome.EQUIVALENT
    if high < 1:
        return Outcome.LOWER
    return Outcome.HIGHER if low > 1 else Outcome.OPEN
