import json

import numpy as np
import pytest

from greenbench.core.errors import MeterError
from greenbench.core.reading import Series
from greenbench.energy import calibrate as module
from greenbench.energy.calibrate import calibrate, counter_period, sensor_period
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import CallSensor

SECOND = 1_000_000_000


class Simulated:
    """A clock, and a counter of 20 ms whose every read takes 1 ms of it."""

    def __init__(self, step_j=1.0) -> None:
        self.now = 5 * SECOND
        self.reads = 0
        self.step_j = step_j

    def clock(self) -> int:
        return self.now

    def read(self) -> float:
        value = self.now // (SECOND // 50) * self.step_j
        self.now += SECOND // 1000
        self.reads += 1
        return float(value)

    def sensor(self) -> CallSensor:
        return CallSensor(stream="counter", unit="J", period_s=0.1, dense=True, call=self.read)


@pytest.fixture
def simulated(monkeypatch) -> Simulated:
    found = Simulated()
    monkeypatch.setattr(
        module, "calibrate", lambda sensor: calibrate(sensor, length_s=1.0, clock=found.clock)
    )
    return found


def meters(simulated, *, driver="580.1", uuid="GPU-1/2"):
    return MeterSet(sensors=(simulated.sensor(),), facts={"gpu": {"uuid": uuid, "driver": driver}})


def test_period_and_cost_of_a_read_are_found():
    simulated = Simulated()
    found = calibrate(simulated.sensor(), length_s=2.0, clock=simulated.clock)
    assert found.period_s == pytest.approx(0.02, rel=0.02)
    assert found.read_p50_s == pytest.approx(0.001)
    assert found.changes == pytest.approx(100, abs=2)


def test_a_stuck_counter_is_an_error():
    simulated = Simulated(step_j=0.0)
    with pytest.raises(MeterError, match=r"changed 0 times.*stuck"):
        calibrate(simulated.sensor(), length_s=1.0, clock=simulated.clock)


def test_a_change_that_was_missed_does_not_stretch_the_period():
    at = np.arange(0, 2 * SECOND, SECOND // 500)
    seen = (at // (SECOND // 50)).astype(float)
    kept = (at < SECOND) | (at > SECOND + SECOND // 10)
    series = Series(stream="counter", unit="J", t_before_ns=at[kept], t_after_ns=at[kept], value=seen[kept])
    assert sensor_period(series) == pytest.approx(0.02, rel=0.005)


def test_measured_once_and_then_remembered(simulated, tmp_path):
    first = counter_period(meters(simulated), tmp_path)
    reads = simulated.reads
    assert reads > 0
    assert counter_period(meters(simulated), tmp_path) == first
    assert simulated.reads == reads
    assert counter_period(meters(simulated), tmp_path, anew=True) == pytest.approx(first, rel=0.02)
    assert simulated.reads > reads


@pytest.mark.parametrize("other", [{"driver": "590.2"}, {"uuid": "GPU-3"}])
def test_another_driver_or_gpu_is_measured_by_itself(simulated, tmp_path, other):
    counter_period(meters(simulated), tmp_path)
    reads = simulated.reads
    counter_period(meters(simulated, **other), tmp_path)
    assert simulated.reads > reads
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"period_s": 0.02}',
        json.dumps({"period_s": None, "read_p50_s": 0.0, "read_p95_s": 0.0, "changes": 9}),
        json.dumps({"period_s": 0.0, "read_p50_s": 0.0, "read_p95_s": 0.0, "changes": 9}),
    ],
)
def test_a_damaged_memory_is_measured_anew(simulated, tmp_path, text):
    counter_period(meters(simulated), tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert counter_period(meters(simulated), tmp_path) == pytest.approx(0.02, rel=0.02)
    assert json.loads(file.read_text())["period_s"] == pytest.approx(0.02, rel=0.02)


def test_without_a_counter_there_is_no_period(tmp_path):
    assert counter_period(MeterSet(facts={"gpu": None}), tmp_path) is None
    assert counter_period(MeterSet(facts={"gpu": {"uuid": "u", "driver": "d"}}), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
