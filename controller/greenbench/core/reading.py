"""Readings: what one sensor said, bracketed by the host's CLOCK_MONOTONIC."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Domain(StrEnum):
    """A part of the machine whose energy is measured by itself."""

    GPU = "gpu"
    CPU = "cpu"
    DRAM = "dram"
    PSYS = "psys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One answer of one sensor.

    Attributes:
        stream: Which sensor: ``counter``, ``instant``, ``rapl:package-0``, ``cgroup:cpu`` ...
        t_before_ns: CLOCK_MONOTONIC just before the call, nanoseconds.
        t_after_ns: CLOCK_MONOTONIC just after it, nanoseconds.
        value: The answer in SI units (J, W, °C, Hz, s, bytes, or a share from 0 to 1).
    """

    stream: str
    t_before_ns: int
    t_after_ns: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All readings of one stream, in the order they were taken.

    Attributes:
        stream: The sensor's name, as in `Reading`.
        unit: SI unit of `value`: ``J``, ``W``, ``degC``, ``Hz``, ``s``, ``B``, ``1``.
        t_before_ns: int64 [n], CLOCK_MONOTONIC before each call.
        t_after_ns: int64 [n], CLOCK_MONOTONIC after each call.
        value: float64 [n], SI units.
    """

    stream: str
    unit: str
    t_before_ns: NDArray[np.int64]
    t_after_ns: NDArray[np.int64]
    value: NDArray[np.float64]

    def between(self, begin_ns: int, end_ns: int) -> "Series":
        """Return the readings whose call began in [begin_ns, end_ns]."""
        inside = (self.t_before_ns >= begin_ns) & (self.t_before_ns <= end_ns)
        return Series(
            stream=self.stream,
            unit=self.unit,
            t_before_ns=self.t_before_ns[inside],
            t_after_ns=self.t_after_ns[inside],
            value=self.value[inside],
        )

    def __len__(self) -> int:
        return len(self.value)


def delta(begin: float, end: float, *, wraps_at: float | None) -> float:
    """Return how far a cumulative counter advanced between two neighbouring readings.

    Args:
        begin: Earlier value.
        end: Later value, same unit.
        wraps_at: Range after which the counter starts again at 0, same unit; None for a
            counter that never wraps. At most one wrap is assumed, which the poll period
            must guarantee.

    Returns:
        The advance, same unit, never negative where `wraps_at` is given.

    Raises:
        ValueError: A counter that never wraps went backwards.
    """
    if end >= begin:
        return end - begin
    if wraps_at is None:
        raise ValueError(f"counter went backwards, from {begin} to {end}")
    return end + wraps_at - begin
