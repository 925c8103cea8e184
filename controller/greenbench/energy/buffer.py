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

STEP_S = 0.002
"""Where the time of day moved further against CLOCK_MONOTONIC since the last fetch, somebody set it ..."""
SLEW = 0.0005
"""... beyond the share of that time by which it may be let run fast or slow."""

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

    def at_ns(self, ahead_ns: int) -> int:
        """Return its CLOCK_MONOTONIC, given how far the time of day is ahead of that."""
        return self.taken_us * _NS_PER_US - ahead_ns


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

    def clocks(self) -> tuple[int, int]:
        """Return CLOCK_MONOTONIC now, and how far the time of day is ahead of it, nanoseconds.

        Of three tries the quickest: a thread that is held up between the two clocks sees them too far apart.
        """
        tries = []
        for _ in range(3):
            before_ns, day_ns, after_ns = self.monotonic(), self.time_of_day(), self.monotonic()
            tries.append((after_ns - before_ns, after_ns, day_ns - (before_ns + after_ns) // 2))
        _, now_ns, ahead_ns = min(tries)
        return now_ns, ahead_ns

    def read(self) -> float:
        """Return the newest value, of the last two fetches at most.

        Raises:
            MeterError: The driver did not answer, or has none.
        """
        now_ns, ahead_ns = self.clocks()
        after_ns = now_ns - ns_from_seconds(2 * self.fetch_s)
        values = self.fetch((after_ns + ahead_ns) // _NS_PER_US)
        latest_ns = self.monotonic() + ns_from_seconds(AHEAD_S)
        found = [one.value for one in values if after_ns < one.at_ns(ahead_ns) <= latest_ns]
        if not found:
            raise MeterError(f"the driver has no value of {self.stream}")
        return found[-1]


class Tail:
    """What one recorder has not fetched yet of a buffered sensor, which others may fetch as well.

    Values bear the time of day. It is brought to CLOCK_MONOTONIC by the difference of the two clocks, which
    is compared from fetch to fetch: somebody may set the time of day.
    """

    def __init__(self, sensor: BufferedSensor) -> None:
        """Begin now: what the driver kept from before is not given.

        Args:
            sensor: What is fetched.
        """
        self._sensor = sensor
        self._looked_ns, self._ahead_ns = sensor.clocks()
        self._last_ns = self._looked_ns
        self._last_us = (self._looked_ns + self._ahead_ns) // _NS_PER_US
        self._stale: frozenset[int] = frozenset()

    def fetch(self) -> list[tuple[int, float]]:
        """Return what was taken since the last fetch: [(CLOCK_MONOTONIC ns, value)], ascending.

        Raises:
            MeterError: The driver did not answer, or the time of day was set since the last fetch. Nothing
                says which values were taken before that and which after: none is given, which shows as a gap.
        """
        values = self._sensor.fetch(self._last_us)
        now_ns, ahead_ns = self._sensor.clocks()
        moved_s = seconds_from_ns(ahead_ns - self._ahead_ns)
        if abs(moved_s) > STEP_S + SLEW * seconds_from_ns(now_ns - self._looked_ns):
            self._forget(now_ns, ahead_ns)
            raise MeterError(
                f"{self._sensor.stream}: the time of day was set by {moved_s:+.3f} s: "
                "values that the driver took meanwhile are left out"
            )
        self._looked_ns, self._ahead_ns = now_ns, ahead_ns
        found: list[tuple[int, float]] = []
        latest_ns = now_ns + ns_from_seconds(AHEAD_S)
        for one in values:
            at_ns = one.at_ns(ahead_ns)
            fresh = one.taken_us > self._last_us and one.taken_us not in self._stale
            if fresh and self._last_ns < at_ns <= latest_ns:
                found.append((at_ns, one.value))
                self._last_ns, self._last_us = at_ns, one.taken_us
        return found

    def _forget(self, now_ns: int, ahead_ns: int) -> None:
        """Begin anew. A clock that was set back lets values of before look like ones still to come."""
        self._stale = frozenset(one.taken_us for one in self._sensor.fetch(0))
        self._looked_ns, self._ahead_ns, self._last_ns = now_ns, ahead_ns, now_ns
        self._last_us = (now_ns + ahead_ns) // _NS_PER_US


def spacing_s(values: Sequence[Value]) -> float | None:
    """Return the median time between two values, seconds; None where they are too few, or too short a time.

    Too short: a driver that keeps less than one and a half fetches would lose some whenever one is late.
    """
    taken_us = np.array([one.taken_us for one in values], dtype=np.int64)
    if len(taken_us) < FEWEST or np.ptp(taken_us) < 1.5 * FETCH_S * 1e6:
        return None
    return seconds_from_ns(int(np.median(np.diff(np.sort(taken_us)))) * _NS_PER_US)
