"""Statistics of round means: numbers in, frozen results out; nothing here reads, writes or knows of runs.

SciPy and statsmodels take a second to import and only who reports needs them, so each function that uses
one imports it itself. Sources, formulas and checks of every figure: ``docs/statistics.md``.
"""

from greenbench.report.statistics.correlation import Correlation, slope, spearman
from greenbench.report.statistics.difference import (
    EQUIVALENCE,
    Difference,
    Outcome,
    difference_of,
    outcome_of,
)
from greenbench.report.statistics.effect_size import cliffs_delta
from greenbench.report.statistics.power import smallest_ratio_seen
from greenbench.report.statistics.several import Friedman, friedman, holm
from greenbench.report.statistics.signed_rank import FEWEST_PAIRS, SignedRank, signed_rank
from greenbench.report.statistics.usual import mann_whitney_p, shapiro_p, welch_p

__all__ = [
    "EQUIVALENCE",
    "FEWEST_PAIRS",
    "Correlation",
    "Difference",
    "Friedman",
    "Outcome",
    "SignedRank",
    "cliffs_delta",
    "difference_of",
    "friedman",
    "holm",
    "mann_whitney_p",
    "outcome_of",
    "shapiro_p",
    "signed_rank",
    "slope",
    "smallest_ratio_seen",
    "spearman",
    "welch_p",
]
