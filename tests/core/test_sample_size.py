"""Checked by simulation: does the interval come out as narrow as asked, and is it still an honest one?"""

import numpy as np
import pytest

from greenbench.core.errors import ConfigurationError
from greenbench.core.sample_size import ROUNDS_CAP, half_width, rounds_for
from greenbench.core.share import parse_share

PILOT = 5
RUNS = 3000


def test_half_width_is_students_t():
    # t(9, 0.975) = 2.262157
    assert half_width(0.01, 10) == pytest.approx(2.262157 * 0.01 / 10**0.5)


def test_the_number_is_the_smallest_even_one_that_fits():
    rounds = rounds_for(0.01, 0.01, pilot=PILOT)
    upper = 0.01 * (4 / 1.648777) ** 0.5  # lower 20% point of chi squared with 4 degrees of freedom
    assert rounds % 2 == 0
    assert half_width(upper, rounds) <= 0.01
    assert half_width(upper, rounds - 2) > 0.01


def test_a_pilot_that_is_narrow_enough_is_all_there_is():
    assert rounds_for(0.0, 0.01, pilot=PILOT) == PILOT
    assert rounds_for(0.002, 0.01, pilot=PILOT) == PILOT


def test_it_never_plans_more_than_the_cap():
    assert rounds_for(0.5, 0.01, pilot=PILOT) == ROUNDS_CAP


@pytest.mark.parametrize(
    ("spread", "target", "pilot"), [(float("nan"), 0.01, 5), (0.01, 0.0, 5), (0.1, 0.01, 1)]
)
def test_nonsense_is_refused(spread, target, pilot):
    with pytest.raises(ValueError):
        rounds_for(spread, target, pilot=pilot)


def simulated(spread, target, *, seed):
    """Return, over many runs, the interval that came out, and whether it held the true mean."""
    generator = np.random.default_rng(seed)
    achieved, held = [], []
    for _ in range(RUNS):
        values = generator.normal(1.0, spread, size=ROUNDS_CAP)
        pilot = values[:PILOT]
        rounds = rounds_for(pilot.std(ddof=1) / pilot.mean(), target, pilot=PILOT)
        used = values[:rounds]
        half = half_width(used.std(ddof=1), rounds)
        achieved.append(half / used.mean())
        held.append(abs(used.mean() - 1.0) <= half)
    return np.array(achieved), np.array(held)


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.03])
def test_the_interval_comes_out_as_aimed_in_most_runs_and_stays_honest(spread):
    achieved, held = simulated(spread, 0.01, seed=17)
    assert (achieved <= 0.01).mean() > 0.75
    assert np.median(achieved) < 0.01
    # The pilot's rounds choose the number and count: 95% intervals then hold a little less often.
    assert 0.905 < held.mean() < 0.965


def test_without_the_upper_limit_it_would_be_a_toss():
    """The control: taking the pilot's spread as it is aims for the middle."""
    generator = np.random.default_rng(5)
    hit = 0
    for _ in range(RUNS):
        values = generator.normal(1.0, 0.02, size=ROUNDS_CAP)
        spread = values[:PILOT].std(ddof=1)
        fits = (n for n in range(PILOT, ROUNDS_CAP + 1) if half_width(spread, n) <= 0.01)
        rounds = next(fits, ROUNDS_CAP)
        hit += half_width(values[:rounds].std(ddof=1), rounds) <= 0.01
    assert hit / RUNS < 0.65


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("0.02", 0.02), (" 3% ", 0.03)])
def test_shares_as_users_write_them(text, share):
    assert parse_share(text, option="--target-u") == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "one", "0", "100%", "-1%", "1", "nan", "1%%"])
def test_what_is_no_share_is_one_line(text):
    with pytest.raises(ConfigurationError, match="--target-u"):
        parse_share(text, option="--target-u")
