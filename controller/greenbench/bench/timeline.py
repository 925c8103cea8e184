"""When windows begin and end, and when the energy counter is read densely around their edges."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from greenbench.core.units import ns_from_seconds

LAG_S = 0.2
"""How long instant power lags behind the load: the load runs this much longer at both ends."""

POLLS_S = 0.6
"""How long the load goes on after that: every slowly polled sensor is read once past the last edge."""

DENSE_PERIODS = 2.5
"""Sensor periods on either side of an edge in which the counter is read densely: five changes an edge.

On the recorded H100 trace six are no better (worst of 300 windows of 10 s 0.047% with either), and with four
some windows are left without an interval."""

CHECK_S = 0.25
"""How often the load is asked whether it still runs: each time wakes this process beside the measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A window as asked for, CLOCK_MONOTONIC nanoseconds; the record decides the real edges."""

    begin_ns: int
    end_ns: int


def lead_s(sensor_period_s: float) -> float:
    """Return how long the load runs before the first and after the last window, seconds."""
    return 2 * sensor_period_s + LAG_S


def lay_out(
    *, now_ns: int, windows: int, window_s: float, sensor_period_s: float, phases: tuple[float, ...]
) -> tuple[Asked, ...]:
    """Lay consecutive windows out from now.

    Args:
        now_ns: CLOCK_MONOTONIC now.
        windows: How many.
        window_s: Length of each.
        sensor_period_s: The sensor's period; 0 where there is none.
        phases: One number in [0, 1) per window: the share of a period by which its start is put off,
            so that windows meet the sensor in every phase.

    Returns:
        The windows, ascending, each after the edge of the one before.
    """
    begin = now_ns + ns_from_seconds(lead_s(sensor_period_s))
    asked: list[Asked] = []
    for number in range(windows):
        begin += ns_from_seconds(phases[number] * sensor_period_s)
        asked.append(Asked(begin_ns=begin, end_ns=begin + ns_from_seconds(window_s)))
        begin = asked[-1].end_ns
    return tuple(asked)


def dense_stretches(asked: tuple[Asked, ...], sensor_period_s: float) -> tuple[tuple[int, int], ...]:
    """Return when to read densely: around every edge, overlapping stretches joined. [(begin_ns, end_ns)]."""
    margin = ns_from_seconds(DENSE_PERIODS * sensor_period_s)
    edges = sorted(edge for window in asked for edge in (window.begin_ns, window.end_ns))
    joined: list[tuple[int, int]] = []
    for edge in edges:
        begin, end = edge - margin, edge + margin
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return tuple(joined)


def hold(
    asked: tuple[Asked, ...],
    *,
    sensor_period_s: float,
    dense: Callable[[], AbstractContextManager[object]],
    check: Callable[[], object],
    clock: Callable[[], int],
    sleep: Callable[[float], None],
) -> None:
    """Let the load run through all windows and their tail, reading densely around the edges.

    Args:
        asked: The windows.
        sensor_period_s: The sensor's period; 0 where there is none.
        dense: Opens a dense stretch.
        check: Raises when the load broke.
        clock: CLOCK_MONOTONIC in nanoseconds.
        sleep: Waits some seconds.
    """
    stretches = dense_stretches(asked, sensor_period_s) if sensor_period_s else ()
    for begin_ns, end_ns in stretches:
        _wait_until(begin_ns, check, clock, sleep)
        with dense():
            _wait_until(end_ns, check, clock, sleep)
    _wait_until(asked[-1].end_ns + ns_from_seconds(lead_s(sensor_period_s) + POLLS_S), check, clock, sleep)


def _wait_until(
    instant_ns: int, check: Callable[[], object], clock: Callable[[], int], sleep: Callable[[float], None]
) -> None:
    while (left_ns := instant_ns - clock()) > 0:
        check()
        sleep(min(CHECK_S, left_ns / ns_from_seconds(1.0)))
