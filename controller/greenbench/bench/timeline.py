"""When windows begin and end, and when the energy counter is read densely after their edges."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from greenbench.core.units import ns_from_seconds
from greenbench.energy.pacing import CLOSE_CHANGES

LAG_S = 0.2
"""How long instant power lags behind the load: the load runs this much longer at both ends."""

POLLS_S = 0.6
"""How long the load goes on after that: sensors polled twice a second are read once past the last edge."""

DENSE_PERIODS = 7.5
"""Sensor periods after an edge in which the counter is read around its changes, until all needed is seen.

Up to one passes before the first change; five changes and the step after them take 5.25, and one more where
a slow read spoils a change."""

DEAD_PERIODS = 11
"""A counter that did not change for so many periods after an edge is dead: more than what `gap` voids."""

LONG_PERIODS = 50
"""A window of so many periods is long: what its edges leave open is little of it."""

LONG_CHANGES, SHORT_CHANGES = CLOSE_CHANGES, 5
"""So many changes are seen closely at each edge of a window that is long or not.

Each takes two or three reads, which keep a core busy for 4 ms each on an H100; one read more halves what they
leave open. On its recorded trace windows of 1 s are within 0.46% of the trend, of 3 s within 0.25%, of 10 s
within 0.055% (worst of 300)."""

CHECK_S = 1.0
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
    """Return when to read densely: after every edge, not into the next. [(begin_ns, end_ns)]."""
    after = ns_from_seconds(DENSE_PERIODS * sensor_period_s)
    edges = sorted({edge for window in asked for edge in (window.begin_ns, window.end_ns)})
    following = [*edges[1:], edges[-1] + after]
    return tuple(
        (edge, min(edge + after, next_edge)) for edge, next_edge in zip(edges, following, strict=True)
    )


def edge_changes(asked: tuple[Asked, ...], sensor_period_s: float) -> int:
    """Return how many changes of the counter should be seen closely at each edge."""
    shortest_ns = min(window.end_ns - window.begin_ns for window in asked)
    return LONG_CHANGES if shortest_ns >= ns_from_seconds(LONG_PERIODS * sensor_period_s) else SHORT_CHANGES


def hold(
    asked: tuple[Asked, ...],
    *,
    sensor_period_s: float,
    dense: Callable[..., AbstractContextManager[object]],
    check: Callable[[], object],
    clock: Callable[[], int],
    sleep: Callable[[float], None],
) -> None:
    """Let the load run through all windows and their tail, reading densely after the edges.

    Args:
        asked: The windows.
        sensor_period_s: The sensor's period; 0 where there is none.
        dense: Opens a dense stretch, in which `changes` of the counter are to be seen closely.
        check: Raises when the load broke.
        clock: CLOCK_MONOTONIC in nanoseconds.
        sleep: Waits some seconds.
    """
    stretches = dense_stretches(asked, sensor_period_s) if sensor_period_s else ()
    changes = edge_changes(asked, sensor_period_s)
    for begin_ns, end_ns in stretches:
        _wait_until(begin_ns, check, clock, sleep)
        with dense(changes=changes):
            _wait_until(end_ns, check, clock, sleep)
    after_s = max(lead_s(sensor_period_s) + POLLS_S, DEAD_PERIODS * sensor_period_s)
    _wait_until(asked[-1].end_ns + ns_from_seconds(after_s), check, clock, sleep)


def _wait_until(
    instant_ns: int, check: Callable[[], object], clock: Callable[[], int], sleep: Callable[[float], None]
) -> None:
    while (left_ns := instant_ns - clock()) > 0:
        check()
        sleep(min(CHECK_S, left_ns / ns_from_seconds(1.0)))
