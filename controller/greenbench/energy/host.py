"""The host's own load: what others take of the CPU while a window runs."""

import os
import time
from pathlib import Path

from greenbench.core.errors import MeterError
from greenbench.energy.files import KeptFile
from greenbench.energy.sensor import CallSensor
from greenbench.energy.shared import SharedCall

POLL_S = 0.5
_IDLE, _IOWAIT, _STEAL = 3, 4, 7


def host_sensors(stat: Path = Path("/proc/stat")) -> tuple[CallSensor, ...]:
    """Return sensors of CPU seconds: this process's own, the whole host's, and those stolen from it.

    None where /proc has no stat.

    Args:
        stat: The kernel's table, another file in tests.
    """
    if not stat.exists():
        return ()
    table = KeptFile(stat)
    ticks = SharedCall(lambda: _ticks(table))
    return (
        CallSensor(stream="host:self", unit="s", period_s=POLL_S, call=time.process_time),
        CallSensor(stream="host:busy", unit="s", period_s=POLL_S, call=lambda: _seconds(ticks(), busy=True)),
        CallSensor(
            stream="host:steal", unit="s", period_s=POLL_S, call=lambda: _seconds(ticks(), busy=False)
        ),
    )


def suspended_s() -> float:
    """Return how long this host has slept since its start, seconds; CLOCK_MONOTONIC stands still then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def time_of_day_s() -> float:
    """Return the time of day (CLOCK_REALTIME) less the time since the start (CLOCK_BOOTTIME), seconds.

    It changes where somebody sets the clock, by at most 0.05% of the time where NTP slews it, not by a sleep.
    """
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


def _ticks(stat: KeptFile) -> list[int]:
    fields = [int(field) for field in stat.read().partition("\n")[0].split()[1:9]]
    if len(fields) <= _STEAL:
        raise MeterError(f"/proc/stat has {len(fields)} CPU columns, 8 are needed")
    return fields


def _seconds(ticks: list[int], *, busy: bool) -> float:
    found = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT] - ticks[_STEAL] if busy else ticks[_STEAL]
    return found / os.sysconf("SC_CLK_TCK")
