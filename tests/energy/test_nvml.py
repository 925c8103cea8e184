import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pynvml
import pytest

from greenbench.core.doubt import Rule
from greenbench.core.errors import ConfigurationError, MeterError, SensorAbsentError
from greenbench.core.reading import Domain
from greenbench.energy.meter import open_meters
from greenbench.energy.nvml import open_gpu
from greenbench.energy.observations import gaps
from greenbench.energy.recorder import Recorder
from greenbench.energy.validity import DEFAULT_LIMITS


class FakeNvml:
    """Two GPUs by the names of NVML's own functions; `broken` names functions that fail, and how."""

    def __init__(self, *, names=("NVIDIA A", "NVIDIA B"), broken=None) -> None:
        self.names = names
        self.broken = broken or {}
        self.pids: list[int] = []
        self.samples: list[tuple[float, int]] = []
        self.sample_type = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        self.heeds_since = True
        self.open = 0

    def __getattribute__(self, name):
        broken = object.__getattribute__(self, "__dict__").get("broken", {})
        if name in broken:
            error = pynvml.NVMLError(broken[name])

            def fail(*_):
                raise error

            return fail
        return object.__getattribute__(self, name)

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return f"GPU-{handle}{handle}{handle}"

    def nvmlDeviceGetName(self, handle):
        return self.names[handle]

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlSystemGetCudaDriverVersion_v2(self):
        return 13000

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return 9, handle

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=80 << 30, used=1 << 30)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return 700_000

    def nvmlDeviceGetMaxClockInfo(self, handle, kind):
        return 1980

    def nvmlDeviceGetApplicationsClock(self, handle, kind):
        return 1755

    def nvmlDeviceGetMigMode(self, handle):
        return 0, 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return 5_000 + handle

    def nvmlDeviceGetPowerUsage(self, handle):
        return 250_000

    def nvmlDeviceGetFieldValues(self, handle, fields):
        watts = {pynvml.NVML_FI_DEV_POWER_INSTANT: 123_456, pynvml.NVML_FI_DEV_POWER_AVERAGE: 120_000}
        return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=watts[field])) for field in fields]

    def nvmlDeviceGetSamples(self, handle, kind, since_us):
        """Return ``samples``, pairs of age (s) and milliwatts; a board without them supports no such call."""
        assert kind == pynvml.NVML_TOTAL_POWER_SAMPLES
        if not self.samples:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        now_us = time.time_ns() // 1000
        found = [
            SimpleNamespace(timeStamp=now_us - int(age_s * 1e6), sampleValue=SimpleNamespace(uiVal=value))
            for age_s, value in self.samples
        ]
        found = [one for one in found if one.timeStamp > since_us or not self.heeds_since]
        if not found:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self.sample_type, found

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=97)

    def nvmlDeviceGetTemperature(self, handle, kind):
        return 40

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return 1755

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return 0x40

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=pid) for pid in self.pids]


def values(gpu):
    return {sensor.stream: sensor.read() for sensor in gpu.sensors}


def test_readings_come_in_si_units():
    found = values(open_gpu(FakeNvml(), 0))
    assert found["counter"] == pytest.approx(5.0)
    assert found["instant"] == pytest.approx(123.456)
    assert found["average"] == pytest.approx(120.0)
    assert found["sm_clock"] == pytest.approx(1.755e9)
    assert found["utilisation"] == pytest.approx(0.97)
    assert found["throttled"] == 1.0
    assert found["power_capped"] == 0.0


@pytest.mark.parametrize("wanted", [1, "1", "GPU-111"])
def test_a_gpu_is_found_by_index_and_by_uuid(wanted):
    gpu = open_gpu(FakeNvml(), wanted)
    assert gpu.facts["uuid"] == "GPU-111"
    assert gpu.facts["architecture"] == "sm_91"


def test_an_unknown_gpu_names_those_there_are():
    with pytest.raises(ConfigurationError, match=r"GPU-000.*GPU-111"):
        open_gpu(FakeNvml(), "GPU-x")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "may not talk"),
    ],
)
def test_a_host_without_a_driver_says_which_part_is_missing(error, words):
    with pytest.raises(SensorAbsentError, match=words):
        open_gpu(FakeNvml(broken={"nvmlInit": error}), 0)


def test_a_driver_without_gpus_says_so():
    with pytest.raises(SensorAbsentError, match="shows no GPU"):
        open_gpu(FakeNvml(names=()), 0)


def test_a_board_without_a_counter_has_no_gpu_energy_and_no_total(tmp_path):
    library = FakeNvml(broken={"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED})
    with open_meters(device="cuda", nvml=library, powercap_root=tmp_path, pmu_root=tmp_path) as meters:
        assert Domain.GPU not in meters.domains
        assert meters.scope == "none"
        assert "counter" in {item.domain: item.reason for item in meters.absent}["gpu"]


def test_a_gpu_that_falls_off_the_bus_is_an_error_of_its_sensor():
    library = FakeNvml()
    (counter,) = [sensor for sensor in open_gpu(library, 0).sensors if sensor.stream == "counter"]
    library.broken = {"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_GPU_IS_LOST}
    with pytest.raises(MeterError, match="fallen off the bus"):
        counter.read()


def test_only_processes_that_are_not_ours_are_foreign():
    library = FakeNvml()
    gpu = open_gpu(library, 0, ours=lambda pids: pids & {10, 11})
    library.pids = [10, 11]
    assert values(gpu)["foreign_processes"] == 0.0
    library.pids = [10, 99]
    assert values(gpu)["foreign_processes"] == 1.0


def test_the_library_is_let_go(tmp_path):
    library = FakeNvml()
    with open_meters(device="cuda", nvml=library, powercap_root=tmp_path, pmu_root=tmp_path) as meters:
        assert meters.scope == "gpu"
    assert library.open == 0


def test_a_module_whose_counter_covers_the_cpu_does_not_count_it_twice(tmp_path):
    with open_meters(
        device="cuda", nvml=FakeNvml(names=("NVIDIA GH200 480GB",)), powercap_root=tmp_path
    ) as meters:
        reasons = {item.domain: item.reason for item in meters.absent}
        assert "whole module" in reasons["cpu"]
        assert meters.scope == "gpu"


def test_a_field_that_the_driver_refuses_is_a_missing_stream_not_a_number():
    class WithoutInstant(FakeNvml):
        def nvmlDeviceGetFieldValues(self, handle, fields):
            return [
                SimpleNamespace(
                    nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED, value=SimpleNamespace(uiVal=4_000_000)
                )
            ]

    gpu = open_gpu(WithoutInstant(), 0)
    assert "instant" not in values(gpu)
    assert "instant" in {item.domain for item in gpu.absent}
    assert gpu.domains == {Domain.GPU: ("counter",)}


@pytest.mark.parametrize(
    ("status", "milliwatts", "reason"),
    [(pynvml.NVML_ERROR_NOT_SUPPORTED, 4_000_000, "Not Supported"), (0, 0, "says 0 W")],
)
def test_a_board_that_averages_nothing_lacks_that_stream_alone(status, milliwatts, reason):
    class WithoutAverage(FakeNvml):
        def nvmlDeviceGetFieldValues(self, handle, fields):
            if fields == [pynvml.NVML_FI_DEV_POWER_AVERAGE]:
                return [SimpleNamespace(nvmlReturn=status, value=SimpleNamespace(uiVal=milliwatts))]
            return super().nvmlDeviceGetFieldValues(handle, fields)

    gpu = open_gpu(WithoutAverage(), 0)
    assert "average" not in values(gpu)
    assert "instant" in values(gpu)
    assert [item.domain for item in gpu.absent] == ["average"]
    assert reason in gpu.absent[0].reason


def test_what_a_board_does_not_tell_is_absent_and_the_rest_is_there():
    library = FakeNvml(
        broken={
            "nvmlDeviceGetEnforcedPowerLimit": pynvml.NVML_ERROR_NOT_SUPPORTED,
            "nvmlDeviceGetComputeRunningProcesses": pynvml.NVML_ERROR_NOT_SUPPORTED,
        }
    )
    gpu = open_gpu(library, 0)
    assert gpu.facts["power_limit_w"] is None
    assert gpu.facts["sm_clock_max_hz"] == pytest.approx(1.98e9)
    assert {item.domain for item in gpu.absent} == {"foreign_processes"}


@pytest.mark.parametrize("mode", [0, 1])
def test_mig_is_told(monkeypatch, mode):
    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetMigMode", lambda *_: (mode, mode))
    assert open_gpu(FakeNvml(), 0).facts["mig"] is bool(mode)


def test_a_board_without_mig_has_none():
    library = FakeNvml(broken={"nvmlDeviceGetMigMode": pynvml.NVML_ERROR_NOT_SUPPORTED})
    assert open_gpu(library, 0).facts["mig"] is False


def test_a_gpu_that_falls_off_the_bus_mid_run_is_a_fault_and_the_others_go_on():
    library = FakeNvml()
    sensors = open_gpu(library, 0).sensors
    library.broken = {"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_GPU_IS_LOST}
    with Recorder(sensors) as recorder, recorder.dense():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not (
            recorder.record().faults and len(recorder.record()["instant"]) >= 3
        ):
            time.sleep(0.01)
        record = recorder.record()
    assert len(record["counter"]) == 0
    assert len(record["instant"]) >= 3
    assert {fault.stream for fault in record.faults} == {"counter"}
    assert "fallen off the bus" in record.faults[0].message


@pytest.mark.parametrize(
    "library",
    [
        FakeNvml(names=()),
        FakeNvml(broken={"nvmlDeviceGetCount": pynvml.NVML_ERROR_UNKNOWN}),
        FakeNvml(broken={"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_GPU_IS_LOST}),
    ],
)
def test_a_driver_that_fails_to_show_its_gpus_is_an_absent_sensor_and_is_let_go(library):
    with pytest.raises(SensorAbsentError):
        open_gpu(library, 0)
    assert library.open == 0


def test_an_unknown_gpu_leaves_the_library_closed():
    library = FakeNvml()
    with pytest.raises(ConfigurationError) as caught:
        open_gpu(library, 7)
    assert len(str(caught.value).splitlines()) == 1
    assert library.open == 0


def test_this_process_and_its_children_are_not_foreign():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        library = FakeNvml()
        gpu = open_gpu(library, 0)
        library.pids = [os.getpid(), child.pid]
        assert values(gpu)["foreign_processes"] == 0.0
        library.pids = [os.getpid(), child.pid, 1]
        assert values(gpu)["foreign_processes"] == 1.0
    finally:
        child.kill()
        child.wait()


def test_the_gpus_energy_and_the_cpus_add_up_where_both_are_there(tmp_path):
    for name, label in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "dram")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "name").write_text(label)
        (folder / "energy_uj").write_text("1")
        (folder / "max_energy_range_uj").write_text("262143328850")
    with open_meters(device="cuda", gpu="GPU-111", nvml=FakeNvml(), powercap_root=tmp_path) as meters:
        assert meters.scope == "gpu+cpu+dram"
        assert meters.facts["gpu"]["uuid"] == "GPU-111"
        assert meters.absent == ()


def test_polled_power_is_the_gpus_energy_where_it_is_asked_for():
    gpu = open_gpu(FakeNvml(), 0, energy="polled")
    (sensor,) = (sensor for sensor in gpu.sensors if sensor.stream == "polled")
    assert gpu.domains == {Domain.GPU: ("polled",)}
    assert (sensor.period_s, sensor.dense, sensor.unit) == (0.01, False, "J")
    assert sensor.read() > 0  # a second poll: 250 W since the first
    assert "polled" not in values(open_gpu(FakeNvml(), 0))


def test_a_board_that_tells_no_power_has_no_polled_energy():
    gpu = open_gpu(
        FakeNvml(broken={"nvmlDeviceGetPowerUsage": pynvml.NVML_ERROR_NOT_SUPPORTED}), 0, energy="polled"
    )
    assert gpu.domains == {}
    assert [item.domain for item in gpu.absent] == [Domain.GPU]


def every(spacing_s, *, length_s=2.4, milliwatts=200_000):
    return [(length_s - k * spacing_s, milliwatts) for k in range(int(length_s / spacing_s))]


def test_power_of_the_instant_comes_from_the_drivers_samples_where_it_keeps_them():
    library = FakeNvml()
    library.samples = every(0.02)
    gpu = open_gpu(library, 0)
    assert values(gpu)["instant"] == pytest.approx(200.0)
    assert gpu.facts["instant_power"] == {"source": "driver's samples", "spacing_s": pytest.approx(0.02)}
    (sensor,) = (sensor for sensor in gpu.sensors if sensor.stream == "instant")
    with Recorder([sensor]) as recorder:
        time.sleep(0.05)
    assert recorder.record().periods_s == {"instant": 0.1}
    assert not recorder.record().faults


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "Not Supported"),
        (every(0.2), "too few samples"),
        (every(0.02, length_s=1.0), "too few samples"),
        (every(0.02, milliwatts=0), "0 W in one of its samples"),
        ([*every(0.02), (0.001, 0)], "0 W in one of its samples"),
    ],
)
def test_without_such_samples_the_field_is_polled_and_the_reason_kept(samples, reason):
    library = FakeNvml()
    library.samples = samples
    gpu = open_gpu(library, 0)
    assert values(gpu)["instant"] == pytest.approx(123.456)
    assert gpu.facts["instant_power"]["source"] == "field 186, polled"
    assert reason in gpu.facts["instant_power"]["reason"]


def test_samples_of_another_type_are_not_taken_for_milliwatts():
    library = FakeNvml()
    library.samples, library.sample_type = every(0.02), pynvml.NVML_VALUE_TYPE_DOUBLE
    gpu = open_gpu(library, 0)
    assert values(gpu)["instant"] == pytest.approx(123.456)
    assert "value type 0" in gpu.facts["instant_power"]["reason"]


@pytest.mark.parametrize(("samples", "reason"), [([(0.01, 0)], "0 W"), ([(0.01, 200_000)], "value type 2")])
def test_samples_that_go_bad_are_faults_and_no_readings(samples, reason):
    library = FakeNvml()
    library.samples = every(0.02)
    (sensor,) = (sensor for sensor in open_gpu(library, 0).sensors if sensor.stream == "instant")
    library.samples = samples
    if "type" in reason:
        library.sample_type = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG
    with Recorder([sensor]) as recorder:
        time.sleep(0.05)
    record = recorder.record()
    assert len(record["instant"]) == 0
    assert all(reason in fault.message for fault in record.faults)
    assert record.faults


def test_samples_that_end_are_a_gap_and_no_old_value():
    library = FakeNvml()
    library.samples = every(0.02)
    gpu = open_gpu(library, 0)
    (sensor,) = (sensor for sensor in gpu.sensors if sensor.stream == "instant")
    library.samples, library.heeds_since = [(30.0, 200_000)], False
    with pytest.raises(MeterError, match="no value of instant"):
        sensor.read()
    begin_ns = time.monotonic_ns()
    with Recorder([sensor]) as recorder:
        time.sleep(0.3)
    record = recorder.record()
    assert len(record["instant"]) == 0
    assert gaps(record, begin_ns, time.monotonic_ns())["instant"] > DEFAULT_LIMITS[Rule.GAP].doubtful
