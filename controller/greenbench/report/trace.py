"""Power over time, downsampled so that nothing is hidden: the smallest and largest reading of every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from greenbench.core.units import seconds_from_ns
from greenbench.results.views import Bin, RunViews

STEPS = 2400
"""Steps of a trace at most: about two for each pixel of a wide screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a trace.

    Attributes:
        t_ns: CLOCK_MONOTONIC of its first reading, nanoseconds.
        low_w: The smallest reading, watts; None for a counter, whose readings are no power.
        high_w: The largest, likewise.
        mean_w: Mean power, watts.
    """

    t_ns: int
    low_w: float | None
    high_w: float | None
    mean_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The power of one stream over a run.

    Attributes:
        stream: Its name, such as ``instant`` or ``rapl:package-0``.
        readings: Raw readings behind it.
        step_s: Length of a step, seconds.
        steps: In order of time; stretches without readings have none.
    """

    stream: str
    readings: int
    step_s: float
    steps: tuple[Step, ...]


def traces_of(views: RunViews) -> tuple[Trace, ...]:
    """Return the run's traces: power readings where there are any, else energy counters' differences.

    A merged run has none: its clocks have nothing in common; each shard's own report draws them.

    Raises:
        DamagedResultsError: The readings cannot be read to their end.
    """
    if views.merged:
        return ()
    units = views.streams()
    power = [stream for stream, unit in units.items() if unit == "W"]
    counters = [stream for stream, unit in units.items() if unit == "J" and (":" in stream or not power)]
    found = [_trace(stream, views.envelope(stream, bins=STEPS), counter=False) for stream in power]
    found += [_trace(stream, views.envelope(stream, bins=STEPS), counter=True) for stream in counters]
    return tuple(trace for trace in found if trace.steps)


def _trace(stream: str, bins: Sequence[Bin], *, counter: bool) -> Trace:
    steps = _differences(bins) if counter else [_power(item) for item in bins]
    span_s = seconds_from_ns(bins[-1].end_ns - bins[0].begin_ns) if bins else 0.0
    return Trace(
        stream=stream,
        readings=sum(item.readings for item in bins),
        step_s=span_s / STEPS,
        steps=tuple(steps),
    )


def _power(item: Bin) -> Step:
    return Step(t_ns=item.begin_ns, low_w=item.low, high_w=item.high, mean_w=item.mean)


def _differences(bins: Sequence[Bin]) -> list[Step]:
    # A counter that wrapped or was reset has no difference there: a gap, not a spike.
    return [
        Step(
            t_ns=here.begin_ns,
            low_w=None,
            high_w=None,
            mean_w=(then.first - here.first) / seconds_from_ns(then.begin_ns - here.begin_ns),
        )
        for here, then in pairwise(bins)
        if then.first >= here.first and then.begin_ns > here.begin_ns
    ]
