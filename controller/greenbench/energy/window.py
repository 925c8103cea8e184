"""Windows, cut from the record afterwards at the sensor's own changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Domain, Series, delta
from greenbench.core.trial import Absent
from greenbench.core.units import seconds_from_ns
from greenbench.energy.cgroup import CPU_STREAM, MEMORY_STREAM
from greenbench.energy.changes import Edge, changes_of, first_edge_after
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import (
    advance,
    at,
    gaps,
    inside,
    integral,
    iterations_at,
    largest,
    latencies,
    mean,
    middle,
    others,
    over_period,
    peak,
    power_halves,
    rate_halves,
    steal,
)
from greenbench.energy.recorder import Record

PLAUSIBLE = 1.5
"""A step that implies more than this many times a zone's largest power is refused."""

_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of one domain over one window.

    Attributes:
        joules: Gross.
        edge_u95_j: Half the width of the 95% interval that the two edges leave, joules.
    """

    joules: float
    edge_u95_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one window held; None where there is no sensor.

    Attributes:
        begin_ns: First edge, CLOCK_MONOTONIC.
        end_ns: Last edge.
        iterations: Forward passes between them; fractional where the edges are a sensor's.
        edge_source: ``counter``, ``rapl`` or ``runtime``.
        energy: By domain.
        latency_p50_s: Median time between two ends inside the window; likewise p90 and p99.
        power_gpu_mean_w: Counter energy over duration.
        gpu_util_mean: Share from 0 to 1.
        counter_over_integral: Counter energy over integrated instant power.
        instant_readings: Readings that the integral rests on.
        throttled_share: Share of readings with a thermal, power-brake or HW-slowdown bit.
        cpu_s: CPU seconds of the runtime.
        memory_peak_b: Peak (cgroup v1, v2) or largest reading of the runtime's memory.
        sensor_periods: Sensor periods in the window; None where no sensor set the edges.
        rate_halves: Relative difference of the second half's rate to the first's.
        power_halves: The same for power.
        iteration_over_period: Mean time of an iteration over the sensor's period; None without a counter.
        others_cores: CPU use of the host beyond the runtime's, in cores.
        steal_share: Stolen share of all CPU time.
        foreign_processes: Largest number of other compute processes seen.
        gaps: Stream -> longest gap over its scheduled period.
        counter_resets: Counters that went backwards without a wrap, or stepped implausibly far.
        unwrapped_ok: Whether the CPU meter handles wraps.
        absent: Domains that have no value in this window, with the reason.
    """

    begin_ns: int
    end_ns: int
    iterations: float
    edge_source: str
    energy: Mapping[Domain, Energy] = field(default_factory=dict)
    latency_p50_s: float | None = None
    latency_p90_s: float | None = None
    latency_p99_s: float | None = None
    power_gpu_mean_w: float | None = None
    gpu_util_mean: float | None = None
    sm_clock_mean_hz: float | None = None
    temperature_begin_c: float | None = None
    temperature_end_c: float | None = None
    gpu_memory_peak_b: int | None = None
    counter_over_integral: float | None = None
    instant_readings: int = 0
    throttled_share: float | None = None
    cpu_s: float | None = None
    memory_peak_b: int | None = None
    sensor_periods: float | None = None
    rate_halves: float | None = None
    power_halves: float | None = None
    iteration_over_period: float | None = None
    others_cores: float | None = None
    steal_share: float | None = None
    foreign_processes: float | None = None
    gaps: Mapping[str, float] = field(default_factory=dict)
    counter_resets: tuple[str, ...] = ()
    unwrapped_ok: bool = True
    absent: tuple[Absent, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return seconds_from_ns(self.end_ns - self.begin_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    source: str
    begin: Edge
    end: Edge

    @property
    def duration_s(self) -> float:
        return seconds_from_ns(self.end.t_ns - self.begin.t_ns)


def cut(
    record: Record,
    meters: MeterSet,
    *,
    asked_begin_ns: int,
    asked_end_ns: int,
    ends_ns: NDArray[np.int64],
    sensor_period_s: float,
) -> Window:
    """Cut one window from a record.

    Args:
        record: From before the asked begin to after the asked end.
        meters: Which streams make which domain.
        asked_begin_ns: CLOCK_MONOTONIC; the edge is the sensor's first change after it.
        asked_end_ns: Likewise.
        ends_ns: int64 [n], end of every iteration, from before the window to after it.
        sensor_period_s: Calibrated period of the energy counter; 0 where there is none.

    Returns:
        The window, its energies by domain, and every statistic that the validity rules need.
    """
    edges = _edges(record, meters, (asked_begin_ns, asked_end_ns), ends_ns, sensor_period_s)
    begin, end = edges.begin.t_ns, edges.end.t_ns
    energy, absent, resets = _energies(record, meters, edges)
    times = latencies(ends_ns, begin, end)
    iterations = iterations_at(ends_ns, end) - iterations_at(ends_ns, begin)
    seconds = edges.duration_s
    gpu = energy.get(Domain.GPU)
    cpu_s = advance(record.get(CPU_STREAM), begin, end)
    integrated = integral(record.get("instant"), begin, end)
    return Window(
        begin_ns=begin,
        end_ns=end,
        iterations=iterations,
        edge_source=edges.source,
        energy=energy,
        latency_p50_s=times[0],
        latency_p90_s=times[1],
        latency_p99_s=times[2],
        power_gpu_mean_w=gpu.joules / seconds if gpu else None,
        gpu_util_mean=mean(record, "utilisation", begin, end),
        sm_clock_mean_hz=mean(record, "sm_clock", begin, end),
        temperature_begin_c=at(record.get("temperature"), begin),
        temperature_end_c=at(record.get("temperature"), end),
        gpu_memory_peak_b=peak(record, "gpu_memory", begin, end),
        counter_over_integral=gpu.joules / integrated if gpu and integrated else None,
        instant_readings=len(inside(record.get("instant"), begin, end)),
        throttled_share=mean(record, "throttled", begin, end),
        cpu_s=cpu_s,
        memory_peak_b=peak(record, MEMORY_STREAM, None, end),
        sensor_periods=float(round(seconds / sensor_period_s))
        if edges.source == "counter" and sensor_period_s
        else None,
        rate_halves=rate_halves(ends_ns, begin, end),
        power_halves=power_halves(record.get("instant"), begin, end),
        iteration_over_period=over_period(seconds, iterations, sensor_period_s if gpu else 0.0),
        others_cores=others(record, begin, end, cpu_s),
        steal_share=steal(record, begin, end),
        foreign_processes=largest(record, "foreign_processes", begin, end),
        gaps=gaps(record, begin, end),
        counter_resets=resets,
        unwrapped_ok=meters.handles_wraps or not {Domain.CPU, Domain.DRAM} & set(energy),
        absent=absent,
    )


def _edges(
    record: Record,
    meters: MeterSet,
    asked_ns: tuple[int, int],
    ends_ns: NDArray[np.int64],
    sensor_period_s: float,
) -> _Edges:
    for source, stream, period_s in _edge_streams(meters, sensor_period_s):
        if stream in record:
            changes = changes_of(record[stream])
            found = [first_edge_after(changes, at, period_s) for at in asked_ns]
            if found[0] and found[1]:
                return _Edges(source=source, begin=found[0], end=found[1])
    begin, end = (_end_after(ends_ns, at) for at in asked_ns)
    return _Edges(source="runtime", begin=begin, end=end)


def _edge_streams(meters: MeterSet, sensor_period_s: float) -> list[tuple[str, str, float]]:
    counters = [("counter", stream, sensor_period_s) for stream in meters.domains.get(Domain.GPU, ())]
    return counters + [("rapl", stream, 0.0) for stream in meters.domains.get(Domain.CPU, ())[:1]]


def _end_after(ends_ns: NDArray[np.int64], instant_ns: int) -> Edge:
    index = min(int(np.searchsorted(ends_ns, instant_ns)), len(ends_ns) - 1)
    return Edge(t_ns=int(ends_ns[index]), value=float(index), uncertainty_s=0.0)


def _energies(
    record: Record, meters: MeterSet, edges: _Edges
) -> tuple[dict[Domain, Energy], tuple[Absent, ...], tuple[str, ...]]:
    energy: dict[Domain, Energy] = {}
    absent: list[Absent] = []
    resets: list[str] = []
    for domain, streams in meters.domains.items():
        try:
            parts = [_energy(record, meters, stream, edges) for stream in streams]
        except _NoReadingError as err:
            absent.append(Absent(domain=domain, reason=str(err)))
            continue
        except ValueError as err:
            resets.append(str(err))
            absent.append(Absent(domain=domain, reason=str(err)))
            continue
        u95 = sqrt(sum(part.edge_u95_j**2 for part in parts))
        energy[domain] = Energy(joules=sum(part.joules for part in parts), edge_u95_j=u95)
    return energy, tuple(absent), tuple(resets)


class _NoReadingError(Exception):
    """A stream has no reading on one side of the window."""


def _energy(record: Record, meters: MeterSet, stream: str, edges: _Edges) -> Energy:
    series = record.get(stream)
    if series is None or not len(series):
        raise _NoReadingError(f"{stream} gave no reading")
    if edges.source == "counter" and stream in record.dense:
        # Checked over the whole stretch: a reset between the edges would hide in their difference.
        cumulative(inside(series, edges.begin.t_ns, edges.end.t_ns), meters)
        joules = delta(edges.begin.value, edges.end.value, wraps_at=None)
        return Energy(joules=joules, edge_u95_j=_edge_u95_j(joules, edges))
    if series.t_before_ns[0] > edges.begin.t_ns or series.t_before_ns[-1] < edges.end.t_ns:
        raise _NoReadingError(f"{stream} was not read on both sides of the window")
    total = cumulative(series, meters)
    at = np.interp([edges.begin.t_ns, edges.end.t_ns], middle(series), total)
    joules = float(at[1] - at[0])
    step_s = float(np.median(np.diff(series.t_before_ns), axis=0)) / 1e9 if len(series) > 1 else 0.0
    # Between two polls power may lie anywhere near its mean: a tenth of a poll's energy at each edge.
    slack_j = joules / edges.duration_s * step_s / 10
    return Energy(joules=joules, edge_u95_j=_TWO_SIDED_95 * slack_j * sqrt(2))


def _edge_u95_j(joules: float, edges: _Edges) -> float:
    watts = joules / edges.duration_s
    uniform = [edge.uncertainty_s / sqrt(3) for edge in (edges.begin, edges.end)]
    return _TWO_SIDED_95 * watts * sqrt(sum(part**2 for part in uniform))


def cumulative(series: Series, meters: MeterSet) -> NDArray[np.float64]:
    """Return a counter without its wraps: float64 [n], joules since the first reading.

    Raises:
        ValueError: It went backwards without a wrap, or stepped further than its zone could.
    """
    wraps_at = meters.wraps.get(series.stream)
    steps = np.diff(series.value)
    if wraps_at is not None and meters.handles_wraps:
        steps = np.where(steps < 0, steps + wraps_at, steps)
    if (steps < 0).any():
        raise ValueError(f"{series.stream} went backwards by {-steps.min():.3g} J")
    limit_w = meters.max_power_w.get(series.stream)
    if limit_w is not None:
        seconds = np.diff(series.t_after_ns) / 1e9
        watts = steps / np.maximum(seconds, 1e-9)
        if (watts > PLAUSIBLE * limit_w).any():
            raise ValueError(
                f"{series.stream} stepped by {watts.max():.0f} W, its zone can do {limit_w:.0f} W"
            )
    return np.concatenate([[0.0], np.cumsum(steps)])
