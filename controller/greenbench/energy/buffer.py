"""Values that a device's driver collects by itself, fetched now and then.

NVML keeps the last two seconds of a board's power, a value every 20 ms (an H200's, 2026-11-26), each with the
time of day at which it was taken. One call fetches a second of them for the CPU of four single readings, and
they show what readings at 10 Hz miss.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from greenbench.core.errors import MeterError
from greenbench.core.units import ns_from_seconds, seconds_from_ns

FETCH_S = 1.0
"""How often the values are fetched."""

FEWEST = 20
"""So many values at least tell how often the driver takes one."""

AHEAD_S = 0.05
"""A value may have been taken while it was fetched; one further ahead bears a time of day from before the
clock was set."""

SAME_S = 0.001
"""A value so soon after another is that one again: the clocks are compared anew for every fetch, and the time
of day may run up to 0.05% fast or slow meanwhile."""

_NS_PER_US = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value as the driver keeps it.

    Attributes:
        taken_us: Time of day, microseconds since 1970.
        value: In the stream's unit.
    """

    taken_us: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferedSensor:
    """A sensor that is fetched in stretches; `stream`, `unit`, `dense` as of `Sensor`.

    Attributes:
        period_s: How far apart its values may lie, seconds: what a gap is measured by.
        fetch_s: How often they are fetched, seconds.
        fetch: Returns what the driver keeps of a time of day (microseconds) and later, oldest first.
        monotonic: CLOCK_MONOTONIC, nanoseconds.
        time_of_day: CLOCK_REALTIME, nanoseconds.
    """

    stream: str
    unit: str
    period_s: float
    fetch: Callable[[int], Sequence[Value]]
    fetch_s: float = FETCH_S
    monotonic: Callable[[], int] = time.monotonic_ns
    time_of_day: Callable[[], int] = time.time_ns

    @property
    def dense(self) -> bool:
        """Not read around changes."""
        return False

    def since(self, after_ns: int) -> list[tuple[int, float]]:
        """Return what was taken after an instant: [(CLOCK_MONOTONIC ns, value)], ascending.

        Values whose time of day leads out of the time between that instant and now are left out: somebody set
        the clock, and nothing says how far. What is missing shows as a gap.

        Raises:
            MeterError: The driver did not answer.
        """
        ahead_ns = self.time_of_day() - self.monotonic()
        values = self.fetch((after_ns + ahead_ns) // _NS_PER_US)
        latest_ns = self.monotonic() + ns_from_seconds(AHEAD_S)
        found: list[tuple[int, float]] = []
        for one in values:
            at_ns = one.taken_us * _NS_PER_US - ahead_ns
            if after_ns + ns_from_seconds(SAME_S) < at_ns <= latest_ns:
                found.append((at_ns, one.value))
                after_ns = at_ns
        return found

    def read(self) -> float:
        """Return the newest value, of the last two fetches at most.

        Raises:
            MeterError: The driver did not answer, or has none.
        """
        found = self.since(self.monotonic() - ns_from_seconds(2 * self.fetch_s))
        if not found:
            raise MeterError(f"the driver has no value of {self.stream}")
        return found[-1][1]


def spacing_s(values: Sequence[Value]) -> float | None:
    """Return the median time between two values, seconds; None where they are too few, or too short a time.

    Too short: a driver that keeps less than one and a half fetches would lose some whenever one is late.
    """
    taken_us = np.array([one.taken_us for one in values], dtype=np.int64)
    if len(taken_us) < FEWEST or np.ptp(taken_us) < 1.5 * FETCH_S * 1e6:
        return None
    return seconds_from_ns(int(np.median(np.diff(np.sort(taken_us)))) * _NS_PER_US)
