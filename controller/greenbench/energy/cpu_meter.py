"""A CPU meter that was opened: RAPL by one route or another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.energy.sensor import Sensor


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuMeter:
    """What one route to RAPL gives.

    Attributes:
        sensors: Cumulative joules, one per zone.
        domains: Domain -> streams that add up to it.
        wraps: Stream -> range after which it starts again, joules.
        max_power_w: Stream -> largest plausible power, watts; absent where none can be read.
        absent: Domains that this route cannot measure, with the reason.
        facts: For the manifest.
        close: Gives back what the route holds open.
    """

    sensors: tuple[Sensor, ...] = ()
    domains: Mapping[Domain, tuple[str, ...]] = field(default_factory=dict)
    wraps: Mapping[str, float] = field(default_factory=dict)
    max_power_w: Mapping[str, float] = field(default_factory=dict)
    absent: tuple[Absent, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], None] = field(default=_nothing, repr=False)
