"""Equivalence within 5%: a 95% interval inside the margins is two one-sided tests (TOST) at 2.5% each.

R's figures are those of ``tost`` (by its fields of the package equivalence), as kept with their calls in
statsmodels 0.15.0, ``statsmodels/stats/tests/test_tost.py`` (J. Perktold, 2012); the names there stand beside
the figures here. The data are two endpoints of its ``clinic``: fifteen patients in each of two groups.
"""

import math

import numpy as np
import pytest
from scipy import stats

from greenbench.report.contrast import contrast
from greenbench.report.statistics import EQUIVALENCE, Outcome, difference_of, outcome_of

VAR1 = (
    (2.84, 2.51, 2.41, 2.95, 3.14, 3.79, 4.14, 3.85, 3.02, 3.45, 5.37, 3.81, 4.19, 3.16, 3.84),
    (2.60, 2.82, 2.18, 3.46, 4.01, 3.04, 3.47, 4.06, 2.91, 3.59, 4.51, 3.16, 3.86, 3.31, 3.02),
)
VAR2 = (
    (4.00, 3.26, 4.14, 3.42, 3.25, 4.34, 4.97, 4.31, 3.11, 3.41, 5.02, 4.21, 4.59, 5.30, 4.32),
    (3.76, 3.66, 3.65, 3.60, 3.48, 2.87, 3.24, 3.92, 3.99, 4.21, 4.21, 3.31, 3.61, 2.97, 2.73),
)
ONE_SIDED = 0.025


def scaled(values, margin):
    """Return values whose differences of logarithms are to 5% as those given are to R's margin.

    A factor on all differences changes neither t nor p; the nearer margin, above since both differences are
    positive, is then exactly log(1.05), and the lower one, log(0.95), is a little farther away.
    """
    return {
        number: math.exp(value * math.log(1 + EQUIVALENCE) / margin)
        for number, value in enumerate(values, start=1)
    }


@pytest.mark.parametrize(
    ("groups", "paired", "margin", "mean", "error", "freedom", "p"),
    [
        # tost_clinic_paired_1: tost(-clinic$var1[16:30] + clinic$var1[1:15], eps=0.6)
        (VAR1, True, 0.6, 0.1646666666666667, 0.1357514067862445, 14, 0.003166881489265175),
        # tost_clinic_paired: tost(-clinic$var2[16:30] + clinic$var2[1:15], eps=0.6)
        (VAR2, True, 0.6, 0.5626666666666665, 0.2478276410785118, 14, 0.4412034046017588),
        # tost_clinic_indep_1: tost(clinic$var1[1:15], clinic$var1[16:30], eps=0.6): at 5%, not at 2.5%
        (VAR1, False, 0.6, 0.1646666666666667, 0.2531625991083627, 26.7484787582315, 0.04853083976236974),
        # tost_clinic_indep: tost(clinic$var2[1:15], clinic$var2[16:30], eps=0.6)
        (VAR2, False, 0.6, 0.562666666666666, 0.2149871904637392, 24.11000151062728, 0.4317936812594803),
        # tost_clinic_1_paired: tost(log(clinic$var1[1:15]), log(clinic$var1[16:30]),
        # eps=log(1.25), paired=TRUE)
        ("logs", True, math.log(1.25), 0.0431223318225235, 0.03819576328421437, 14, 0.0001664157928976468),
        # tost_clinic_1_indep: the same with paired=FALSE
        ("logs", False, math.log(1.25), 0.04312233182252334, 0.073508371131806, 27.61177037646526,
         0.01047085593138891),
    ],
)  # fmt: skip
def test_intervals_and_decisions_are_those_of_r(groups, paired, margin, mean, error, freedom, p):
    first, second = np.log(VAR1) if groups == "logs" else np.array(groups)
    found = contrast(scaled(second, margin), scaled(first, margin), paired=paired)
    to_r = margin / math.log(1 + EQUIVALENCE)
    half = stats.t.ppf(1 - ONE_SIDED, freedom) * error
    logs = [to_r * math.log(value) for value in (found.ratio, found.low, found.high)]
    assert logs == pytest.approx([mean, mean - half, mean + half], rel=1e-9)
    assert (outcome_of(found.low, found.high) is Outcome.EQUIVALENT) is (p < ONE_SIDED)


def one_sided_p(a, b):
    """Return the larger p of two exact one-sided signed-rank tests against the margins."""
    logs = np.log(b) - np.log(a)
    above = stats.wilcoxon(logs - math.log(1 - EQUIVALENCE), alternative="greater", method="exact").pvalue
    below = stats.wilcoxon(logs - math.log(1 + EQUIVALENCE), alternative="less", method="exact").pvalue
    return max(above, below)


@pytest.mark.parametrize("pairs", [6, 10, 15])
def test_the_answers_equivalence_is_two_one_sided_signed_rank_tests(pairs):
    generator = np.random.default_rng(pairs)
    decided = []
    for _ in range(150):
        a = np.exp(generator.normal(0, 0.2, pairs))
        b = a * np.exp(generator.normal(generator.uniform(-0.06, 0.06), 0.02, pairs))
        decided.append(difference_of(a, b).outcome is Outcome.EQUIVALENT)
        assert decided[-1] == (one_sided_p(a, b) <= ONE_SIDED)
    assert 0.1 < np.mean(decided) < 0.9  # both decisions were seen


@pytest.mark.parametrize("margin", [1 - EQUIVALENCE, 1 + EQUIVALENCE])
def test_at_the_margin_equivalence_is_claimed_at_most_as_often_as_it_may_be(margin):
    generator = np.random.default_rng(17)
    runs = 800
    claimed = sum(
        difference_of(np.ones(10), margin * np.exp(generator.normal(0, 0.01, 10))).outcome
        is Outcome.EQUIVALENT
        for _ in range(runs)
    )
    assert claimed / runs <= ONE_SIDED + 3 * (ONE_SIDED * (1 - ONE_SIDED) / runs) ** 0.5
