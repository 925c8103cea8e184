import numpy as np
import pytest

from greenbench.bench.warmup import is_steady, power_of, rates, sub_window_s, warm_up
from greenbench.core.reading import Series
from greenbench.energy.recorder import Record

SECOND = 1_000_000_000


def stamps(*periods_s: float) -> np.ndarray:
    return np.cumsum(np.array(periods_s) * SECOND).astype(np.int64)


def power(values: list[float]) -> Series:
    times = np.arange(len(values), dtype=np.int64) * SECOND // 10
    return Series(stream="instant", unit="W", t_before_ns=times, t_after_ns=times, value=np.array(values))


def test_rates_are_those_of_the_last_three_sub_windows():
    ends = stamps(*[0.01] * 100, *[0.02] * 200)
    assert rates(ends, until_ns=int(ends[-1]), length_s=1.0) == pytest.approx([50, 50, 50], rel=0.01)


def test_too_few_stamps_say_nothing():
    assert len(rates(stamps(0.1, 0.1), until_ns=SECOND, length_s=1.0)) == 0


def test_a_load_that_gets_faster_is_not_steady():
    assert not is_steady(stamps(*np.linspace(0.05, 0.01, 200)), None, length_s=1.0)


def test_an_even_load_is_steady_without_a_meter():
    assert is_steady(stamps(*[0.01] * 400), None, length_s=1.0)


def test_power_that_still_climbs_is_not_steady():
    ends = stamps(*[0.01] * 400)
    assert not is_steady(ends, power(list(np.linspace(100, 300, 41))), length_s=1.0)
    assert is_steady(ends, power([300.0] * 41), length_s=1.0)


def test_power_is_that_which_the_board_averages_where_it_does():
    instant, average = power([300.0] * 5), power([290.0] * 5)
    for streams, expected in (
        ({"instant": instant, "average": average}, average),
        ({"instant": instant}, instant),
        ({"instant": instant, "average": power([])}, instant),
        ({}, None),
    ):
        assert power_of(Record(streams, periods_s={})) is expected


def test_the_cap_is_told_in_seconds():
    now = [0]
    waited = warm_up(
        lambda: stamps(*np.linspace(0.5, 0.01, 50)),
        lambda: None,
        cap_s=2.0,
        length_s=1.0,
        clock=lambda: now[0],
        sleep=lambda s: now.__setitem__(0, now[0] + int(s * SECOND)),
    )
    assert waited == pytest.approx(2.0, abs=0.11)


def test_a_broken_load_ends_the_warm_up():
    def broken() -> np.ndarray:
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        warm_up(broken, lambda: None, cap_s=1.0, length_s=1.0, clock=lambda: 0, sleep=lambda _: None)


@pytest.mark.parametrize(("window", "expected"), [(1, 0.5), (8, 0.8), (60, 1.0)])
def test_sub_windows_are_a_tenth_of_the_window_within_bounds(window, expected):
    assert sub_window_s(window) == expected
