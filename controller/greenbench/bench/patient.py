"""The host as `greenbench doctor` finds it, opened once for all checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenbench.core.doubt import Limits, Rule
from greenbench.core.runtime import RuntimeSpec
from greenbench.energy.calibrate import Calibration
from greenbench.energy.meter import MeterSet
from greenbench.fleet.state import StateFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What `doctor` looks at.

    Attributes:
        state: The state folder.
        assets: Dockerfiles and runtime code.
        catalogue: The runtimes there are.
        device: ``cpu`` or ``cuda``.
        meters: Opened for the device that was asked for; None where that failed.
        meters_error: Why it failed.
        calibration: Of the GPU's energy counter; None where there is none or it failed.
        calibration_error: Why it failed; empty where there is nothing to calibrate.
        limits: The validity table in force.
    """

    state: StateFolder
    assets: Path
    catalogue: Mapping[str, RuntimeSpec]
    device: str
    meters: MeterSet | None = None
    meters_error: str = ""
    calibration: Calibration | None = None
    calibration_error: str = ""
    limits: Mapping[Rule, Limits]

    @property
    def gpu(self) -> Mapping[str, Any]:
        """The GPU's facts; empty without one."""
        return (self.meters.facts.get("gpu") if self.meters else None) or {}

    def reason(self, domain: str) -> str | None:
        """Return why a domain cannot be measured; None where it can."""
        absent = self.meters.absent if self.meters else ()
        return next((item.reason for item in absent if item.domain == domain), None)

    def reading(self, stream: str) -> float | None:
        """Return what a sensor says now; None where there is no such sensor.

        Raises:
            MeterError: It does not answer.
        """
        sensors = self.meters.sensors if self.meters else ()
        return next((sensor.read() for sensor in sensors if sensor.stream == stream), None)
