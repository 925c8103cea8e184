import numpy as np
import pytest

from greenbench.report.statistics import (
    FEWEST_PAIRS,
    Outcome,
    difference_of,
    signed_rank,
    smallest_ratio_seen,
    spearman,
)


def pairs(ratio, *, count, noise=0.02, drift=0.3, seed=3):
    generator = np.random.default_rng(seed)
    shared = np.exp(generator.normal(0, drift, count))
    a, b = (shared * np.exp(generator.normal(0, noise, count)) for _ in range(2))
    return list(a), list(ratio * b)


def test_what_a_round_does_to_both_sides_cancels():
    found = difference_of(*pairs(0.77, count=10))
    assert found.outcome is Outcome.LOWER
    assert found.ratio == pytest.approx(0.77, rel=0.02)
    assert found.high - found.low < 0.05
    # Unpaired, the same figures drown in what the rounds had in common.
    assert found.mann_whitney_p > 0.05
    assert found.welch_p > 0.05


def test_b_against_a_is_the_inverse_of_a_against_b():
    a, b = pairs(1.2, count=9)
    there, back = difference_of(a, b), difference_of(b, a)
    assert (there.ratio, there.low, there.high) == pytest.approx(
        (1 / back.ratio, 1 / back.high, 1 / back.low)
    )
    assert there.p == back.p
    assert there.cliffs_delta == -back.cliffs_delta


@pytest.mark.parametrize("count", range(1, FEWEST_PAIRS))
def test_few_rounds_have_no_interval_and_decide_nothing(count):
    found = difference_of([1.0] * count, [2.0 + place / 10 for place in range(count)])
    assert (found.low, found.high, found.smallest_ratio) == (None, None, None)
    assert found.outcome is Outcome.OPEN
    assert found.p >= 0.05
    assert (found.smallest_ratio_t is None) == (count == 1)


def test_six_rounds_are_the_fewest_that_can_decide():
    found = difference_of([1.0] * 6, [2.0 + place / 10 for place in range(6)])
    assert found.outcome is Outcome.HIGHER
    assert found.p == pytest.approx(2 / 2**6)


def test_equal_samples_are_equivalent_and_have_no_p():
    found = difference_of([1.0] * 8, [1.0] * 8)
    assert (found.ratio, found.low, found.high, found.p) == (1, 1, 1, None)
    assert found.outcome is Outcome.EQUIVALENT
    assert (found.shapiro_p, found.welch_p, found.cliffs_delta) == (None, None, 0)


def test_tied_differences_get_an_exact_p():
    # Six equal differences: of the 64 sign patterns two are as far out.
    assert signed_rank([0.5] * 6).p == pytest.approx(2 / 64)


@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
@pytest.mark.parametrize("count", [6, 10])
def test_intervals_hold_the_truth_as_often_as_they_say(draw, count):
    generator = np.random.default_rng(20260721)
    runs, truth = 800, 0.3
    found = [signed_rank(truth + getattr(generator, draw)(0, 1, count)) for _ in range(runs)]
    if draw == "uniform":
        truth += 0.5
    held = sum(one.low <= truth <= one.high for one in found) / runs
    said = found[0].confidence
    spread = (said * (1 - said) / runs) ** 0.5
    assert abs(held - said) < 3.5 * spread


def test_the_smallest_effect_is_found_four_times_out_of_five():
    generator = np.random.default_rng(5)
    runs, count, noise = 1000, 10, 0.02
    # The spread is known here; what is estimated from ten pairs scatters about it.
    known = np.array([-1, 1] * (count // 2)) * noise * np.sqrt((count - 1) / count)
    effect = np.log(smallest_ratio_seen(list(known)))
    found = [signed_rank(generator.normal(effect, noise, count)).p < 0.05 for _ in range(runs)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
    half = [signed_rank(generator.normal(effect / 2, noise, count)).p < 0.05 for _ in range(runs)]
    assert np.mean(half) < 0.4


def test_no_effect_is_called_one_at_most_as_often_as_it_may_be():
    generator = np.random.default_rng(11)
    runs = 600
    called = [
        difference_of(*np.exp(generator.normal(0, 0.05, (2, 10)))).outcome in {Outcome.LOWER, Outcome.HIGHER}
        for _ in range(runs)
    ]
    assert np.mean(called) <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_spearmans_interval_holds_the_truth():
    generator = np.random.default_rng(2)
    r, runs = 0.9, 800
    truth = 6 / np.pi * np.arcsin(r / 2)
    held = 0
    for _ in range(runs):
        x, noise = generator.normal(size=(2, 24))
        found = spearman(x, r * x + np.sqrt(1 - r**2) * noise)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / runs <= 0.97


def test_a_hundred_rounds_are_still_exact():
    found = signed_rank(list(np.random.default_rng(1).normal(0.5, 1, 100)))
    assert 0.95 <= found.confidence < 0.951
    assert 0.2 < found.low < found.estimate < found.high < 0.8
