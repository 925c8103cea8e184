import math

import numpy as np
import pytest
from scipy import stats

from greenbench.report.comparison import CellComparison, Comparison
from greenbench.report.contrast import Contrast, contrast
from greenbench.report.gate import Outcome, gate


def rounds(values):
    return dict(enumerate(values, start=1))


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_is_that_of_scipys_t_tests(paired):
    a, b = [1.0, 1.1, 1.05, 1.2], [2.0, 2.1, 2.2, 2.3]
    found = contrast(rounds(a), rounds(b), paired=paired)
    logs = np.log(b), np.log(a)
    test = stats.ttest_rel(*logs) if paired else stats.ttest_ind(*logs, equal_var=False)
    low, high = test.confidence_interval(0.95)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((low, high))


def test_what_moves_both_sides_of_a_round_cancels_in_pairs():
    drift = np.array([1.0, 1.2, 1.5, 0.9, 1.1])
    a, b = rounds(drift), rounds(1.1 * drift)
    paired, unpaired = contrast(a, b, paired=True), contrast(a, b, paired=False)
    assert paired.ratio == pytest.approx(1.1)
    assert paired.high - paired.low < 1e-9
    assert unpaired.low < 1 < unpaired.high


def test_only_shared_rounds_are_pairs():
    found = contrast({1: 1.0, 2: 1.0, 3: 9.0}, {1: 2.0, 2: 2.0, 4: 9.0}, paired=True)
    assert (found.ratio, found.rounds_a, found.rounds_b) == (pytest.approx(2.0), 2, 2)
    assert contrast({1: 1.0}, {2: 1.0}, paired=True) is None
    assert contrast({}, {2: 1.0}, paired=False) is None


def test_one_round_has_no_interval():
    found = contrast({1: 1.0}, {1: 2.0}, paired=False)
    assert (found.low, found.high) == (None, None)


def outcomes(ratio, *, runs, cv=0.015, count=10):
    generator = np.random.default_rng(7)
    for _ in range(runs):
        a, b = (rounds(np.exp(generator.normal(0, cv, count))) for _ in range(2))
        yield judged(contrast(a, {number: ratio * value for number, value in b.items()}, paired=False))


def judged(found: Contrast | None, refused=()) -> Outcome:
    cell = CellComparison(cell="c", a="c", b="c", energy=found, time=found, refused=refused, energy_sides=2)
    sides = Comparison(a="old", b="new", cells=(cell,), only_a=(), only_b=())
    return gate(sides, limit=0.05).outcome


def test_a_gate_on_ten_rounds_of_noise_seldom_cries_wolf_and_finds_ten_percent():
    same = list(outcomes(1.0, runs=1000))
    assert same.count(Outcome.REGRESSED) <= 10
    assert same.count(Outcome.INCONCLUSIVE) <= 50
    worse = list(outcomes(1.10, runs=1000))
    assert worse.count(Outcome.REGRESSED) >= 950


def test_a_gate_at_the_limit_itself_does_not_decide():
    assert list(outcomes(1.05, runs=200)).count(Outcome.INCONCLUSIVE) >= 180


def test_a_gate_without_an_interval_is_inconclusive_and_without_figures_invalid():
    assert judged(contrast({1: 1.0}, {1: 1.0}, paired=False)) is Outcome.INCONCLUSIVE
    assert judged(None) is Outcome.INVALID
    assert judged(None, refused=("other GPUs: A and B",)) is Outcome.INVALID
