"""Power polled and integrated, as the study did: a counter made of instants. Kept to show what it changes."""

from collections.abc import Callable

from greenbench.core.units import seconds_from_ns

POLL_S = 0.010
"""The study's: nvidia-smi every 10 ms."""

STREAM = "polled"


class IntegratedPower:
    """Joules since the first poll, by the trapezoid between polls."""

    def __init__(self, power_w: Callable[[], float], clock: Callable[[], int]) -> None:
        """Begin at nothing.

        Args:
            power_w: Polls the board's power, watts.
            clock: CLOCK_MONOTONIC, nanoseconds.
        """
        self._power_w, self._clock = power_w, clock
        self._last: tuple[int, float] | None = None
        self._joules = 0.0

    def __call__(self) -> float:
        """Poll once; return the joules so far."""
        power_w, now_ns = self._power_w(), self._clock()
        if self._last is not None:
            then_ns, before_w = self._last
            self._joules += 0.5 * (before_w + power_w) * seconds_from_ns(now_ns - then_ns)
        self._last = (now_ns, power_w)
        return self._joules
