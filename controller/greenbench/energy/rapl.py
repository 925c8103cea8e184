"""The routes to RAPL, in order: powercap's files, the kernel's power counters, a reader with more rights.

A route that gives every socket's package is taken; why the ones before it did not serve is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.perf_event import PMU_ROOT, PerfSystem, open_perf_event
from greenbench.energy.powercap import POWERCAP_ROOT, UDEV_REMEDY, open_powercap

POWERCAP, PERF_EVENT, SIDECAR = "powercap", "perf_event", "sidecar"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaplPlaces:
    """Where this host shows RAPL; other folders in tests.

    Attributes:
        powercap: Powercap's zones.
        pmu: The ``power`` device of the performance counters.
        perf: System calls for it; this host's where None.
    """

    powercap: Path = POWERCAP_ROOT
    pmu: Path = PMU_ROOT
    perf: PerfSystem | None = None


def open_rapl(places: RaplPlaces | None = None, *, sidecar: Callable[[str], str] | None = None) -> CpuMeter:
    """Open the first route that serves.

    Args:
        places: Where to look.
        sidecar: Returns ``energy_uj`` of a powercap zone, by its folder's name, with more rights than ours;
            None where none was started.

    Returns:
        Its meter. ``facts["cpu_route"]`` names it, None where none serves; ``facts["cpu_routes_refused"]``
        says why those before it did not.
    """
    where = places or RaplPlaces()
    refused: dict[str, str] = {}
    first = open_powercap(where.powercap)
    if _serves(first):
        return _chosen(first, POWERCAP, refused)
    refused[POWERCAP] = _reason(first)
    second = open_perf_event(where.pmu, system=where.perf)
    if _serves(second):
        return _chosen(_guarded(second, where.powercap), PERF_EVENT, refused)
    second.close()
    refused[PERF_EVENT] = _reason(second)
    if sidecar is not None:
        third = open_powercap(where.powercap, lambda path: sidecar(path.parent.name))
        if _serves(third):
            return _chosen(third, SIDECAR, refused)
        refused[SIDECAR] = _reason(third)
    return _none(first, refused)


def sidecar_would_help(facts: Mapping[str, Any], places: RaplPlaces | None = None) -> bool:
    """Tell whether a reader with more rights could open what no route of ours did.

    Args:
        facts: Of the meter that `open_rapl` returned.
        places: Where it looked.
    """
    root = (places or RaplPlaces()).powercap
    return facts.get("cpu_route", POWERCAP) is None and any(root.glob("intel-rapl:*"))


def _serves(meter: CpuMeter) -> bool:
    return Domain.CPU in meter.domains


def _reason(meter: CpuMeter) -> str:
    return next((item.reason for item in meter.absent if item.domain == Domain.CPU), "no package counter")


def _chosen(meter: CpuMeter, route: str, refused: Mapping[str, str]) -> CpuMeter:
    return replace(meter, facts={**meter.facts, "cpu_route": route, "cpu_routes_refused": dict(refused)})


def _guarded(meter: CpuMeter, powercap: Path) -> CpuMeter:
    """Take the packages' power limits from powercap, whose limits are open where its counters are not."""
    limits = _largest_limit_w(powercap)
    streams = meter.domains[Domain.CPU]
    unguarded = [stream for stream in meter.domains.get(Domain.DRAM, ()) if stream not in streams]
    if limits is None:
        unguarded = [*streams, *unguarded]
    return replace(
        meter,
        max_power_w={} if limits is None else dict.fromkeys(streams, limits),
        facts={**meter.facts, "zones_without_power_limit": unguarded},
    )


def _largest_limit_w(powercap: Path) -> float | None:
    # The counters are not needed for the limits: any number stands in for what may not be read.
    packages = open_powercap(powercap, lambda _: "0")
    known = [packages.max_power_w.get(stream) for stream in packages.domains.get(Domain.CPU, ())]
    return max((limit for limit in known if limit), default=None)


def _none(powercap: CpuMeter, refused: Mapping[str, str]) -> CpuMeter:
    denied = any("root only" in item.reason for item in powercap.absent)
    tried = "; ".join(
        f"{route}: {reason.removesuffix(f'; {UDEV_REMEDY}')}" for route, reason in refused.items()
    )
    reason = f"no route to RAPL: {tried}" + (f"; remedy: {UDEV_REMEDY}" if denied else "")
    return CpuMeter(
        absent=tuple(Absent(domain=domain, reason=reason) for domain in (Domain.CPU, Domain.DRAM)),
        facts={"cpu_route": None, "cpu_routes_refused": dict(refused)},
    )


__all__ = ["PERF_EVENT", "POWERCAP", "SIDECAR", "RaplPlaces", "open_rapl", "sidecar_would_help"]
