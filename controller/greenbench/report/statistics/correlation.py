"""Rank correlation with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST = 4
_FEWEST_OF_SLOPE = 8
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation.

    Attributes:
        rho: -1 to 1.
        low: Lower end of the 95% interval; None below four points.
        high: Upper end, likewise.
        p: Two-sided, from Student's t; None where points are not independent.
        points: How many.
    """

    rho: float
    low: float | None
    high: float | None
    p: float | None
    points: int


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """Return the rank correlation; None below three points or where one side does not vary.

    The interval is Fisher's z with the variance of Bonett and Wright (2000). Ranks that agree perfectly have
    no such interval: the bound then comes from the nearest imperfect order, two neighbours swapped.

    Args:
        x: One value per point.
        y: The other value, in the same order.
    """
    points = len(x)
    if points < _FEWEST - 1 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    from scipy.stats import spearmanr  # noqa: PLC0415

    found = spearmanr(x, y)
    rho = round(float(found.statistic), 12)  # a perfect one comes out a rounding error beside 1
    low, high = _interval(rho, points)
    return Correlation(rho=rho, low=low, high=high, p=float(found.pvalue), points=points)


def _interval(rho: float, points: int) -> tuple[float | None, float | None]:
    if points < _FEWEST:
        return None, None
    swapped = 1 - 12 / (points * (points**2 - 1))
    inner = min(swapped, max(-swapped, rho))
    half = _NORMAL_975 * math.sqrt((1 + inner**2 / 2) / (points - 3))
    low, high = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    return min(low, rho), max(high, rho)


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Theil and Sen's slope: the median of all slopes between two points; None below eight points.

    Args:
        x: One value per point.
        y: The other value, in the same order.
    """
    if len(x) < _FEWEST_OF_SLOPE or len(set(x)) == 1:
        return None
    import numpy as np  # noqa: PLC0415
    from scipy.stats import theilslopes  # noqa: PLC0415

    # Ties take the root of a negative variance, for the interval that is not used here.
    with np.errstate(invalid="ignore"):
        return float(theilslopes(y, x).slope)
