"""Figures against worked examples of textbooks and of R; the source stands with the data."""

import math

import pytest

from greenbench.report.statistics import (
    Outcome,
    cliffs_delta,
    friedman,
    holm,
    mann_whitney_p,
    outcome_of,
    shapiro_p,
    signed_rank,
    smallest_ratio_seen,
    spearman,
    welch_p,
)

# Hollander and Wolfe (1973), pp. 29-33 and R's ?wilcox.test: Hamilton depression scale factor IV of nine
# patients at the first and second visit after a tranquilliser.
FIRST = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
SECOND = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)

# Hollander and Wolfe (1973), p. 140 and R's ?friedman.test: seconds of 22 runners from home to second base
# by three ways of rounding first base.
ROUNDING_TIMES = (
    (5.40, 5.85, 5.20, 5.55, 5.90, 5.45, 5.40, 5.45, 5.25, 5.85, 5.25,
     5.65, 5.60, 5.05, 5.50, 5.45, 5.55, 5.45, 5.50, 5.65, 5.70, 6.30),
    (5.50, 5.70, 5.60, 5.50, 5.85, 5.55, 5.40, 5.50, 5.15, 5.80, 5.20,
     5.55, 5.35, 5.00, 5.50, 5.55, 5.55, 5.50, 5.45, 5.60, 5.65, 6.30),
    (5.55, 5.75, 5.50, 5.40, 5.70, 5.60, 5.35, 5.35, 5.00, 5.70, 5.10,
     5.45, 5.45, 4.95, 5.40, 5.50, 5.35, 5.55, 5.25, 5.40, 5.55, 6.25),
)  # fmt: skip


def test_signed_rank_is_that_of_hollander_and_wolfe_and_of_r():
    found = signed_rank([first - second for first, second in zip(FIRST, SECOND, strict=True)])
    assert found.statistic == 40  # R: V = 40, p-value = 0.01953 one-sided
    assert found.p == pytest.approx(2 * 0.01953, abs=1e-5)


def test_hodges_lehmann_and_its_interval_are_those_of_hollander_and_wolfe():
    found = signed_rank([second - first for first, second in zip(FIRST, SECOND, strict=True)])
    assert found.estimate == pytest.approx(-0.46)
    assert (found.low, found.high) == pytest.approx((-0.786, -0.010))
    assert found.confidence == pytest.approx(0.961, abs=5e-4)


@pytest.mark.parametrize(
    ("pairs", "critical"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52), (25, 89)]
)
def test_the_interval_cuts_off_wilcoxons_critical_values(pairs, critical):
    # Wilcoxon (1947), two-sided 5%; the largest Walsh average left out has the critical value as its rank.
    differences = [2.0**power for power in range(pairs)]
    walsh = sorted((a + b) / 2 for i, a in enumerate(differences) for b in differences[i:])
    found = signed_rank(differences)
    assert (found.low, found.high) == (walsh[critical], walsh[-critical - 1])
    assert 0.95 <= found.confidence < 0.97


def test_friedman_is_that_of_hollander_and_wolfe_and_of_r():
    found = friedman(ROUNDING_TIMES)
    assert found.statistic == pytest.approx(11.1429, abs=5e-5)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    assert (found.treatments, found.blocks) == (3, 22)


def test_friedman_needs_three_treatments_and_two_blocks():
    assert friedman(ROUNDING_TIMES[:2]) is None
    assert friedman([times[:1] for times in ROUNDING_TIMES]) is None
    assert friedman([]) is None
    assert friedman([(1.0, 2.0)] * 3).p == 1


def test_holm_is_that_of_the_worked_example():
    # Wikipedia, "Holm-Bonferroni method", example: H4 and H1 are rejected at 5%, H3 and H2 are not.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    # R: p.adjust(1:5 / 100, "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx((0.05, 0.08, 0.09, 0.09, 0.09))
    assert holm([]) == ()


def test_cliffs_delta_is_that_of_hess_and_kromrey():
    # Hess and Kromrey (2004), as in the help page of cliff.delta (R package effsize): delta -0.25.
    treatment = (10, 10, 20, 20, 20, 30, 30, 30, 40, 50)
    control = (10, 20, 30, 40, 40, 50)
    assert cliffs_delta(control, treatment) == pytest.approx(-0.25)
    assert cliffs_delta(treatment, control) == pytest.approx(0.25)


def test_spearman_is_that_of_hollander_and_wolfe():
    # Hollander and Wolfe (1973), p. 187 and R's ?cor.test: lightness of tuna against a panel's score; S = 48.
    lightness = (44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1)
    score = (2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8)
    found = spearman(lightness, score)
    assert found.rho == pytest.approx(1 - 6 * 48 / (9 * 80))
    # Bonett and Wright (2000): tanh(atanh(0.6) +- 1.96 sqrt((1 + 0.36 / 2) / 6))
    assert (found.low, found.high) == pytest.approx((-0.17424, 0.91580), abs=5e-6)


def test_spearman_says_nothing_of_what_does_not_vary_and_gives_no_interval_to_three_points():
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 2, 3], [1, 3, 2]).low is None


def test_perfect_ranks_have_an_interval_that_few_points_keep_wide():
    few, many = (spearman(range(points), range(points)) for points in (5, 30))
    assert (few.rho, few.high, many.high) == (1, 1, 1)
    assert few.low < 0.3
    assert 0.99 < many.low < 1


def test_mann_whitney_is_that_of_hollander_and_wolfe_and_of_r():
    # Hollander and Wolfe (1973), p. 69 and R's ?wilcox.test: permeability of the human chorioamnion at term
    # and at 12 to 26 weeks; W = 35, one-sided p 0.1272.
    term = (0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46)
    early = (1.15, 0.88, 0.90, 0.74, 1.21)
    assert mann_whitney_p(term, early) == pytest.approx(2 * 0.1272, abs=1e-4)


def test_welch_is_that_of_r():
    # Student (1908), hours of sleep gained by two drugs, and R's ?t.test: t = -1.8608, p-value = 0.07939.
    first = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
    second = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
    assert welch_p(first, second) == pytest.approx(0.07939, abs=5e-6)
    assert welch_p([1.0], [2.0]) is None
    assert welch_p([1.0, 1.0], [2.0, 2.0]) is None


def test_shapiro_is_that_of_shapiro_and_wilk():
    # Shapiro and Wilk (1965), section 3: weights in pounds of 11 men; W = 0.79, p about 0.01.
    weights = (148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236)
    assert shapiro_p(weights) == pytest.approx(0.0067, abs=5e-5)
    assert shapiro_p(weights[:2]) is None
    assert shapiro_p([1.0, 1.0, 1.0]) is None


def test_a_power_of_students_t_is_that_of_r():
    # R: power.t.test(n = 20, sd = 1, power = 0.8, type = "one.sample") gives delta = 0.6604.
    scale = [(-1) ** place * math.sqrt(19 / 20) for place in range(20)]
    assert math.log(smallest_ratio_seen(scale, signed_rank=False)) == pytest.approx(0.6604, abs=5e-5)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.70, 0.80, Outcome.LOWER),
        (1.20, 1.30, Outcome.HIGHER),
        (0.96, 1.04, Outcome.EQUIVALENT),
        (0.96, 0.99, Outcome.EQUIVALENT),
        (0.93, 0.99, Outcome.LOWER),
        (0.93, 1.01, Outcome.OPEN),
        (None, None, Outcome.OPEN),
    ],
)
def test_what_an_interval_says(low, high, outcome):
    assert outcome_of(low, high) is outcome
