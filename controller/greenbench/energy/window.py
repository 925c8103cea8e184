"""Windows, cut from the record afterwards at the sensor's own changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.core.units import seconds_from_ns
from greenbench.energy.cgroup import CPU_STREAM, MEMORY_STREAM
from greenbench.energy.edges import edges_of
from greenbench.energy.joules import Energy, cumulative, joules_of
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import (
    advance,
    at,
    counted,
    gaps,
    inside,
    integral,
    iterations_at,
    largest,
    latencies,
    mean,
    others,
    over_period,
    peak,
    power_halves,
    rate_halves,
    steal,
)
from greenbench.energy.recorder import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one window held; None where there is no sensor.

    Attributes:
        begin_ns: First edge, CLOCK_MONOTONIC.
        end_ns: Last edge.
        iterations: Forward passes between them; fractional where the edges are a sensor's.
        edge_source: ``counter``, ``rapl`` or ``runtime``.
        asked_ns: Begin and end as asked for: the edges are the first changes after them.
        iterations_u95: Half the width of the 95% interval of `iterations`, as a share of them: what edges
            inside an iteration leave open; 0 where iterations are shorter than the sensor's period.
        energy: By domain.
        latency_p50_s: Median time between two ends inside the window; likewise p90 and p99.
        power_gpu_mean_w: Counter energy over duration.
        gpu_util_mean: Share from 0 to 1.
        counter_over_integral: Counter energy over integrated instant power.
        instant_readings: Readings that the integral rests on; of those within one period of the stream, one.
        throttled_share: Share of readings with a thermal, power-brake or HW-slowdown bit.
        throttled_readings: How many these are.
        cpu_s: CPU seconds of the runtime.
        memory_peak_b: Peak (cgroup v1, v2) or largest reading of the runtime's memory.
        sensor_periods: Sensor periods in the window; None where no sensor set the edges.
        rate_halves: Relative difference of the second half's rate to the first's.
        power_halves: The same for power.
        power_halves_u95: Half the 95% interval of that: what readings of the instant leave open.
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
    asked_ns: tuple[int, int] = (0, 0)
    iterations_u95: float = 0.0
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
    throttled_readings: int = 0
    cpu_s: float | None = None
    memory_peak_b: int | None = None
    sensor_periods: float | None = None
    rate_halves: float | None = None
    power_halves: float | None = None
    power_halves_u95: float = 0.0
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

    Raises:
        MeterError: Fewer than two iterations ended: there is no window.
    """
    edges = edges_of(
        record,
        meters,
        asked_ns=(asked_begin_ns, asked_end_ns),
        ends_ns=ends_ns,
        sensor_period_s=sensor_period_s,
    )
    begin, end = edges.begin.t_ns, edges.end.t_ns
    found = joules_of(record, meters, edges)
    energy = found.energy
    times = latencies(ends_ns, begin, end)
    iterations = iterations_at(ends_ns, end) - iterations_at(ends_ns, begin)
    seconds = edges.duration_s
    gpu = energy.get(Domain.GPU)
    cpu_s = advance(record.get(CPU_STREAM), begin, end)
    integrated = integral(record.get("instant"), begin, end)
    halves = power_halves(record, begin, end)
    return Window(
        begin_ns=begin,
        end_ns=end,
        iterations=iterations,
        edge_source=edges.source,
        asked_ns=(asked_begin_ns, asked_end_ns),
        iterations_u95=edges.iterations_u95,
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
        instant_readings=counted(record, "instant", begin, end),
        throttled_share=mean(record, "throttled", begin, end),
        throttled_readings=int(np.count_nonzero(inside(record.get("throttled"), begin, end).value)),
        cpu_s=cpu_s,
        memory_peak_b=peak(record, MEMORY_STREAM, None, end),
        sensor_periods=float(round(seconds / sensor_period_s))
        if edges.source == "counter" and sensor_period_s
        else None,
        rate_halves=rate_halves(ends_ns, begin, end),
        power_halves=halves[0] if halves else None,
        power_halves_u95=halves[1] if halves else 0.0,
        iteration_over_period=over_period(seconds, iterations, sensor_period_s if gpu else 0.0),
        others_cores=others(record, begin, end, cpu_s),
        steal_share=steal(record, begin, end),
        foreign_processes=largest(record, "foreign_processes", begin, end),
        gaps=gaps(
            record,
            begin,
            end,
            counters={
                stream
                for domain, streams in meters.domains.items()
                if domain is not Domain.PSYS  # it is in no total, and on some platforms it never moves
                for stream in streams
            },
            asked_ns=(asked_begin_ns, asked_end_ns),
            sensor_period_s=sensor_period_s,
        ),
        counter_resets=found.resets,
        unwrapped_ok=meters.handles_wraps or not {Domain.CPU, Domain.DRAM} & set(energy),
        absent=(*found.absent, *_runtime_absent(record, cpu_s)),
    )


def _runtime_absent(record: Record, cpu_s: float | None) -> tuple[Absent, ...]:
    """Return why the runtime's own figures are null, where it was meant to be read."""
    absent = []
    if CPU_STREAM in record and cpu_s is None:
        absent.append(Absent(domain="cpu_s", reason=f"{CPU_STREAM} was not read on both sides of the window"))
    if MEMORY_STREAM in record and not len(record[MEMORY_STREAM]):
        absent.append(Absent(domain="memory_peak_b", reason=f"{MEMORY_STREAM} gave no reading"))
    return tuple(absent)


__all__ = ["Energy", "Window", "cumulative", "cut"]
