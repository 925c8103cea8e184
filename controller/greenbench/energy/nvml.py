"""NVIDIA GPUs by NVML: with `nvml_power` the only module that knows the library.

GPUs are identified by UUID everywhere: CUDA and NVML number them differently.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pynvml

from greenbench.core.errors import ConfigurationError, MeterError, SensorAbsentError
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.core.units import hertz_from_megahertz, joules_from_millijoules, watts_from_milliwatts
from greenbench.energy import polled
from greenbench.energy.buffer import BufferedSensor
from greenbench.energy.gpu_processes import (
    Ours,
    OwnProcesses,
    foreign_processes,
    in_nested_namespace,
    is_here,
)
from greenbench.energy.nvml_power import FIELD_POWER_AVERAGE, field_w, guarded, instant_power, reason_of
from greenbench.energy.sensor import CallSensor, Sensor
from greenbench.energy.shared import SharedCall

COUNTER_PERIOD_S = 0.1
STATE_POLL_S = 0.25
"""What is averaged anyhow, and what a share of readings is taken of. Each waking of the recorder costs more
of a core than what it reads: all of NVML's periods are multiples of this one, which keeps wakings few."""
MEAN_POLL_S = 0.5
SLOW_POLL_S = 1.0

THROTTLE_BITS = 0x08 | 0x20 | 0x40 | 0x80
"""HW slowdown, SW thermal slowdown, HW thermal slowdown, HW power brake."""
POWER_CAP_BIT = 0x04
_MODULE_NAMES = ("GH200", "GB200", "GB300")


class NvmlLibrary(Protocol):
    """The functions of ``pynvml`` that are used, by their own names; tests hand in a simulated one."""

    def nvmlInit(self) -> None: ...  # noqa: N802, D102 - NVML's own names
    def nvmlShutdown(self) -> None: ...  # noqa: N802, D102
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802, D102
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802, D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One opened GPU.

    Attributes:
        sensors: Counter, instant and averaged power, utilisation, temperature, clock, throttling, memory and
            processes.
        domains: GPU energy, where the board has a counter.
        absent: What it lacks, with the reason.
        facts: ``uuid``, ``name``, ``driver``, ``architecture``, ``index``, limits, ``mig``; where power of
            the instant comes from (``instant_power``).
        covers_module: Whether its counter covers the CPU of the same module too.
        close: Lets the library go.
        conditions: Reads anew what must not change during a run: driver, limits of power and clocks, MIG.
    """

    sensors: tuple[Sensor | BufferedSensor, ...]
    domains: Mapping[Domain, tuple[str, ...]]
    absent: tuple[Absent, ...]
    facts: Mapping[str, Any]
    covers_module: bool
    close: Callable[[], None] = field(repr=False)
    conditions: Callable[[], Mapping[str, Any]] = field(repr=False)


def load_nvml() -> NvmlLibrary:
    """Return the library as NVIDIA's bindings give it."""
    library: NvmlLibrary = pynvml
    return library


def open_gpu(
    library: Any,
    gpu: str | int,
    *,
    ours: Ours | None = None,
    energy: str = "counter",
) -> Gpu:
    """Open one GPU.

    Args:
        library: NVML.
        gpu: Index by NVML's numbering, or UUID.
        ours: Returns those of some processes that are greenbench's own; by default this process, what is
            below it, and runtimes in containers.
        energy: ``counter``, or ``polled`` for power integrated over polls.

    Raises:
        SensorAbsentError: No library, no driver, no permission or no GPU.
        ConfigurationError: There is no such GPU; names those there are.
    """
    try:
        library.nvmlInit()
    except pynvml.NVMLError as err:
        raise SensorAbsentError(reason_of(err)) from err
    try:
        handle, index = _find(library, gpu)
        facts = _facts(library, handle, index)
    except pynvml.NVMLError as err:
        library.nvmlShutdown()
        raise SensorAbsentError(reason_of(err)) from err
    except (SensorAbsentError, ConfigurationError):
        library.nvmlShutdown()
        raise
    stream = polled.STREAM if energy == "polled" else "counter"
    power, power_facts = instant_power(library, handle)
    sensors, absent = _sensors(library, handle, ours or OwnProcesses(), stream, power)
    answers = any(sensor.stream == stream for sensor in sensors)
    return Gpu(
        sensors=sensors,
        domains={Domain.GPU: (stream,)} if answers else {},
        absent=absent,
        facts={**facts, "instant_power": power_facts},
        covers_module=any(name in str(facts["name"]) for name in _MODULE_NAMES),
        close=library.nvmlShutdown,
        conditions=lambda: _conditions(library, handle),
    )


def _find(library: Any, gpu: str | int) -> tuple[Any, int]:
    handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
    if not handles:
        raise SensorAbsentError("the NVIDIA driver answers and shows no GPU")
    uuids = [_text(library.nvmlDeviceGetUUID(handle)) for handle in handles]
    for index, uuid in enumerate(uuids):
        if gpu in {index, uuid} or (isinstance(gpu, str) and gpu.isdigit() and int(gpu) == index):
            return handles[index], index
    there = ", ".join(f"{index} = {uuid}" for index, uuid in enumerate(uuids))
    raise ConfigurationError(f"host.gpu: no GPU {gpu!r}; there are {there}")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _facts(library: Any, handle: Any, index: int) -> dict[str, Any]:
    major, minor = library.nvmlDeviceGetCudaComputeCapability(handle)
    return {
        "uuid": _text(library.nvmlDeviceGetUUID(handle)),
        "name": _text(library.nvmlDeviceGetName(handle)),
        "architecture": f"sm_{major}{minor}",
        "index": index,
        "cuda_driver": _tried(library.nvmlSystemGetCudaDriverVersion_v2),
        "memory_b": _tried(lambda: int(library.nvmlDeviceGetMemoryInfo(handle).total)),
        **_conditions(library, handle),
    }


def _conditions(library: Any, handle: Any) -> dict[str, Any]:
    """Return what must not change while a run lasts; clocks locked by ``nvidia-smi -lgc`` are not told."""
    return {
        "driver": _tried(lambda: _text(library.nvmlSystemGetDriverVersion())),
        "power_limit_w": _tried(
            lambda: watts_from_milliwatts(library.nvmlDeviceGetEnforcedPowerLimit(handle))
        ),
        "sm_clock_max_hz": _tried(
            lambda: hertz_from_megahertz(library.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM))
        ),
        "sm_clock_application_hz": _tried(
            lambda: hertz_from_megahertz(library.nvmlDeviceGetApplicationsClock(handle, pynvml.NVML_CLOCK_SM))
        ),
        "mig": bool(_tried(lambda: library.nvmlDeviceGetMigMode(handle)[0])),
    }


def _tried(call: Callable[[], Any]) -> Any:
    """Return what a call returns; None where this board does not tell."""
    try:
        return call()
    except pynvml.NVMLError:
        return None


def _sensors(
    library: Any,
    handle: Any,
    ours: Ours,
    energy_stream: str,
    power: Sensor | BufferedSensor,
) -> tuple[tuple[Sensor | BufferedSensor, ...], tuple[Absent, ...]]:
    reasons, nested = SharedCall(lambda: _reasons(library, handle)), in_nested_namespace()
    candidates = (
        (
            "counter",
            "J",
            COUNTER_PERIOD_S,
            lambda: joules_from_millijoules(library.nvmlDeviceGetTotalEnergyConsumption(handle)),
        ),
        ("average", "W", STATE_POLL_S, lambda: field_w(library, handle, FIELD_POWER_AVERAGE)),
        ("utilisation", "1", MEAN_POLL_S, lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        (
            "temperature",
            "degC",
            SLOW_POLL_S,
            lambda: float(library.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        ),
        (
            "sm_clock",
            "Hz",
            MEAN_POLL_S,
            lambda: hertz_from_megahertz(library.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
        ),
        ("throttled", "1", STATE_POLL_S, lambda: float(bool(reasons() & THROTTLE_BITS))),
        ("power_capped", "1", STATE_POLL_S, lambda: float(bool(reasons() & POWER_CAP_BIT))),
        ("gpu_memory", "B", SLOW_POLL_S, lambda: float(library.nvmlDeviceGetMemoryInfo(handle).used)),
        ("foreign_processes", "1", SLOW_POLL_S, lambda: _foreign(library, handle, ours, nested=nested)),
        *_polled(library, handle, energy_stream),
    )
    called = [
        CallSensor(
            stream=stream,
            unit=unit,
            period_s=period_s,
            call=guarded(stream, call),
            dense=stream == "counter",
        )
        for stream, unit, period_s, call in candidates
    ]
    sensors: list[Sensor | BufferedSensor] = []
    absent: list[Absent] = []
    for sensor in (called[0], power, *called[1:]):
        try:
            sensor.read()
        except MeterError as err:
            domain = Domain.GPU if sensor.stream == energy_stream else sensor.stream
            absent.append(Absent(domain=domain, reason=str(err)))
        else:
            sensors.append(sensor)
    return tuple(sensors), tuple(absent)


def _polled(
    library: Any, handle: Any, energy_stream: str
) -> tuple[tuple[str, str, float, Callable[[], float]], ...]:
    if energy_stream != polled.STREAM:
        return ()
    power = polled.IntegratedPower(
        lambda: watts_from_milliwatts(library.nvmlDeviceGetPowerUsage(handle)), time.monotonic_ns
    )
    return ((polled.STREAM, "J", polled.POLL_S, power),)


def _reasons(library: Any, handle: Any) -> int:
    return int(library.nvmlDeviceGetCurrentClocksEventReasons(handle))


def _foreign(library: Any, handle: Any, ours: Ours, *, nested: bool) -> float:
    processes: Sequence[Any] = library.nvmlDeviceGetComputeRunningProcesses(handle)
    pids = {process.pid for process in processes}
    return float(foreign_processes(pids, ours, nested=nested, known=is_here))
