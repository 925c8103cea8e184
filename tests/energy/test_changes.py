"""How much single steps of a counter vary, where the truth is known."""

import numpy as np
import pytest

from greenbench.core.reading import Series
from greenbench.energy.changes import changes_of, first_edge_after, step_scatter

SECOND = 1_000_000_000
PERIOD_S, WATTS = 0.1, 500.0


def scatter(generator, *, jitter_s=0.0, slope_w=0.0):
    ticks = PERIOD_S * np.arange(1, 60) + generator.normal(0, jitter_s, 59)
    reads = np.arange(0, 6, 0.002)
    last = np.concatenate([[0.0], ticks])[np.searchsorted(ticks, reads, side="right")]
    stamps = (reads * SECOND).astype(np.int64)
    value = WATTS * last + slope_w * last**2 / 2
    series = Series(stream="counter", unit="J", t_before_ns=stamps, t_after_ns=stamps, value=value)
    near = {
        edge: series.between(edge - 3 * SECOND // 10, edge + 3 * SECOND // 10)
        for edge in (SECOND, 4 * SECOND)
    }
    parts = list(near.values())
    dense = Series(
        stream="counter",
        unit="J",
        t_before_ns=np.concatenate([part.t_before_ns for part in parts]),
        t_after_ns=np.concatenate([part.t_after_ns for part in parts]),
        value=np.concatenate([part.value for part in parts]),
    )
    return step_scatter(changes_of(dense), tuple(near), PERIOD_S)


def test_changes_that_come_late_at_either_end_of_a_window_vary_it_as_much_as_a_step():
    generator = np.random.default_rng(5)
    found = np.array([scatter(generator, jitter_s=0.0005) for _ in range(400)])
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt(2) * 0.0005 * WATTS, rel=0.08)


@pytest.mark.parametrize("slope_w", [0.0, 10.0, -25.0])
def test_power_that_drifts_is_no_scatter(slope_w):
    assert scatter(np.random.default_rng(6), slope_w=slope_w) == pytest.approx(0.0, abs=1e-6)


def test_too_few_steps_say_nothing():
    stamps = np.arange(4) * SECOND // 10
    series = Series(
        stream="counter",
        unit="J",
        t_before_ns=stamps,
        t_after_ns=stamps,
        value=np.array([0.0, 1.0, 2.0, 9.0]),
    )
    assert step_scatter(changes_of(series), (SECOND // 10,), PERIOD_S) is None


MS = SECOND // 1000
CHANGE = 1000 * MS
"""When the counter first changes; then every 100 ms."""


def edge(*reads_ms, halved=True, late_ms=0.0):
    """The first edge that reads, given in ms from the first change, lead to: (ms from it, half-width in ms).

    Changes after the first come `late_ms` late.
    """
    begin = np.array([CHANGE + round(at * MS) for at in reads_ms], dtype=np.int64)
    since = np.where(begin < CHANGE + 50 * MS, begin - CHANGE, begin - CHANGE - round(late_ms * MS))
    value = 50.0 * (since // (100 * MS))
    series = Series(stream="counter", unit="J", t_before_ns=begin, t_after_ns=begin, value=value)
    found = first_edge_after(changes_of(series), CHANGE - 50 * MS, PERIOD_S, halved=halved)
    return (found.t_ns - CHANGE) / MS, found.uncertainty_s * 1000


def test_a_read_in_the_middle_of_the_next_changes_time_halves_what_two_close_reads_leave_open():
    assert edge(-4, 4) == (pytest.approx(0.0), pytest.approx(4.0))
    # It shows the change, which so had happened by then; or not yet, and a later read shows it.
    assert edge(-4, 4, 101, 225) == (pytest.approx(-1.35), pytest.approx(2.65))
    assert edge(-4, 4, 99, 125, 225) == (pytest.approx(1.35), pytest.approx(2.65))


def test_a_change_that_leaves_the_grid_can_not_move_an_edge_out_of_its_own_reads():
    # 7 ms late, so not yet there 3 ms after its time: by that alone the first one came after its second read.
    at_ms, half_ms = edge(-1, 2, 103, 125, 225, late_ms=7.0)
    assert -1.0 <= at_ms - half_ms <= at_ms + half_ms <= 2.0
    assert at_ms + half_ms == pytest.approx(2.0)


@pytest.mark.parametrize("reads_ms", [(-1, 2, 99, 140, 263), (-4, 4, 99, 136, 258)])
def test_a_change_that_came_long_before_its_read_says_nothing_of_the_one_after_it(reads_ms):
    """The read 123 ms later showed the third change; counted as the second it would move the first."""
    at_ms, half_ms = edge(*reads_ms)
    assert at_ms - half_ms <= 0.0 <= at_ms + half_ms


def test_runs_of_before_are_cut_as_they_were():
    assert edge(-4, 4, 101, 225, halved=False) == (pytest.approx(0.0), pytest.approx(4.0))
    assert edge(-4, 4, 99, 125, 225, halved=False) == (pytest.approx(1.5), pytest.approx(2.5))


def test_a_read_too_late_to_tell_one_change_from_two_bounds_nothing():
    assert edge(-4, 4, 130, 225) == (pytest.approx(0.0), pytest.approx(4.0))
    assert edge(-4, 4, 201, 325) == (pytest.approx(0.0), pytest.approx(4.0))
