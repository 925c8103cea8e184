"""What a load is measured with: meters, limits, a clock; handed down, never looked up."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenbench.core.doubt import Limits, Rule
from greenbench.energy.host import suspended_s, time_of_day_s
from greenbench.energy.meter import MeterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """What a load is measured with.

    Attributes:
        meters: Sensors and domains of this host.
        sensor_period_s: The energy counter's period; 0 where there is none.
        limits: The validity table in force.
        clock: CLOCK_MONOTONIC in nanoseconds.
        sleep: Waits some seconds.
        suspended: How long the host has slept so far, seconds.
        time_of_day: The time of day less the time since the host's start, seconds: constant until the clock
            is set.
    """

    meters: MeterSet
    sensor_period_s: float
    limits: Mapping[Rule, Limits]
    clock: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep
    suspended: Callable[[], float] = suspended_s
    time_of_day: Callable[[], float] = time_of_day_s
