"""Warm-up: until three consecutive sub-windows agree in rate and power."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.recorder import Record

SUB_WINDOWS = 3
AGREEMENT = 0.05
"""Largest spread (largest over smallest, less 1) of the sub-windows' rates and powers."""


def sub_window_s(window_s: float) -> float:
    """Return the length of one sub-window for windows of `window_s` seconds: a tenth, 0.5 to 1 s."""
    return min(1.0, max(0.5, window_s / 10))


def rates(ends_ns: NDArray[np.int64], *, until_ns: int, length_s: float) -> NDArray[np.float64]:
    """Return the rates of the last sub-windows, iterations per second.

    Args:
        ends_ns: int64 [n], end of each iteration, ascending.
        until_ns: End of the last sub-window; no later than the last end.
        length_s: Length of one sub-window.

    Returns:
        float64 [3], oldest first; empty where the stamps do not reach back so far.
    """
    edges = until_ns - ns_from_seconds(length_s) * np.arange(SUB_WINDOWS, -1, -1)
    if len(ends_ns) < SUB_WINDOWS + 1 or edges[0] < ends_ns[0]:
        return np.empty(0)
    counts = np.interp(edges, ends_ns, np.arange(len(ends_ns)))
    return np.diff(counts) / length_s


def power_of(record: Record) -> Series | None:
    """Return the power that tells whether a load is steady: as the board averages it, else of the instant."""
    average = record.get("average")
    return average if average is not None and len(average) else record.get("instant")


def powers(series: Series | None, *, until_ns: int, length_s: float) -> NDArray[np.float64]:
    """Return the mean powers of the last sub-windows, watts; empty where there is no power stream."""
    if series is None:
        return np.empty(0)
    length_ns = ns_from_seconds(length_s)
    begins = [until_ns - length_ns * step for step in range(SUB_WINDOWS, 0, -1)]
    means = [series.between(begin, begin + length_ns).value for begin in begins]
    return np.array([mean.mean() for mean in means]) if all(len(mean) for mean in means) else np.empty(0)


def agree(values: NDArray[np.float64]) -> bool:
    """Tell whether sub-windows agree; no sub-windows agree with nothing."""
    return len(values) == SUB_WINDOWS and values.min() > 0 and values.max() / values.min() - 1 <= AGREEMENT


def is_steady(ends_ns: NDArray[np.int64], power: Series | None, *, length_s: float) -> bool:
    """Tell whether rate, and power where it is measured, have settled."""
    if not len(ends_ns):
        return False
    until_ns = int(ends_ns[-1])
    watts = powers(power, until_ns=until_ns, length_s=length_s)
    return agree(rates(ends_ns, until_ns=until_ns, length_s=length_s)) and (power is None or agree(watts))


def warm_up(
    ends: Callable[[], NDArray[np.int64]],
    power: Callable[[], Series | None],
    *,
    cap_s: float,
    length_s: float,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
) -> float | None:
    """Wait until the load is steady.

    Args:
        ends: Returns the end stamps so far; raises when the load broke.
        power: Returns the power readings so far; None where there is no meter.
        cap_s: Longest wait.
        length_s: Length of one sub-window.
        clock: CLOCK_MONOTONIC in nanoseconds.
        sleep: Waits some seconds.

    Returns:
        None where it got steady, else the seconds waited in vain.
    """
    begin_ns = clock()
    while True:
        if is_steady(ends(), power(), length_s=length_s):
            return None
        waited_s = seconds_from_ns(clock() - begin_ns)
        if waited_s >= cap_s:
            return waited_s
        sleep(min(0.1, cap_s))
