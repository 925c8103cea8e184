"""What this host can measure: sensors, the domains they add up to, and what is absent and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from greenbench.core.errors import ConfigurationError, SensorAbsentError
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.host import host_sensors
from greenbench.energy.nvml import Gpu, NvmlLibrary, load_nvml, open_gpu
from greenbench.energy.perf_event import PMU_ROOT
from greenbench.energy.powercap import POWERCAP_ROOT
from greenbench.energy.pyrapl import open_pyrapl
from greenbench.energy.rapl import RaplPlaces, open_rapl
from greenbench.energy.sensor import Sensor

CPU_METERS = ("powercap", "pyrapl")
NO_GPU_ASKED = "this run computes on the CPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSet:
    """Everything that can be measured here for one device; a context manager that closes it.

    Attributes:
        sensors: All sensors, with their schedules.
        domains: Domain -> cumulative streams (J) that add up to it.
        wraps: Stream -> range in joules after which it starts again.
        max_power_w: Stream -> largest plausible power; a step beyond 1.5 times it is refused.
        scope: Domains that total energy sums: ``gpu+cpu+dram``, ``gpu``, ``cpu+dram``, ``cpu`` or ``none``.
        absent: Domains that cannot be measured, with the reason.
        facts: For the manifest: ``gpu`` (uuid, name, driver, architecture ...), ``cpu_meter``, zones.
        conditions: Reads anew what of the GPU must not change during a run; empty without one.
        handles_wraps: Whether the CPU meter handles wraps (pyRAPL does not).
    """

    sensors: tuple[Sensor, ...] = ()
    domains: Mapping[Domain, tuple[str, ...]] = field(default_factory=dict)
    wraps: Mapping[str, float] = field(default_factory=dict)
    max_power_w: Mapping[str, float] = field(default_factory=dict)
    scope: str = "none"
    absent: tuple[Absent, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    handles_wraps: bool = True
    closers: tuple[Callable[[], None], ...] = ()
    conditions: Callable[[], Mapping[str, Any]] = dict

    def close(self) -> None:
        """Let the sensors' libraries go."""
        for closer in self.closers:
            closer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_meters(
    *,
    device: str,
    gpu: str | int = 0,
    cpu_meter: str = "powercap",
    powercap_root: Path = POWERCAP_ROOT,
    pmu_root: Path = PMU_ROOT,
    nvml: NvmlLibrary | None = None,
    no_gpu: str = NO_GPU_ASKED,
    gpu_energy: str = "counter",
) -> MeterSet:
    """Open everything that measures `device` and this host's CPU.

    Args:
        device: ``cuda`` (the GPU and the CPU) or ``cpu`` (the CPU alone).
        gpu: Index by NVML's numbering, or UUID.
        cpu_meter: ``powercap`` or ``pyrapl``.
        powercap_root: Where powercap's zones are.
        pmu_root: Where the kernel's power counters are, which ``powercap`` takes where its files are closed.
        nvml: The library; loaded where none is given.
        no_gpu: Why ``cpu`` was taken, as it is stored with the results.
        gpu_energy: ``counter``, or ``polled``: power integrated over polls, as the study did.

    Raises:
        SensorAbsentError: ``cuda``, and no NVIDIA GPU answers.
        ConfigurationError: No such GPU, or an unknown CPU meter.
    """
    if cpu_meter not in CPU_METERS:
        raise ConfigurationError(f"unknown --cpu-meter {cpu_meter!r}; allowed: {', '.join(CPU_METERS)}")
    # The CPU's first: opening it may refuse an option, and NVML would have to be let go then.
    places = RaplPlaces(powercap=powercap_root, pmu=pmu_root)
    cpu = open_rapl(places) if cpu_meter == "powercap" else open_pyrapl()
    try:
        opened = open_gpu(nvml or load_nvml(), gpu, energy=gpu_energy) if device == "cuda" else None
    except BaseException:
        cpu.close()
        raise
    return _joined(opened, cpu, cpu_meter, no_gpu)


def with_cpu(meters: MeterSet, cpu: CpuMeter) -> MeterSet:
    """Return a set that has no CPU meter with one that was opened later, as the sidecar's is.

    Args:
        meters: Without a CPU meter.
        cpu: Replaces what `meters` says of CPU and DRAM.
    """
    domains = {**meters.domains, **cpu.domains}
    others = tuple(item for item in meters.absent if item.domain not in {Domain.CPU, Domain.DRAM})
    return replace(
        meters,
        sensors=(*meters.sensors, *cpu.sensors),
        domains=domains,
        wraps=cpu.wraps,
        max_power_w=cpu.max_power_w,
        scope=_scope(domains, bool(meters.facts.get("gpu"))),
        absent=(*others, *cpu.absent),
        facts={**meters.facts, **cpu.facts},
        closers=(*meters.closers, cpu.close),
    )


def _joined(gpu: Gpu | None, cpu: CpuMeter, cpu_meter: str, no_gpu: str) -> MeterSet:
    absent = list(gpu.absent) if gpu else [Absent(domain=Domain.GPU, reason=no_gpu)]
    domains = dict(gpu.domains) if gpu else {}
    # A module whose GPU counter covers its CPU as well (GH200) would count the CPU twice.
    module = bool(gpu and gpu.covers_module)
    if not module:
        domains |= cpu.domains
        absent += cpu.absent
    else:
        cpu.close()
        cpu = CpuMeter(facts={"cpu_route": "module"})
        reason = "the GPU's counter covers the whole module, CPU included"
        absent += [Absent(domain=domain, reason=reason) for domain in (Domain.CPU, Domain.DRAM)]
    return MeterSet(
        sensors=(*(gpu.sensors if gpu else ()), *cpu.sensors, *host_sensors()),
        domains=domains,
        wraps=cpu.wraps,
        max_power_w=cpu.max_power_w,
        scope=_scope(domains, gpu is not None),
        absent=tuple(absent),
        facts={"gpu": dict(gpu.facts) if gpu else None, "cpu_meter": cpu_meter, **cpu.facts},
        handles_wraps=cpu_meter != "pyrapl",
        conditions=gpu.conditions if gpu else dict,
        closers=(*((gpu.close,) if gpu else ()), cpu.close),
    )


def _scope(domains: Mapping[Domain, tuple[str, ...]], computes_on_gpu: bool) -> str:
    if computes_on_gpu and Domain.GPU not in domains:
        return "none"  # a total without the device that computes would mislead
    summed = [domain for domain in (Domain.GPU, Domain.CPU, Domain.DRAM) if domain in domains]
    return "+".join(summed) or "none"


__all__ = ["MeterSet", "Sensor", "SensorAbsentError", "open_meters", "with_cpu"]
