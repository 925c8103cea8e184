from contextlib import contextmanager

import pytest

from greenbench.bench.timeline import Asked, dense_stretches, hold, lay_out, lead_s

SECOND = 1_000_000_000


def test_windows_follow_each_other_after_a_lead_of_two_periods_and_the_lag():
    first, second = lay_out(now_ns=0, windows=2, window_s=1.0, sensor_period_s=0.1, phases=(0.0, 0.5))
    assert first == Asked(begin_ns=int(0.4 * SECOND), end_ns=int(1.4 * SECOND))
    assert second.begin_ns == int(1.45 * SECOND)


def test_dense_stretches_surround_edges_and_join_where_they_touch():
    asked = lay_out(now_ns=0, windows=2, window_s=5.0, sensor_period_s=0.1, phases=(0.0, 0.0))
    stretches = dense_stretches(asked, 0.1)
    assert len(stretches) == 3
    assert all(
        begin <= edge <= end
        for (begin, end), edge in zip(
            stretches, (asked[0].begin_ns, asked[0].end_ns, asked[1].end_ns), strict=True
        )
    )


def test_the_load_is_held_past_the_last_edge_and_read_densely_around_edges_only():
    now = [0]
    dense_ns = [0]

    @contextmanager
    def dense():
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
    assert dense_ns[0] == pytest.approx(2 * 5 * 0.1 * SECOND, rel=0.01)


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
