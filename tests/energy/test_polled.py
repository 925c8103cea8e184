import numpy as np
import pytest

from greenbench.core.reading import Domain, Series
from greenbench.energy.meter import MeterSet
from greenbench.energy.polled import POLL_S, STREAM, IntegratedPower
from greenbench.energy.power import mean_power
from greenbench.energy.recorder import Record
from greenbench.energy.window import cut

SECOND = 1_000_000_000
METERS = MeterSet(domains={Domain.GPU: (STREAM,)}, scope="gpu")


def integrated(at_s, watts):
    """Poll a made-up power; return the stream as the recorder keeps it."""
    instants = (np.asarray(at_s) * SECOND).astype(np.int64)
    times, powers = iter(instants.tolist()), iter(watts)
    poll = IntegratedPower(lambda: next(powers), lambda: next(times))
    joules = np.array([poll() for _ in instants])
    return Series(stream=STREAM, unit="J", t_before_ns=instants, t_after_ns=instants + 1000, value=joules)


def record(series):
    return Record({STREAM: series}, periods_s={STREAM: POLL_S}, dense=frozenset())


def test_a_ramp_is_integrated_by_the_trapezoid_whatever_the_gaps():
    at_s = np.cumsum([0.0, 0.01, 0.013, 0.2, 0.01])
    found = integrated(at_s, 100 + 50 * at_s)
    assert found.value == pytest.approx(100 * at_s + 25 * at_s**2)


def test_a_window_of_polled_power_has_the_runtimes_edges_and_its_joules():
    at_s = np.arange(0, 11, POLL_S)
    watts = np.where(at_s < 5, 200.0, 300.0)
    window = cut(
        record(integrated(at_s, watts)),
        METERS,
        asked_begin_ns=SECOND,
        asked_end_ns=9 * SECOND,
        ends_ns=np.arange(0, 11 * SECOND, SECOND // 50),
        sensor_period_s=0.1,  # the board has a counter as well, which sets no edges here
    )
    assert window.edge_source == "runtime"
    assert window.energy[Domain.GPU].joules == pytest.approx(4 * 200 + 4 * 300, rel=1e-3)
    assert window.power_gpu_mean_w == pytest.approx(250, rel=1e-3)


def test_a_baseline_of_polled_power_is_its_mean():
    at_s = np.arange(0, 11, POLL_S)
    found = mean_power(
        record(integrated(at_s, np.full(len(at_s), 61.0))),
        METERS,
        Domain.GPU,
        begin_ns=SECOND,
        end_ns=10 * SECOND,
        sensor_period_s=0.1,
    )
    assert found.power_w == pytest.approx(61.0)
    assert found.settled
