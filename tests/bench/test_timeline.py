from contextlib import contextmanager

import pytest

from greenbench.bench.timeline import (
    DEAD_PERIODS,
    DENSE_PERIODS,
    LONG_CHANGES,
    SHORT_CHANGES,
    Asked,
    dense_stretches,
    edge_changes,
    hold,
    lay_out,
    lead_s,
)
from greenbench.core.doubt import Rule
from greenbench.energy.validity import DEFAULT_LIMITS

SECOND = 1_000_000_000


def test_windows_follow_each_other_after_a_lead_of_two_periods_and_the_lag():
    first, second = lay_out(now_ns=0, windows=2, window_s=1.0, sensor_period_s=0.1, phases=(0.0, 0.5))
    assert first == Asked(begin_ns=int(0.4 * SECOND), end_ns=int(1.4 * SECOND))
    assert second.begin_ns == int(1.45 * SECOND)


def test_dense_stretches_follow_edges_and_none_reaches_into_the_next():
    asked = lay_out(now_ns=0, windows=2, window_s=5.0, sensor_period_s=0.1, phases=(0.0, 0.5))
    stretches = dense_stretches(asked, 0.1)
    long_ns = int(DENSE_PERIODS * 0.1 * SECOND)
    assert [begin for begin, _ in stretches] == [edge for one in asked for edge in (one.begin_ns, one.end_ns)]
    assert [end - begin for begin, end in stretches] == [long_ns, int(0.05 * SECOND), long_ns, long_ns]


def test_edges_of_one_instant_have_one_stretch():
    asked = lay_out(now_ns=0, windows=2, window_s=5.0, sensor_period_s=0.1, phases=(0.0, 0.0))
    assert len(dense_stretches(asked, 0.1)) == 3


def test_short_windows_have_more_changes_seen_closely_at_their_edges():
    def changes(*lengths_s):
        windows = (Asked(begin_ns=0, end_ns=int(length * SECOND)) for length in lengths_s)
        return edge_changes(tuple(windows), 0.1)

    assert changes(10.0) == changes(5.0) == LONG_CHANGES
    assert changes(4.9) == changes(10.0, 1.0) == SHORT_CHANGES > LONG_CHANGES


def test_the_load_is_held_past_the_last_edge_and_read_densely_around_edges_only():
    now = [0]
    dense_ns = [0]

    @contextmanager
    def dense(*, changes):
        assert changes == edge_changes(asked, 0.1)
        began = now[0]
        yield
        dense_ns[0] += now[0] - began

    asked = lay_out(now_ns=0, windows=1, window_s=10.0, sensor_period_s=0.1, phases=(0.0,))
    hold(
        asked,
        sensor_period_s=0.1,
        dense=dense,
        check=lambda: None,
        clock=lambda: now[0],
        sleep=lambda s: now.__setitem__(0, now[0] + max(1, int(s * SECOND))),
    )
    assert now[0] >= asked[-1].end_ns + lead_s(0.1) * SECOND
    assert now[0] >= asked[-1].end_ns + DEAD_PERIODS * 0.1 * SECOND
    assert dense_ns[0] == pytest.approx(2 * DENSE_PERIODS * 0.1 * SECOND, rel=0.01)


def test_a_counter_that_is_dead_after_the_last_edge_is_held_long_enough_to_be_void():
    assert DEFAULT_LIMITS[Rule.GAP].invalid < DEAD_PERIODS


def test_a_broken_load_is_noticed_while_holding():
    def check():
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        hold(
            (Asked(begin_ns=0, end_ns=SECOND),),
            sensor_period_s=0.0,
            dense=None,
            check=check,
            clock=lambda: 0,
            sleep=lambda _: None,
        )
