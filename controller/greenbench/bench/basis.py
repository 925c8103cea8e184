"""What a load's windows were cut with, kept beside its readings so that they can be cut again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from greenbench.bench.instruments import Instruments
from greenbench.core.doubt import Limits, Rule
from greenbench.core.errors import DamagedResultsError
from greenbench.core.reading import Domain, Series
from greenbench.core.trial import Absent
from greenbench.energy.joules import HALVED_SINCE, INTERVALS
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Fault, Record
from greenbench.energy.window import Window
from greenbench.results.manifest import Manifest

BASIS = "load_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What turns raw readings into windows.

    Attributes:
        meters: Which streams make which domain, without sensors.
        sensor_period_s: The energy counter's period; 0 where there is none.
        periods_s: Stream -> scheduled seconds between two readings.
        dense: Streams that are read only after edges.
        faults: The last failed reading of each stream that had one.
        asked_ns: Begin and end of every window as asked for; empty where it was not kept.
        intervals: How intervals were computed, as in `greenbench.energy.joules.INTERVALS`.
    """

    meters: MeterSet
    sensor_period_s: float
    periods_s: Mapping[str, float]
    dense: frozenset[str]
    faults: tuple[Fault, ...] = ()
    asked_ns: tuple[tuple[int, int], ...] = ()
    intervals: int = 1

    @property
    def exact(self) -> bool:
        """Whether everything was kept; else intervals and doubts cannot be computed again."""
        return bool(self.asked_ns)

    def instruments(self, limits: Mapping[Rule, Limits]) -> Instruments:
        """Return what rows are made with."""
        return Instruments(meters=self.meters, sensor_period_s=self.sensor_period_s, limits=limits)

    def record(self, series: Iterable[Series]) -> Record:
        """Return the record as it was: streams that never answered are in it, empty."""
        silent = {stream: _empty(stream) for stream in self.periods_s}
        found = silent | {item.stream: item for item in series}
        return Record(
            found,
            periods_s=self.periods_s,
            dense=self.dense,
            faults=self.faults,
            halved=self.intervals >= HALVED_SINCE,
        )


def _empty(stream: str) -> Series:
    none = np.empty(0, dtype=np.int64)
    return Series(stream=stream, unit="", t_before_ns=none, t_after_ns=none, value=np.empty(0))


def basis_fields(record: Record, instruments: Instruments, windows: Iterable[Window]) -> dict[str, Any]:
    """Return what the event log keeps of a load's basis.

    Args:
        record: The load's.
        instruments: What it was measured with.
        windows: Cut from it.
    """
    meters = instruments.meters
    return {
        "asked_ns": [window.asked_ns for window in windows],
        "sensor_period_s": instruments.sensor_period_s,
        "periods_s": record.periods_s,
        "dense": sorted(record.dense),
        "faults": {fault.stream: [fault.t_ns, fault.message] for fault in record.faults},
        "domains": {domain.value: streams for domain, streams in meters.domains.items()},
        "wraps": meters.wraps,
        "max_power_w": meters.max_power_w,
        "handles_wraps": meters.handles_wraps,
        "scope": meters.scope,
        "absent": meters.absent,
        "intervals": INTERVALS,
    }


def basis_of(event: Mapping[str, Any]) -> Basis:
    """Return the basis that an event keeps.

    Raises:
        DamagedResultsError: It lacks a field or holds what it cannot hold.
    """
    try:
        meters = MeterSet(
            domains={Domain(name): tuple(streams) for name, streams in event["domains"].items()},
            wraps=event["wraps"],
            max_power_w=event["max_power_w"],
            scope=event["scope"],
            absent=tuple(Absent(**item) for item in event["absent"]),
            handles_wraps=event["handles_wraps"],
        )
        faults = event["faults"].items()
        return Basis(
            meters=meters,
            sensor_period_s=event["sensor_period_s"],
            periods_s=event["periods_s"],
            dense=frozenset(event["dense"]),
            faults=tuple(Fault(stream=name, t_ns=said[0], message=said[1]) for name, said in faults),
            asked_ns=tuple((int(begin), int(end)) for begin, end in event["asked_ns"]),
            intervals=int(event.get("intervals", 1)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise DamagedResultsError(f"a {BASIS} event is damaged: {err!r}") from err


def basis_before_it_was_kept(manifest: Manifest) -> Basis:
    """Return what can be told of a run whose log keeps no basis: its GPU's counter, nothing of RAPL."""
    absent = tuple(Absent(domain=domain, reason=reason) for domain, reason in manifest.absent.items())
    scope = str(manifest.host.get("energy_scope", "none"))
    domains = {Domain.GPU: ("counter",)} if scope == Domain.GPU else {}
    return Basis(
        meters=replace(MeterSet(), domains=domains, scope=scope, absent=absent),
        sensor_period_s=manifest.sensor_periods_s.get("counter", 0.0),
        periods_s={},
        dense=frozenset({"counter"}),
    )
