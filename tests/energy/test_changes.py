"""How much single steps of a counter vary, where the truth is known."""

import numpy as np
import pytest

from greenbench.core.reading import Series
from greenbench.energy.changes import changes_of, step_scatter

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
