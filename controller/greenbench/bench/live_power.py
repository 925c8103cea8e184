"""What the meters say right now, for whoever watches; no figure of a result comes from here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from greenbench.core.progress import Observer
from greenbench.core.reading import Domain
from greenbench.core.units import seconds_from_ns
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Recorder

INSTANT = "instant"
"""The GPU's power as its driver tells it; its counter is read at the windows' edges alone."""
SHORTEST_S = 0.25
"""Energy of a shorter time says little: a counter moves in steps."""


class PowerNow:
    """Watts of all domains that a total sums, from what the recorder has read anyway. Reads no sensor."""

    def __init__(self, recorder: Recorder, meters: MeterSet) -> None:
        """Begin now: power is told from the second look on.

        Args:
            recorder: Records while this is asked.
            meters: Say which streams are which domain's.
        """
        self._recorder = recorder
        self._meters = meters
        self._before: dict[str, tuple[int, float]] = {}
        self._watts: dict[str, float] = {}

    def __call__(self) -> float | None:
        """Return the power, watts; None where a domain of the total is not known (yet), or there is none."""
        domains = [Domain(name) for name in self._meters.scope.split("+") if name != "none"]
        parts = [self._of(domain) for domain in domains]
        known = [part for part in parts if part is not None]
        return sum(known) if known and len(known) == len(parts) else None

    def _of(self, domain: Domain) -> float | None:
        if domain is Domain.GPU:
            told = self._recorder.latest(INSTANT)
            return None if told is None else told[1]
        slopes = [self._slope(stream) for stream in self._meters.domains.get(domain, ())]
        known = [slope for slope in slopes if slope is not None]
        return sum(known) if known and len(known) == len(slopes) else None

    def _slope(self, stream: str) -> float | None:
        now = self._recorder.latest(stream)
        if now is None:
            return None
        before = self._before.setdefault(stream, now)
        passed_s = seconds_from_ns(now[0] - before[0])
        if passed_s >= SHORTEST_S:
            self._before[stream] = now
            # A counter that wrapped says nothing until the next look.
            self._watts.pop(stream, None)
            if now[1] >= before[1]:
                self._watts[stream] = (now[1] - before[1]) / passed_s
        return self._watts.get(stream)


@contextmanager
def shown_power(observer: Observer, recorder: Recorder, meters: MeterSet) -> Iterator[None]:
    """Let an observer ask for the power while a load is recorded."""
    told: Callable[[], float | None] = PowerNow(recorder, meters)
    observer.power(told)
    try:
        yield
    finally:
        observer.power(None)
