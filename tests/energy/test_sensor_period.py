import numpy as np
import pytest

from greenbench.core.reading import Series
from greenbench.energy.calibrate import sensor_period

SECOND = 1_000_000_000


@pytest.mark.parametrize("period_s", [0.01, 0.02, 0.05, 0.1])
@pytest.mark.parametrize(("median_s", "spread", "worst_s"), [(0.0029, 0.54, 0.017), (0.0045, 0.65, 0.030)])
def test_reads_as_slow_as_on_the_recorded_gpu_hide_no_period(period_s, median_s, spread, worst_s):
    """Costs of a read idle and loaded, by their recorded median, 95th percentile and worst."""
    errors = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        costs = np.clip(generator.lognormal(np.log(median_s), spread, 2000), 0.002, worst_s)
        at = np.cumsum(costs)
        at = at[at < 3.0]
        ticks = generator.uniform(0, period_s) + period_s * np.arange(int(3.2 / period_s))
        ticks = np.sort(ticks + generator.normal(0, 0.01 * period_s, len(ticks)))
        stamps = (at * SECOND).astype(np.int64)
        seen = np.searchsorted(ticks, at).astype(float)
        series = Series(stream="counter", unit="J", t_before_ns=stamps, t_after_ns=stamps, value=seen)
        errors.append(abs(sensor_period(series) / period_s - 1))
    assert max(errors) <= 0.02
