"""What a sensor is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Sensor(Protocol):
    """One stream of readings.

    Attributes:
        stream: Its name in the record: ``counter``, ``instant``, ``rapl:package-0`` ...
        unit: SI unit of what `read` returns.
        period_s: How often it is read, or how far apart fetched values may lie, seconds.
        dense: Read only inside dense stretches, and there around its changes.
    """

    @property
    def stream(self) -> str: ...  # noqa: D102 - described above
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def period_s(self) -> float: ...  # noqa: D102
    @property
    def dense(self) -> bool: ...  # noqa: D102

    def read(self) -> float:
        """Return the present value, SI units.

        Raises:
            MeterError: The sensor did not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSensor:
    """A sensor whose reading is one call; attributes as in `Sensor`."""

    stream: str
    unit: str
    period_s: float
    call: Callable[[], float]
    dense: bool = False

    def read(self) -> float:
        """Return what the call returns."""
        return self.call()
