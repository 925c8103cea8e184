"""One call whose answer serves several streams that are read in the same waking."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

FRESH_NS = 10_000_000
"""So long an answer stands: streams of one turn are read within milliseconds, turns 100 ms apart at least."""


class SharedCall(Generic[Answer]):
    """Calls once where several streams ask within `FRESH_NS`; what raises is not kept."""

    def __init__(self, call: Callable[[], Answer], clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Ask nothing yet.

        Args:
            call: What answers.
            clock: CLOCK_MONOTONIC in nanoseconds.
        """
        self._call, self._clock = call, clock
        self._kept: tuple[int, Answer] | None = None

    def __call__(self) -> Answer:
        """Return the answer, at most `FRESH_NS` old."""
        now = self._clock()
        if self._kept is None or now - self._kept[0] > FRESH_NS:
            self._kept = None
            self._kept = now, self._call()
        return self._kept[1]
