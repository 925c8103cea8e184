from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from greenbench.bench import doctor, gpu_checks, host_checks
from greenbench.bench.context import Options
from greenbench.bench.doctor import examine, examine_host, fit_to_run
from greenbench.bench.gpu_checks import (
    check_cuda,
    check_foreign_processes,
    check_gpu,
    check_gpu_limits,
    check_gpu_sensors,
    check_kernels,
    check_toolkit,
)
from greenbench.bench.host_checks import (
    check_cpu_meter,
    check_disk,
    check_other_work,
    check_pace,
    check_processor,
    check_state,
)
from greenbench.bench.patient import Patient
from greenbench.core.check import Level
from greenbench.core.doubt import Limits, Rule
from greenbench.core.errors import ConfigurationError, EngineUnavailableError, MeterError
from greenbench.core.progress import Silence
from greenbench.core.reading import Domain
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.core.trial import Absent
from greenbench.energy.calibrate import Calibration
from greenbench.energy.meter import MeterSet
from greenbench.energy.powercap import UDEV_RULE
from greenbench.energy.sensor import CallSensor
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.fleet.state import StateFolder

GPU = {
    "uuid": "GPU-1",
    "name": "NVIDIA X",
    "driver": "580.1",
    "architecture": "sm_90",
    "power_limit_w": 700.0,
    "sm_clock_max_hz": 1.98e9,
    "mig": False,
}


def sensor(stream, value):
    def read():
        if isinstance(value, Exception):
            raise value
        return value

    return CallSensor(stream=stream, unit="1", period_s=1.0, call=read)


def meters(*, gpu=GPU, absent=(), facts=None, domains=None, **readings):
    return MeterSet(
        sensors=tuple(sensor(stream, value) for stream, value in readings.items()),
        domains=domains or {},
        absent=tuple(Absent(domain=domain, reason=reason) for domain, reason in absent),
        facts={"gpu": gpu, "cpu_meter": "powercap"} | (facts or {}),
    )


def spec(name, *architectures):
    return RuntimeSpec(
        name=name,
        engine=name,
        title=name,
        modes={"plain": ("cuda",)},
        precisions=("fp32",),
        devices={"cuda": DeviceBuild(requirements="x", architectures=architectures, cuda=13)},
    )


@pytest.fixture
def patient(tmp_path):
    return Patient(
        state=StateFolder.at(tmp_path),
        assets=tmp_path,
        catalogue={"new": spec("new", "sm_80", "sm_90"), "old": spec("old", "sm_80", "sm_86")},
        device="cuda",
        meters=meters(throttled=0.0, foreign_processes=0.0),
        calibration=Calibration(period_s=0.1, read_p50_s=0.003, read_p95_s=0.013, changes=30, length_s=6.0),
        limits=DEFAULT_LIMITS,
    )


def only(checks):
    (check,) = checks
    return check


def test_the_gpu_is_named_with_its_architecture_and_driver(patient):
    check = only(check_gpu(patient))
    assert check.level is Level.OK
    assert check.figure == "NVIDIA X (GPU-1), sm_90, driver 580.1"


def test_a_gpu_that_was_asked_for_and_is_not_there_fails_and_without_one_it_warns(patient):
    check = only(check_gpu(replace(patient, meters=None, meters_error="--device cuda: no driver")))
    assert check.level is Level.FAIL
    assert "--device cpu" in check.remedy
    bare = replace(patient, meters=meters(gpu=None, absent=[("gpu", "no NVIDIA driver here")]))
    check = only(check_gpu(bare))
    assert (check.level, check.figure) == (Level.WARN, "no NVIDIA driver here")
    for step in (check_kernels, check_gpu_sensors, check_gpu_limits):
        assert list(step(bare)) == []


def test_each_runtimes_kernels_are_held_against_the_gpu(patient):
    found = {check.name: check for check in check_kernels(patient)}
    assert found["kernels of new"].level is Level.OK
    assert found["kernels of old"].level is Level.WARN
    assert found["kernels of old"].figure == "sm_90 is not covered by sm_80, sm_86"
    assert "left out" in found["kernels of old"].remedy


def test_a_driver_too_old_for_a_runtimes_cuda_is_named_with_the_remedy(patient):
    told = replace(patient, meters=meters(gpu=GPU | {"cuda_driver": 12020}))
    check = only(check_cuda(told))
    assert check.level is Level.WARN
    assert check.figure == "the driver knows CUDA up to 12.2, too old for new (CUDA 13), old (CUDA 13)"
    assert "update the driver" in check.remedy
    assert (
        only(check_cuda(replace(patient, meters=meters(gpu=GPU | {"cuda_driver": 13000})))).level is Level.OK
    )
    assert list(check_cuda(patient)) == []


def test_the_toolkit_is_looked_for_with_a_gpu_only(patient, monkeypatch):
    monkeypatch.setattr(gpu_checks.shutil, "which", {"docker": "/usr/bin/docker"}.get)
    check = only(check_toolkit(patient))
    assert check.level is Level.FAIL
    assert "nvidia-ctk runtime configure" in check.remedy
    assert list(check_toolkit(replace(patient, device="cpu"))) == []
    monkeypatch.setattr(gpu_checks.shutil, "which", lambda _: None)
    assert only(check_toolkit(patient)).level is Level.WARN
    monkeypatch.setattr(gpu_checks.shutil, "which", lambda _: "/usr/bin/nvidia-ctk")
    assert only(check_toolkit(patient)).level is Level.OK


def test_the_counters_period_and_cost_are_told(patient):
    check = only(check_gpu_sensors(patient))
    assert check.level is Level.OK
    assert "every 100.0 ms" in check.figure
    assert "3 ms" in check.figure
    slow = replace(patient.calibration, read_p95_s=0.05)
    assert only(check_gpu_sensors(replace(patient, calibration=slow))).level is Level.WARN


def test_a_counter_that_is_stuck_fails_and_a_stream_that_is_missing_warns(patient):
    stuck = replace(patient, calibration=None, calibration_error="counter changed 0 times")
    assert only(check_gpu_sensors(stuck)).level is Level.FAIL
    lacking = replace(patient, meters=meters(absent=[("instant", "not supported"), ("gpu", "no counter")]))
    found = {check.name: check for check in check_gpu_sensors(replace(lacking, calibration=None))}
    assert found["gpu energy counter"].figure == "no counter"
    assert found["gpu instant"].level is Level.WARN


@pytest.mark.parametrize(
    ("told", "figure"),
    [
        ({"source": "driver's samples", "spacing_s": 0.02}, "driver's samples, one every 20 ms"),
        (
            {
                "source": "field 186, polled",
                "spacing_s": 0.1,
                "reason": "the driver keeps too few samples of it",
            },
            "field 186, polled, one every 100 ms: the driver keeps too few samples of it",
        ),
    ],
)
def test_where_power_of_the_instant_comes_from_is_told(patient, told, figure):
    asked = replace(patient, meters=meters(gpu=GPU | {"instant_power": told}))
    found = {check.name: check for check in check_gpu_sensors(asked)}
    assert (found["gpu instant"].level, found["gpu instant"].figure) == (Level.OK, figure)
    lacking = meters(gpu=GPU | {"instant_power": told}, absent=[("instant", "not supported")])
    checks = [
        check for check in check_gpu_sensors(replace(patient, meters=lacking)) if "instant" in check.name
    ]
    assert [check.level for check in checks] == [Level.WARN]


def test_limits_are_told_and_throttling_and_mig_warn(patient):
    check = only(check_gpu_limits(patient))
    assert check.level is Level.OK
    assert check.figure == "power limit 700 W, SM clock up to 1980 MHz"
    hot = replace(patient, meters=meters(gpu=GPU | {"mig": True}, throttled=1.0))
    found = {check.name: check for check in check_gpu_limits(hot)}
    assert "throttled now" in found["gpu limits"].figure
    assert "nvidia-smi -mig 0" in found["mig"].remedy


@pytest.mark.parametrize(("others", "level"), [(0.0, Level.OK), (1.0, Level.FAIL)])
def test_foreign_processes_are_judged_by_the_validity_table(patient, others, level):
    assert (
        only(check_foreign_processes(replace(patient, meters=meters(foreign_processes=others)))).level
        is level
    )


def test_a_suites_own_limit_lets_foreign_processes_pass(patient):
    own = {**DEFAULT_LIMITS, Rule.FOREIGN_PROCESS: Limits(doubtful=0, invalid=5)}
    found = only(check_foreign_processes(replace(patient, meters=meters(foreign_processes=2.0), limits=own)))
    assert found.level is Level.WARN


def test_a_sensor_that_does_not_answer_is_not_taken_for_nobody(patient):
    broken = replace(patient, meters=meters(foreign_processes=MeterError("gone")))
    assert list(check_foreign_processes(broken)) == []


def test_the_route_to_rapl_is_told_with_its_packages(patient):
    routed = meters(
        facts={"cpu_route": "perf_event", "zones_without_power_limit": ["rapl:dram@cpu0"]},
        domains={Domain.CPU: ("rapl:package@cpu0",)},
        absent=[("dram", "no energy-ram")],
    )
    cpu, dram = check_cpu_meter(replace(patient, meters=routed))
    assert cpu.level is Level.OK
    assert cpu.figure.startswith("RAPL by perf_event: rapl:package@cpu0")
    assert "rapl:dram@cpu0" in cpu.figure
    assert (dram.level, dram.figure) == (Level.WARN, "no energy-ram")


def test_closed_rapl_names_the_sidecar_the_udev_rule_and_the_kernels_setting(patient, monkeypatch):
    monkeypatch.setattr(host_checks, "sidecar_would_help", lambda _: True)
    refused = {"powercap": "root only", "perf_event": "kernel.perf_event_paranoid is 4"}
    closed = meters(
        facts={"cpu_route": None, "cpu_routes_refused": refused}, absent=[("cpu", "no route"), ("dram", "x")]
    )
    check = only(check_cpu_meter(replace(patient, meters=closed)))
    assert check.level is Level.WARN
    assert UDEV_RULE in check.remedy
    assert "--launcher docker" in check.remedy
    assert "perf_event_paranoid=0" in check.remedy


def test_absent_rapl_names_the_estimate_and_no_udev_rule(patient):
    check = only(check_cpu_meter(replace(patient, meters=meters(absent=[("cpu", "no zones")]))))
    assert check.level is Level.WARN
    assert "--estimate-cpu" in check.remedy
    assert "udev" not in check.remedy


def test_a_module_that_the_gpu_covers_is_well(patient):
    covered = meters(facts={"cpu_route": "module"}, absent=[("cpu", "covers the whole module")])
    assert only(check_cpu_meter(replace(patient, meters=covered))).level is Level.OK


def test_the_governor_is_told(patient, tmp_path):
    governor = tmp_path / "governor"
    assert only(check_processor(patient, governor)).level is Level.OK
    governor.write_text("powersave\n")
    check = only(check_processor(patient, governor))
    assert check.level is Level.WARN
    assert "cpupower" in check.remedy


def paced(pieces_s):
    """A clock on which each piece of work takes as long as told, the last one from then on."""
    now, left = [0.0], list(pieces_s)

    def clock():
        now[0] += left.pop(0) if len(left) > 1 else left[0]
        return now[0]

    return clock


def test_a_core_that_keeps_its_pace_is_well(patient):
    check = only(check_pace(patient, paced([0.01])))
    assert (check.level, check.figure) == (Level.OK, "a core was up to 0% slower than at its best within 2 s")


def test_a_core_that_others_slow_is_told_with_what_it_does_to_figures(patient):
    check = only(check_pace(patient, paced([0.01] * 60 + [0.016])))
    assert check.level is Level.WARN
    assert "up to 60% slower" in check.figure
    assert "rounds" in check.remedy


def test_one_slow_piece_among_many_is_no_change_of_pace(patient):
    assert only(check_pace(patient, paced([0.01] * 33 + [0.05] + [0.01]))).level is Level.OK


def other_work(patient, monkeypatch, **spent):
    times = type(psutil.cpu_times())
    zero = times(*[0.0] * len(times._fields))
    seen = iter((zero, zero._replace(**spent)))
    monkeypatch.setattr(host_checks.psutil, "cpu_times", lambda: next(seen))
    monkeypatch.setattr(host_checks.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(host_checks.time, "process_time", lambda: 0.0)
    return {check.name: check for check in check_other_work(patient, lambda _: None)}


def test_others_work_and_steal_are_measured_now(patient, monkeypatch):
    found = other_work(patient, monkeypatch, user=1.0, idle=2.8, steal=0.2)
    assert found["busy host"].figure == "1.00 cores in use by others"
    assert found["busy host"].level is Level.WARN
    assert found["steal"].figure.startswith("5.0%")
    assert found["steal"].level is Level.WARN


def test_a_quiet_host_is_well(patient, monkeypatch):
    found = other_work(patient, monkeypatch, user=0.02, idle=3.98)
    assert {check.level for check in found.values()} == {Level.OK}


@pytest.mark.parametrize(("gib", "level"), [(50, Level.OK), (5, Level.WARN), (0.5, Level.FAIL)])
def test_disk(patient, monkeypatch, gib, level):
    monkeypatch.setattr(host_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=gib * 2**30))
    check = only(check_disk(patient))
    assert check.level is level
    assert bool(check.remedy) is (level is not Level.OK)


def test_a_state_folder_that_cannot_be_written_fails(patient, monkeypatch):
    assert only(check_state(patient)).level is Level.OK
    monkeypatch.setattr(host_checks.os, "access", lambda *_: False)
    assert "GREENBENCH_STATE" in only(check_state(patient)).remedy


def test_everything_amiss_has_a_remedy(patient, monkeypatch):
    def none():
        raise EngineUnavailableError("no Docker Engine answers")

    monkeypatch.setattr(doctor.docker_engine, "connect", none)
    checks = examine(patient)
    assert checks[0].name == "docker engine"
    assert checks[0].level is Level.WARN
    assert all(check.remedy for check in checks if check.level is not Level.OK)
    assert all(check.figure for check in checks)


def test_a_stuck_counter_does_not_end_the_examination(tmp_path, monkeypatch):
    def stuck(*_, **__):
        raise MeterError("counter changed 0 times")

    monkeypatch.setattr(doctor, "counter_calibration", stuck)
    checks = examine_host(Options(state=tmp_path, device="cpu"), calibrate=True)
    assert {"gpu", "disk"} <= {check.name for check in checks}


def context(patient, **readings):
    return SimpleNamespace(
        state=patient.state,
        catalogue=patient.catalogue,
        house=SimpleNamespace(device="cuda"),
        meters=meters(**readings),
    )


def test_a_run_is_refused_in_one_line_where_every_trial_would_be_invalid(patient):
    with pytest.raises(ConfigurationError, match=r"foreign processes: 2 .*nvidia-smi") as caught:
        fit_to_run(
            context(patient, foreign_processes=2.0), DEFAULT_LIMITS, Silence(), (check_foreign_processes,)
        )
    assert "\n" not in str(caught.value)


def test_a_run_is_labelled_with_what_is_amiss(patient):
    said = []
    observer = SimpleNamespace(note=said.append)
    steps = (check_foreign_processes, check_gpu_limits)
    amiss = fit_to_run(
        context(patient, foreign_processes=0.0, throttled=1.0), DEFAULT_LIMITS, observer, steps
    )
    assert [check.name for check in amiss] == ["gpu limits"]
    assert len(said) == 1
