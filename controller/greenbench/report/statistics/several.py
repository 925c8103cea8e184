"""Several cells at once, and several tests at once."""

from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST_TREATMENTS = 3
_FEWEST_BLOCKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Friedman:
    """Friedman's test: whether any of several treatments differs, judged inside blocks.

    Attributes:
        statistic: Chi-squared, corrected for ties.
        p: From the chi-squared distribution with one degree of freedom less than there are treatments.
        treatments: How many.
        blocks: How many; the p-value is rough below about ten.
    """

    statistic: float
    p: float
    treatments: int
    blocks: int


def friedman(treatments: Sequence[Sequence[float]]) -> Friedman | None:
    """Test several treatments over the same blocks; None below three treatments or two blocks.

    Args:
        treatments: One sequence per treatment, one value per block, blocks in the same order.
    """
    blocks = len(treatments[0]) if treatments else 0
    if len(treatments) < _FEWEST_TREATMENTS or blocks < _FEWEST_BLOCKS:
        return None
    from scipy.stats import friedmanchisquare  # noqa: PLC0415

    if all(len(set(block)) == 1 for block in zip(*treatments, strict=True)):
        return Friedman(statistic=0.0, p=1.0, treatments=len(treatments), blocks=blocks)
    found = friedmanchisquare(*treatments)
    return Friedman(
        statistic=float(found.statistic), p=float(found.pvalue), treatments=len(treatments), blocks=blocks
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values, in the order given (Holm 1979).

    Args:
        p_values: Of one family of tests.
    """
    if not p_values:
        return ()
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    return tuple(float(p) for p in multipletests(list(p_values), method="holm")[1])
