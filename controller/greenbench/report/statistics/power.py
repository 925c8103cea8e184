"""The smallest effect that so many pairs could have found."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import stdev

POWER = 0.8
_ALPHA = 0.05
_FEWEST = 2
# Of the signed-rank test against Student's t where differences are normal (Hodges and Lehmann 1956).
_EFFICIENCY = 3 / math.pi


def smallest_ratio_seen(log_differences: Sequence[float], *, signed_rank: bool = True) -> float | None:
    """Return the ratio above 1 that a two-sided test at 5% finds four times out of five.

    From the spread seen, with the power of Student's t (noncentral), for the signed-rank test at 3/pi of
    the pairs; None below two pairs, where there is no spread.

    Args:
        log_differences: Natural logarithms of the paired ratios.
        signed_rank: Of the signed-rank test; else of Student's t.
    """
    pairs = len(log_differences)
    if pairs < _FEWEST:
        return None
    effective = pairs * _EFFICIENCY if signed_rank else pairs
    return math.exp(_standardised(effective) * stdev(log_differences))


@cache
def _standardised(pairs: float) -> float:
    """Return the effect in standard deviations of the differences."""
    from scipy.optimize import brentq  # noqa: PLC0415
    from statsmodels.stats.power import TTestPower  # noqa: PLC0415

    def missing(effect: float) -> float:
        return float(TTestPower().power(effect, pairs, _ALPHA / 2, alternative="larger")) - POWER

    # The tail on the other side adds less than 1e-5 here, and far out it has no digits: one tail is enough.
    # The bracket grows from below for the same reason.
    upper = 1.0
    while missing(upper) < 0:
        upper *= 2
    return float(brentq(missing, 1e-3, upper))
