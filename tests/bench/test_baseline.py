from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

from greenbench.bench.baseline import measure_baseline
from greenbench.core.reading import Domain, Series
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Record

SECOND = 1_000_000_000
CPU = MeterSet(domains={Domain.CPU: ("rapl:a",)})


class Host:
    """A clock that only sleeping moves, and a counter polled every 0.1 s under a given power."""

    def __init__(self, power_w: Callable[[float], float]) -> None:
        self.now_ns = 0
        self._power_w = power_w

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)

    def dense(self) -> nullcontext[None]:
        return nullcontext()

    def record(self) -> Record:
        at_s = np.arange(0, self.now_ns / SECOND, 0.1)
        joules = np.concatenate([[0.0], np.cumsum([self._power_w(at) * 0.1 for at in at_s[:-1]])])
        at_ns = (at_s * SECOND).astype(np.int64)
        series = Series(stream="rapl:a", unit="J", t_before_ns=at_ns, t_after_ns=at_ns, value=joules)
        return Record({"rapl:a": series}, periods_s={"rapl:a": 0.1})


def measured(host, length_s):
    return measure_baseline(
        host,
        CPU,
        kind="B1",
        load_id="load",
        length_s=length_s,
        sensor_period_s=0.0,
        clock=host.clock,
        sleep=host.sleep,
    )


def test_a_steady_host_is_measured_once():
    host = Host(lambda _: 40.0)
    (found,) = measured(host, 3.0)
    assert found.settled
    assert found.power_w == pytest.approx(40.0, rel=0.01)
    assert host.now_ns < 5 * SECOND


def test_what_settles_late_is_measured_again():
    host = Host(lambda at: 40.0 + 5 * max(0.0, 6 - at))
    (found,) = measured(host, 3.0)
    assert found.settled
    assert found.begin_ns >= 5 * SECOND
    assert found.power_w == pytest.approx(40.0, rel=0.01)


@pytest.mark.parametrize(("length_s", "patience_s"), [(1.0, 5.0), (3.0, 15.0), (10.0, 30.0)])
def test_what_never_settles_is_waited_for_in_proportion_to_its_length_and_said(length_s, patience_s):
    host = Host(lambda at: 10.0 + at**2)
    (found,) = measured(host, length_s)
    assert not found.settled
    assert length_s + patience_s < host.now_ns / SECOND < 3 * length_s + patience_s + 5


def test_a_host_without_a_meter_waits_for_nothing():
    host = Host(lambda _: 40.0)
    assert (
        measure_baseline(
            host,
            MeterSet(),
            kind="B0",
            load_id=None,
            length_s=600.0,
            sensor_period_s=0.0,
            clock=host.clock,
            sleep=host.sleep,
        )
        == ()
    )
    assert host.now_ns == 0
