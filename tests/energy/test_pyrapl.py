import numpy as np
import pytest

from greenbench.core.doubt import Rule
from greenbench.core.errors import ConfigurationError, MeterError
from greenbench.core.reading import Domain, Series
from greenbench.energy import pyrapl
from greenbench.energy.meter import MeterSet
from greenbench.energy.pyrapl import open_pyrapl
from greenbench.energy.recorder import Record
from greenbench.energy.validity import DEFAULT_LIMITS, judge
from greenbench.energy.window import cut

SECOND = 1_000_000_000


def test_counters_come_in_joules_per_socket_and_unread_sockets_are_left_out():
    meter = open_pyrapl(lambda: {Domain.CPU: lambda: (2_000_000.0, -1.0, 3_000_000.0)})
    assert meter.domains == {Domain.CPU: ("pyrapl:cpu-0", "pyrapl:cpu-2")}
    assert [sensor.read() for sensor in meter.sensors] == [2.0, 3.0]
    assert {item.domain for item in meter.absent} == {Domain.DRAM}


def test_a_host_without_rapl_says_so():
    def load():
        raise OSError("no RAPL device can be read on this host")

    meter = open_pyrapl(load)
    assert meter.domains == {}
    assert all("no RAPL device" in item.reason for item in meter.absent)


def test_without_pyrapl_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyRAPL", None)
    with pytest.raises(ConfigurationError, match="pip install"):
        pyrapl.open_pyrapl()


def window_of(values):
    at = (np.arange(len(values)) * 0.1 * SECOND).astype(np.int64)
    series = Series(
        stream="pyrapl:cpu-0", unit="J", t_before_ns=at, t_after_ns=at + 1000, value=np.array(values)
    )
    meters = MeterSet(domains={Domain.CPU: ("pyrapl:cpu-0",)}, scope="cpu", handles_wraps=False)
    record = Record({"pyrapl:cpu-0": series}, periods_s={"pyrapl:cpu-0": 0.1})
    ends = np.arange(0, 11 * SECOND, SECOND // 100)
    return cut(
        record, meters, asked_begin_ns=SECOND, asked_end_ns=9 * SECOND, ends_ns=ends, sensor_period_s=0.0
    )


def test_its_joules_always_carry_the_doubt():
    window = window_of(50.0 * np.arange(106) * 0.1)
    assert window.energy[Domain.CPU].joules == pytest.approx(50.0 * window.duration_s, rel=1e-3)
    assert {doubt.rule for doubt in judge(window, DEFAULT_LIMITS)} == {Rule.NO_WRAP_HANDLING}


def test_a_wrap_voids_the_domain_instead_of_inventing_joules():
    window = window_of(50.0 * np.arange(106) * 0.1 % 200.0)
    assert Domain.CPU not in window.energy
    assert Rule.COUNTER_RESET in {doubt.rule for doubt in judge(window, DEFAULT_LIMITS)}


@pytest.mark.parametrize("later", [None, (-1.0,), OSError(5, "Input/output error"), ValueError("''")])
def test_a_socket_that_stops_answering_is_an_error_never_a_joule(later):
    answers = iter([(1.0,), later])

    def device():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    (sensor,) = open_pyrapl(lambda: {Domain.CPU: device}).sensors
    with pytest.raises(MeterError, match="pyRAPL"):
        sensor.read()


@pytest.mark.parametrize("answer", [None, (), (-1.0, -1.0)])
def test_a_device_that_reads_nothing_is_an_absent_domain(answer):
    meter = open_pyrapl(lambda: {Domain.CPU: lambda: answer, Domain.DRAM: lambda: (1.0,)})
    assert set(meter.domains) == {Domain.DRAM}
    assert [item.domain for item in meter.absent] == [Domain.CPU]
