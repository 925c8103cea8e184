import re
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from greenbench.core.errors import MeterError
from greenbench.energy import recorder as recorder_module
from greenbench.energy.buffer import BufferedSensor, Tail, Value, spacing_s
from greenbench.energy.recorder import Recorder

MS = 1_000_000


@dataclass
class Driver:
    """Takes a value every 20 ms and keeps the last 119; its clocks and what it does with them can be set."""

    now_ns: int = 50_000 * MS
    ahead_ns: int = 1_700_000_000_000 * MS
    values: list[Value] = field(default_factory=list)
    taken: int = 0

    def run(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.now_ns += 20 * MS
            taken_us = (self.now_ns + self.ahead_ns) // 1000
            self.values = [*self.values, Value(taken_us=taken_us, value=float(self.taken))][-119:]
            self.taken += 1

    def fetch(self, since_us: int) -> list[Value]:
        return [one for one in self.values if one.taken_us > since_us]

    def sensor(self) -> BufferedSensor:
        return BufferedSensor(
            stream="instant",
            unit="W",
            period_s=0.1,
            fetch=self.fetch,
            monotonic=lambda: self.now_ns,
            time_of_day=lambda: self.now_ns + self.ahead_ns,
        )


def test_values_bear_the_monotonic_instants_at_which_they_were_taken():
    driver = Driver()
    driver.run(500)  # of before: not given
    tail, begin_ns = Tail(driver.sensor()), driver.now_ns
    driver.run(1000)
    assert tail.fetch() == [(begin_ns + (k + 1) * 20 * MS, float(25 + k)) for k in range(50)]


def test_each_value_is_given_once():
    driver, found = Driver(), []
    tail = Tail(driver.sensor())
    for _ in range(5):
        driver.run(980)
        found += tail.fetch()
        assert tail.fetch() == []
    assert (np.diff([at for at, _ in found]) == 20 * MS).all()
    assert len(found) == 5 * 49


def test_clocks_that_drift_apart_between_two_fetches_give_each_value_once():
    driver, found = Driver(), []
    tail = Tail(driver.sensor())
    for drift_ns in (0, 300_000, -2_000_000, 1_500_000, 0):
        driver.run(980)
        driver.ahead_ns += drift_ns
        found += tail.fetch()
    assert [value for _, value in found] == [float(k) for k in range(5 * 49)]
    assert (np.diff([at for at, _ in found]) > 0).all()


def test_a_thread_held_up_between_its_looks_at_the_two_clocks_takes_that_for_no_step():
    driver, held_ns = Driver(), [0, 40 * MS, 0, 0, 0, 0]
    sensor = driver.sensor()

    def day_ns() -> int:
        driver.now_ns += held_ns.pop(0) if held_ns else 0
        return driver.now_ns + driver.ahead_ns

    tail = Tail(replace(sensor, time_of_day=day_ns))
    begin_ns = driver.now_ns
    driver.run(980)
    assert [at for at, _ in tail.fetch()] == [begin_ns + (k + 1) * 20 * MS for k in range(49)]


def instants_of(driver: Driver, begin_ns: int, values: list[float]) -> list[int]:
    """When some of its values were really taken, the first of all 20 ms after an instant."""
    return [begin_ns + (int(value) + 1) * 20 * MS for value in values]


@pytest.mark.parametrize("step_ms", [-3_600_000, -900, -300, -150, -3, 3, 150, 300, 3_600_000])
def test_a_clock_that_is_set_loses_what_was_not_fetched_and_misplaces_nothing(step_ms):
    driver = Driver()
    tail, begin_ns, found = Tail(driver.sensor()), driver.now_ns, []
    for seconds in range(6):
        driver.run(500)
        if seconds == 2:
            driver.ahead_ns += step_ms * MS + 7000  # hardly ever a multiple of the driver's own 20 ms
            driver.run(500)
            with pytest.raises(
                MeterError, match=re.escape(f"the time of day was set by {step_ms / 1e3:+.3f} s")
            ):
                tail.fetch()
        else:
            driver.run(500)
            found += tail.fetch()
    instants, values = [at for at, _ in found], [value for _, value in found]
    assert values == [*map(float, range(100)), *map(float, range(150, 300))]
    assert instants == instants_of(driver, begin_ns, values)


def test_a_driver_that_fails_while_a_step_is_looked_at_loses_that_stretch_too_and_misplaces_nothing():
    driver = Driver()
    sensor, begin_ns, fails = driver.sensor(), driver.now_ns, [True]

    def fetch(since_us: int) -> list[Value]:
        if since_us == 0 and fails:
            raise MeterError(f"the driver is busy{fails.pop() or ''}")
        return driver.fetch(since_us)

    tail = Tail(replace(sensor, fetch=fetch))
    driver.run(500)
    driver.ahead_ns -= 900 * MS + 7000
    driver.run(500)
    with pytest.raises(MeterError, match="busy"):
        tail.fetch()
    driver.run(500)
    with pytest.raises(MeterError, match="was set"):
        tail.fetch()
    driver.run(1000)
    found = tail.fetch()
    assert [value for _, value in found] == [float(k) for k in range(75, 125)]
    assert [at for at, _ in found] == instants_of(driver, begin_ns, [value for _, value in found])


def test_values_from_before_a_clock_was_set_back_are_not_of_a_record_that_began_since():
    driver = Driver()
    driver.run(500)
    driver.ahead_ns -= 3_600_000 * MS
    tail, begin_ns = Tail(driver.sensor()), driver.now_ns
    driver.run(500)
    assert tail.fetch() == [(begin_ns + (k + 1) * 20 * MS, float(25 + k)) for k in range(25)]


def test_reading_gives_the_newest_value_or_says_that_there_is_none():
    driver = Driver()
    with pytest.raises(MeterError, match="no value of instant"):
        driver.sensor().read()
    driver.run(200)
    assert driver.sensor().read() == 9.0
    driver.now_ns += 60_000 * MS
    with pytest.raises(MeterError, match="no value of instant"):
        driver.sensor().read()


def test_the_spacing_is_known_from_enough_values_over_more_than_a_fetch():
    driver = Driver()
    driver.run(1400)
    assert spacing_s(driver.values) is None  # 1.4 s: one late fetch would lose some
    driver.run(400)
    assert spacing_s(driver.values) == pytest.approx(0.02)
    assert spacing_s(driver.values[::6]) is None  # fifteen values
    assert spacing_s([]) is None


def real(fetch_s: float = 1.0, fetch=None) -> BufferedSensor:
    """A driver that takes a value every 20 ms of real time, worth its own time of day."""

    def taken(since_us: int) -> list[Value]:
        now = time.time_ns() // 1000
        every = range(now // 20_000 * 20_000 - 2_000_000, now, 20_000)
        return [Value(taken_us=at, value=float(at)) for at in every if at > since_us]

    return BufferedSensor(stream="instant", unit="W", period_s=0.1, fetch_s=fetch_s, fetch=fetch or taken)


def test_a_record_holds_what_was_taken_until_now_though_fetches_are_rare():
    begin_ns = time.monotonic_ns()
    with Recorder([real(fetch_s=60.0)]) as recorder:
        time.sleep(0.3)
        asked_ns = time.monotonic_ns()
        series = recorder.record()["instant"]
        assert asked_ns - series.t_before_ns[-1] < 60 * MS
        time.sleep(0.2)
    after = recorder.record()["instant"]
    assert after.t_before_ns[-1] - series.t_before_ns[-1] >= 150 * MS
    assert after.t_before_ns[0] > begin_ns
    assert np.diff(after.t_before_ns) / MS == pytest.approx(np.full(len(after) - 1, 20.0), abs=1.0)
    assert (after.t_before_ns == after.t_after_ns).all()
    wall_ns = after.value * 1000
    assert wall_ns - after.t_before_ns == pytest.approx(time.time_ns() - time.monotonic_ns(), abs=50 * MS)


def test_a_driver_that_fails_is_a_fault_and_a_record_still_comes(monkeypatch):
    def fail(since_us: int) -> list[Value]:
        raise MeterError("instant: the GPU has fallen off the bus")

    with Recorder([real(fetch_s=0.05, fetch=fail)]) as recorder:
        time.sleep(0.15)
        record = recorder.record()
    assert len(record["instant"]) == 0
    assert {fault.message for fault in record.faults} == {"instant: the GPU has fallen off the bus"}


def test_a_driver_that_hangs_is_waited_for_no_longer_than_any_sensor(monkeypatch):
    monkeypatch.setattr(recorder_module, "ANSWER_S", 0.2)

    def hang(since_us: int) -> list[Value]:
        time.sleep(1.5)
        return []

    began = time.monotonic()
    with (
        pytest.raises(MeterError, match="instant has not answered"),
        Recorder([real(fetch=hang)]) as recorder,
    ):
        assert len(recorder.record()["instant"]) == 0
    assert time.monotonic() - began < 1.4


def test_a_driver_that_hangs_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(recorder_module, "ANSWER_S", 0.2)
    answer, hangs = threading.Event(), [True]

    def fetch(since_us: int) -> list[Value]:
        if hangs:
            answer.wait(30)
        now_us = time.time_ns() // 1000
        return [Value(taken_us=now_us, value=7.0)]

    with Recorder([real(fetch_s=60.0, fetch=fetch)]) as recorder:
        recorder.record()
        began = time.monotonic()
        for _ in range(20):
            assert len(recorder.record()["instant"]) == 0
        assert time.monotonic() - began < 0.2
        hangs.clear()
        answer.set()
        deadline = time.monotonic() + 10
        while not len(recorder.record()["instant"]):
            assert time.monotonic() < deadline, "it is asked no more"
        known = len(recorder.record()["instant"])
        time.sleep(0.01)
        assert len(recorder.record()["instant"]) > known  # and each record waits for what there is again


def test_records_asked_for_at_the_same_time_each_hold_what_was_taken_until_then():
    taken_by_s, sensor = [], real(fetch_s=60.0)

    def slow(since_us: int) -> list[Value]:
        found = sensor.fetch(since_us)
        time.sleep(0.03)
        return found

    def ask(recorder: Recorder) -> None:
        for _ in range(5):
            asked_ns = time.monotonic_ns()
            last_ns = recorder.record()["instant"].t_before_ns[-1]
            taken_by_s.append(((time.monotonic_ns() - asked_ns) / 1e9, (asked_ns - last_ns) / MS))

    with Recorder([replace(sensor, fetch=slow)]) as recorder:
        time.sleep(0.1)
        threads = [threading.Thread(target=ask, args=(recorder,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    waited_s, behind_ms = np.array(taken_by_s).T
    assert len(waited_s) == 20
    assert waited_s.max() < 1.0
    assert behind_ms.max() < 25.0


def test_a_clock_that_is_set_during_a_record_is_a_fault_of_it():
    set_ns = [0]

    def day_ns() -> int:
        return time.time_ns() + set_ns[0]

    def taken(since_us: int) -> list[Value]:
        now = day_ns() // 1000
        return [
            Value(taken_us=at, value=float(at)) for at in range(now - 200_000, now, 20_000) if at > since_us
        ]

    with Recorder([replace(real(fetch_s=60.0, fetch=taken), time_of_day=day_ns)]) as recorder:
        time.sleep(0.05)
        assert not recorder.record().faults
        set_ns[0] = -150 * MS
        record = recorder.record()
    assert [fault.stream for fault in record.faults] == ["instant"]
    assert "the time of day was set by -0.150 s" in record.faults[0].message


@pytest.fixture(scope="module")
def recorded():
    """What an H200 said while idle, at a steady load and at a square wave of 300 ms: tests/data/README."""
    with np.load(
        Path(__file__).parents[1] / "data" / "h200_power_samples.npz", allow_pickle=False
    ) as archive:
        return {name: archive[name] for name in archive.files}


def mean_w(times_us, milliwatts, begin_us, end_us):
    grid = np.concatenate([[begin_us], times_us[(times_us > begin_us) & (times_us < end_us)], [end_us]])
    watts = np.interp(grid, times_us, milliwatts) / 1e3
    return np.sum((watts[1:] + watts[:-1]) / 2 * np.diff(grid)) / (end_us - begin_us)


@pytest.mark.parametrize(
    ("phase", "samples_within", "polled_within"),
    # The field is renewed three times a square wave, always in the same phases of it: it is off by a fifth.
    [("idle", 0.003, 0.005), ("steady", 0.005, 0.01), ("square", 0.03, None)],
)
def test_recorded_samples_tell_the_power_that_the_counter_does(
    recorded, phase, samples_within, polled_within
):
    taken_us, milliwatts = recorded[f"{phase}_samples"].T
    read_us, instant, _, counter = recorded[f"{phase}_polled"].T
    changed = np.nonzero(np.diff(counter))[0] + 1
    # Whole square waves, and where the samples reach.
    inside = changed[(read_us[changed] > taken_us[0]) & (read_us[changed] < taken_us[-1])]
    first, last = inside[2], inside[2] + (inside[-3] - inside[2])
    begin_us, end_us = read_us[first], read_us[last]
    truth_w = (counter[last] - counter[first]) / 1e3 / ((end_us - begin_us) / 1e6)
    assert mean_w(taken_us, milliwatts, begin_us, end_us) == pytest.approx(truth_w, rel=samples_within)
    polled_w = mean_w(read_us, instant, begin_us, end_us)
    if polled_within:
        assert polled_w == pytest.approx(truth_w, rel=polled_within)
    else:
        assert polled_w > 1.1 * truth_w


def test_recorded_samples_lie_20_ms_apart(recorded):
    for phase in ("idle", "steady", "square"):
        taken_us = recorded[f"{phase}_samples"][:, 0]
        assert spacing_s([Value(taken_us=int(at), value=1.0) for at in taken_us]) == pytest.approx(
            0.02, rel=0.01
        )
        assert np.diff(taken_us).max() < 50_000
