"""Figures of one stream over one window: means, advances, integrals, gaps."""

from collections.abc import Collection, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.changes import changes_of, first_edge_after
from greenbench.energy.recorder import Record

AVERAGE_S = 1.1
"""A board's averaged power tells of so long before a reading (an H100's ramps for 1.1 s after a step)."""

FEWEST_READINGS = 3
"""Fewer readings of the instant in a half tell nothing of how much they differ."""


def middle(series: Series) -> NDArray[np.int64]:
    """Return the middle of each call: int64 [n], nanoseconds."""
    middle: NDArray[np.int64] = (series.t_before_ns + series.t_after_ns) // 2
    return middle


def counted(record: Record, stream: str, begin_ns: int, end_ns: int) -> int:
    """Return for how many readings a stream's values inside a window count: those within its period for one.

    Values closer than that resemble each other, or repeat what the board says until it renews it: counted one
    by one they would seem to tell a mean more closely than they do.
    """
    found = inside(record.get(stream), begin_ns, end_ns)
    if len(found) < 2:  # noqa: PLR2004 - the time between two
        return len(found)
    spacing_ns = max(1.0, float(np.median(np.diff(found.t_before_ns))))
    several = max(1, round(ns_from_seconds(record.periods_s.get(stream, 0.0)) / spacing_ns))
    return round(len(found) / several)


def iterations_at(ends_ns: NDArray[np.int64], instant_ns: int) -> float:
    """Return how many iterations had ended at an instant, interpolated between two ends."""
    return float(np.interp(instant_ns, ends_ns, np.arange(len(ends_ns))))


def inside(series: Series | None, begin_ns: int, end_ns: int) -> Series:
    """Return the readings inside a window; none of a stream that is not there."""
    if series is None:
        empty = np.empty(0, dtype=np.int64)
        return Series(stream="", unit="", t_before_ns=empty, t_after_ns=empty, value=np.empty(0))
    return series.between(begin_ns, end_ns)


def latencies(
    ends_ns: NDArray[np.int64], begin_ns: int, end_ns: int
) -> tuple[float | None, float | None, float | None]:
    """Return p50, p90 and p99 of the times between ends inside a window, seconds."""
    times = np.diff(ends_ns[(ends_ns >= begin_ns) & (ends_ns <= end_ns)]) / 1e9
    if not len(times):
        return None, None, None
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    return p50, p90, p99


def mean(record: Record, stream: str, begin_ns: int, end_ns: int) -> float | None:
    """Return a stream's mean over a window; None where it has no reading."""
    values = inside(record.get(stream), begin_ns, end_ns).value
    return float(values.mean()) if len(values) else None


def largest(record: Record, stream: str, begin_ns: int, end_ns: int) -> float | None:
    """Return a stream's largest value over a window; None where it has no reading."""
    values = inside(record.get(stream), begin_ns, end_ns).value
    return float(values.max()) if len(values) else None


def peak(record: Record, stream: str, begin_ns: int | None, end_ns: int) -> int | None:
    """Return a stream's largest value up to a window's end, as a whole number."""
    series = record.get(stream)
    found = largest(record, stream, 0 if begin_ns is None else begin_ns, end_ns) if series else None
    return None if found is None else int(found)


def at(series: Series | None, instant_ns: int) -> float | None:
    """Return the reading nearest to an instant."""
    if series is None or not len(series):
        return None
    return float(series.value[np.argmin(np.abs(series.t_before_ns - instant_ns))])


def advance(series: Series | None, begin_ns: int, end_ns: int) -> float | None:
    """Return how far a cumulative stream went over a window; None where it does not cover it."""
    if series is None or not len(series):
        return None
    if series.t_before_ns[0] > begin_ns or series.t_before_ns[-1] < end_ns:
        return None
    at = np.interp([begin_ns, end_ns], middle(series), series.value)
    return float(at[1] - at[0])


def integral(series: Series | None, begin_ns: int, end_ns: int) -> float | None:
    """Return the energy of a power stream over a window by the trapezium rule, joules."""
    if series is None or len(inside(series, begin_ns, end_ns)) < 2:  # noqa: PLR2004 - a line needs two points
        return None
    times = middle(series)
    grid = np.unique(np.concatenate([[begin_ns], times[(times > begin_ns) & (times < end_ns)], [end_ns]]))
    watts = np.interp(grid, times, series.value)
    return float(np.sum((watts[1:] + watts[:-1]) / 2 * np.diff(grid)) / 1e9)


def rate_halves(ends_ns: NDArray[np.int64], begin_ns: int, end_ns: int) -> float | None:
    """Return the relative difference of the second half's rate to the first's."""
    middle = (begin_ns + end_ns) // 2
    first, second = (
        iterations_at(ends_ns, b) - iterations_at(ends_ns, a)
        for a, b in ((begin_ns, middle), (middle, end_ns))
    )
    return abs(second / first - 1) if first > 0 else None


def power_halves(record: Record, begin_ns: int, end_ns: int) -> tuple[float, float] | None:
    """Return the relative difference of the second half's power to the first's, and half its 95% interval.

    By the power that the board itself averages, where a reading's whole second fits into each half. Else by
    readings of the instant, which meet an iteration now here, now there: what that leaves open is the second
    number. None where a half holds too few readings of either.
    """
    half_ns = (begin_ns + end_ns) // 2
    halves = ((begin_ns, half_ns), (half_ns, end_ns))
    lag_ns = ns_from_seconds(AVERAGE_S)
    averaged = [inside(record.get("average"), a + lag_ns, b).value for a, b in halves]
    if all(len(half) for half in averaged):
        return _apart(*(float(half.mean()) for half in averaged), open_w=0.0)
    single = [inside(record.get("instant"), a, b).value for a, b in halves]
    counts = [counted(record, "instant", a, b) for a, b in halves]
    if min(counts) < FEWEST_READINGS:
        return None
    return _apart(*(float(half.mean()) for half in single), open_w=_open_w(single, counts))


def _apart(first_w: float, second_w: float, *, open_w: float) -> tuple[float, float] | None:
    """Return how far two means are apart and what is open of that, both as shares of the first."""
    return (abs(second_w / first_w - 1), open_w / first_w) if first_w > 0 else None


def _open_w(halves: Sequence[NDArray[np.float64]], counts: Sequence[int]) -> float:
    """Return half the 95% interval of the difference of two means (Welch), each of so many readings."""
    from scipy.special import stdtrit  # noqa: PLC0415

    parts = [float(half.var(ddof=1)) / count for half, count in zip(halves, counts, strict=True)]
    if not sum(parts):
        return 0.0
    freedom = sum(parts) ** 2 / sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return float(stdtrit(freedom, 0.975)) * sqrt(sum(parts))


def over_period(seconds: float, iterations: float, period_s: float) -> float | None:
    """Return the mean time of an iteration over the sensor's period."""
    return seconds / iterations / period_s if period_s and iterations else None


def others(record: Record, begin_ns: int, end_ns: int, cpu_s: float | None) -> float | None:
    """Return the host's CPU use beyond the runtime's and the controller's, in cores."""
    busy = advance(record.get("host:busy"), begin_ns, end_ns)
    own = advance(record.get("host:self"), begin_ns, end_ns)
    if busy is None or cpu_s is None or own is None:
        return None
    return max(0.0, busy - cpu_s - own) / seconds_from_ns(end_ns - begin_ns)


def steal(record: Record, begin_ns: int, end_ns: int) -> float | None:
    """Return the stolen share of all CPU time."""
    stolen = advance(record.get("host:steal"), begin_ns, end_ns)
    busy = advance(record.get("host:busy"), begin_ns, end_ns)
    if stolen is None or busy is None:
        return None
    return stolen / (stolen + busy) if stolen + busy else 0.0


def gaps(
    record: Record,
    begin_ns: int,
    end_ns: int,
    *,
    counters: Collection[str] = (),
    asked_ns: tuple[int, int] | None = None,
    sensor_period_s: float = 0.0,
) -> dict[str, float]:
    """Return each stream's longest gap over its period.

    Args:
        record: Covers the window.
        begin_ns: Of the window; its edges count as readings.
        end_ns: Likewise.
        counters: Streams whose energy is counted: a reading that shows what the one before it showed is none,
            since a counter that stands still is as lost as one that is not read.
        asked_ns: The window's asked edges, after which dense streams are read.
        sensor_period_s: Calibrated period of dense streams; with 0 nothing is said of them.
    """
    found: dict[str, float] = {}
    for stream, period_s in record.periods_s.items():
        if stream in record.dense:
            if asked_ns and sensor_period_s:
                found[stream] = (
                    max(_unchanged_s(record, stream, at, sensor_period_s) for at in asked_ns)
                    / sensor_period_s
                )
            continue
        series = record[stream]
        times = series.t_before_ns
        if stream in counters and len(times):
            times = times[np.concatenate([[True], np.diff(series.value) != 0])]
        near = times[(times >= begin_ns - 2 * ns_from_seconds(period_s)) & (times <= end_ns)]
        marks = np.concatenate([near, [end_ns]]) if len(near) else np.array([begin_ns, end_ns])
        found[stream] = float(np.diff(marks).max()) / ns_from_seconds(period_s)
    return found


def _unchanged_s(record: Record, stream: str, asked_ns: int, period_s: float) -> float:
    """Return how long after an asked edge a counter first changed between two close reads, seconds.

    Until the end of the record where it did not: a change that some time without reads shows may be older.
    """
    edge = first_edge_after(changes_of(record[stream]), asked_ns, period_s, halved=record.halved)
    ends = [int(other.t_before_ns[-1]) for other in record.values() if len(other)]
    until_ns = edge.t_ns if edge else max([asked_ns, *ends])
    return seconds_from_ns(until_ns - asked_ns)
