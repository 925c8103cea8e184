import threading
import time

import numpy as np
import pytest

from greenbench.core.errors import MeterError
from greenbench.energy import recorder as recorder_module
from greenbench.energy.changes import changes_of
from greenbench.energy.recorder import Recorder
from greenbench.energy.sensor import CallSensor


def counting(stream="s", period_s=0.01, *, dense=False):
    values = iter(range(10_000_000))
    return CallSensor(
        stream=stream, unit="J", period_s=period_s, dense=dense, call=lambda: float(next(values))
    )


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_every_reading_is_stamped_on_both_sides_and_in_order():
    with Recorder([counting()]) as recorder:
        until(lambda: len(recorder.record()["s"]) >= 10)
        series = recorder.record()["s"]
    assert (series.t_before_ns <= series.t_after_ns).all()
    assert (np.diff(series.t_before_ns) > 0).all()
    assert (series.value == np.arange(len(series))).all()


def test_a_dense_sensor_is_read_inside_dense_stretches_only():
    with Recorder([counting("slow"), counting("counter", dense=True)]) as recorder:
        until(lambda: len(recorder.record()["slow"]) >= 3)
        assert len(recorder.record()["counter"]) == 0
        with recorder.dense():
            until(lambda: len(recorder.record()["counter"]) >= 20)
        time.sleep(0.05)
        count = len(recorder.record()["counter"])
        turns = len(recorder.record()["slow"])
        until(lambda: len(recorder.record()["slow"]) >= turns + 5)
        assert len(recorder.record()["counter"]) == count
        assert recorder.record().dense == {"counter"}


def test_a_failing_sensor_is_a_fault_and_the_others_go_on():
    def fail() -> float:
        raise MeterError("the GPU has fallen off the bus")

    broken = CallSensor(stream="broken", unit="W", period_s=0.01, call=fail)
    with Recorder([broken, counting()]) as recorder:
        until(lambda: len(recorder.record()["s"]) >= 5)
        record = recorder.record()
    assert len(record["broken"]) == 0
    assert {fault.stream for fault in record.faults} == {"broken"}
    assert "fallen off" in record.faults[0].message


def test_a_sensor_that_hangs_is_named(monkeypatch):
    monkeypatch.setattr(recorder_module, "ANSWER_S", 0.1)
    before, answer = threading.active_count(), threading.Event()

    def hangs() -> float:
        answer.wait(30)
        return 1.0

    sensor = CallSensor(stream="counter", unit="J", period_s=0.01, call=hangs)
    with (
        pytest.raises(MeterError, match=r"the sensor counter has not answered for 0.1 s"),
        Recorder([sensor]),
    ):
        time.sleep(0.05)
    answer.set()
    until(lambda: threading.active_count() == before)


def test_leaving_ends_the_thread():
    before = threading.active_count()
    with Recorder([counting()]):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_missed_turn_shows_as_a_gap_and_is_not_made_up_for():
    slept = []

    def slow() -> float:
        if len(slept) == 3:
            time.sleep(0.3)
        slept.append(1)
        return 1.0

    with Recorder([CallSensor(stream="s", unit="J", period_s=0.05, call=slow)]) as recorder:
        until(lambda: len(recorder.record()["s"]) >= 8)
        gaps = np.diff(recorder.record()["s"].t_before_ns) / 1e9
    assert gaps.max() >= 0.25
    assert (gaps > 0.01).all()
    assert pytest.approx(0.05, abs=0.04) == np.median(gaps)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("not a number"), RuntimeError("what")])
def test_whatever_a_sensor_raises_the_thread_goes_on(error):
    def fail() -> float:
        raise error

    broken = CallSensor(stream="broken", unit="W", period_s=0.01, call=fail)
    with Recorder([broken, counting()]) as recorder:
        until(lambda: len(recorder.record()["s"]) >= 5)
        assert str(error) in recorder.record().faults[0].message


def test_each_sensor_is_read_on_its_own_schedule():
    with Recorder([counting("often", 0.02), counting("seldom", 0.2)]) as recorder:
        until(lambda: len(recorder.record()["seldom"]) >= 4)
        record = recorder.record()
    assert record.periods_s == {"often": 0.02, "seldom": 0.2}
    # No reading comes early, however busy the host: the schedule is the fastest there is.
    for stream, period_s in record.periods_s.items():
        times = record[stream].t_before_ns
        assert len(times) <= (times[-1] - times[0]) / 1e9 / period_s + 2
    assert len(record["often"]) > len(record["seldom"])


def test_a_sensor_that_failed_and_came_back_is_read_again():
    calls = []

    def sometimes() -> float:
        calls.append(1)
        if len(calls) < 4:
            raise MeterError("busy")
        return 1.0

    with Recorder([CallSensor(stream="s", unit="J", period_s=0.01, call=sometimes)]) as recorder:
        until(lambda: len(recorder.record()["s"]) >= 2)
        record = recorder.record()
    assert len(record.faults) == 3


def test_an_error_inside_the_block_ends_the_thread_as_well():
    before = threading.active_count()
    with pytest.raises(KeyError), Recorder([counting()]) as recorder, recorder.dense():
        raise KeyError
    assert threading.active_count() == before


def test_the_phase_of_all_sensors_comes_from_the_seed_and_is_shorter_than_any_period():
    def first(seed):
        sensors = [counting(str(period_s), period_s) for period_s in (1000.0, 10.0, 2000.0)]
        recorder = Recorder(sensors, clock=lambda: 0, seed=seed)
        return {stream.next_ns for stream in recorder._streams}

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert len(first(1)) == 1
    assert all(0 <= max(first(seed)) < 10 * 10**9 for seed in range(50))


def test_sensors_whose_turns_coincide_are_read_in_one_waking():
    sensors = [counting("often", 0.05), counting("seldom", 0.1), counting("hardly", 0.2)]
    with Recorder(sensors) as recorder:
        time.sleep(1.0)
    record = recorder.record()
    often = record["often"].t_before_ns
    for stream in ("seldom", "hardly"):
        # Each right beside one of the others, whenever the thread woke: a period apart they are 50 ms.
        away_ns = [np.abs(often - read).min() for read in record[stream].t_before_ns]
        assert len(away_ns) >= 2
        assert np.median(away_ns) < 5_000_000


def test_a_change_does_not_wait_for_a_burst_of_polled_sensors():
    """A burst of 15 ms, due at the counter's every change: each change is still seen closely."""
    period_ns = 100_000_000
    counter = CallSensor(
        stream="counter",
        unit="J",
        period_s=0.1,
        dense=True,
        call=lambda: float(time.monotonic_ns() // period_ns),
    )
    slow = [
        CallSensor(stream=f"slow {number}", unit="1", period_s=0.1, call=lambda: time.sleep(0.001) or 1.0)
        for number in range(12)
    ]
    with Recorder([*slow, counter], sensor_period_s=0.1) as recorder:
        for stream in recorder._streams:
            stream.next_ns = (time.monotonic_ns() // period_ns + 2) * period_ns - 7_000_000
        for _ in range(3):
            with recorder.dense(changes=5):
                time.sleep(0.75)
    changes = changes_of(recorder.record()["counter"])
    widths_ms = (changes.by_ns - changes.after_ns) / 1e6
    assert len(widths_ms) >= 10
    # Behind a whole burst nothing would be read before the change: its width would be a period.
    assert np.median(widths_ms) < 20


def test_nothing_is_read_before_entering():
    recorder = Recorder([counting(period_s=0.001)])
    time.sleep(0.02)
    assert len(recorder.record()["s"]) == 0
