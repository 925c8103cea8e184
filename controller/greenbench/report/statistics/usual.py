"""The tests that studies without blocks print; here they stand beside the paired ones and decide nothing."""

from collections.abc import Sequence
from statistics import fmean, stdev

_FEWEST_FOR_SHAPIRO = 3
_FEWEST_FOR_SPREAD = 2
_NO_SPREAD = 1e-12


def shapiro_p(values: Sequence[float]) -> float | None:
    """Return the p-value of Shapiro and Wilk's test of normality; None below three values or all equal."""
    if len(values) < _FEWEST_FOR_SHAPIRO or max(values) - min(values) < _NO_SPREAD:
        return None
    from scipy.stats import shapiro  # noqa: PLC0415

    return float(shapiro(values).pvalue)


def mann_whitney_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p-value of the rank-sum test of two unpaired samples."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415

    return float(mannwhitneyu(a, b).pvalue)


def welch_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Welch's t test; None below two values a side or where none varies."""
    if min(len(a), len(b)) < _FEWEST_FOR_SPREAD or max(stdev(a), stdev(b)) < _NO_SPREAD:
        return None
    from scipy.stats import ttest_ind_from_stats  # noqa: PLC0415

    sides = (fmean(a), stdev(a), len(a), fmean(b), stdev(b), len(b))
    return float(ttest_ind_from_stats(*sides, equal_var=False).pvalue)
