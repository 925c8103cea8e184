"""Lines about what a disturbance takes from a loop, switched on and off within one run of it.

Between two stretches of a second the launches of a virtual machine drift by more than a disturbance costs.
Slices of a tenth of a second, one with it and one without, lie so close that both drift alike. Which of the
two comes first is drawn anew for each pair: whatever drifts or beats falls on either side by chance alone, so
the signed-rank interval holds however the pairs hang together.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.lines import Line, control_line, doubted, ratio_line, told_line
from benchmarks.loops import BURN
from benchmarks.pairs import FEWEST, Estimate, ratio_of
from benchmarks.subject import Subject
from greenbench.energy.observations import iterations_at
from greenbench.energy.recorder import Recorder

SLICE_S, PASSES = 0.1, 20
"""A slice's length, or so many passes where those take longer."""

POLLED_TIMES = 5
"""A slice in which every sensor is read on its schedule is so many times as long: most come once or twice a
second."""

GUARD_S = 0.01
"""What is left out at a slice's begin: a read that the slice before had begun is over by then."""

SETTLE_S = 1.0
FEWEST_PASSES = 3
SEED = 20240221


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which slices are disturbed.

    Attributes:
        slice_s: Length of one, seconds.
        pattern: One per slice; the two of a pair are neighbours, one of them True.
    """

    slice_s: float
    pattern: tuple[bool, ...]


def planned(pairs: int, slice_s: float, seed: int = SEED) -> Plan:
    """Draw for each pair which of its two slices is disturbed."""
    generator = Random(seed)  # noqa: S311 - an order, not a secret
    firsts = [generator.random() < 0.5 for _ in range(pairs)]  # noqa: PLR2004 - either with the same chance
    return Plan(slice_s=slice_s, pattern=tuple(on for first in firsts for on in (first, not first)))


def slice_lines(subject: Subject, pairs: int) -> list[Line]:
    """Switch the control's burning, nothing, the GPU's counter and all sensors on and off.

    Args:
        subject: The runtime.
        pairs: Pairs of slices; a fifth of them where slices are longer.
    """
    pass_s = subject.bare(SETTLE_S).mean_s
    plan = planned(pairs, max(SLICE_S, PASSES * pass_s))
    polled = planned(max(FEWEST, pairs // POLLED_TIMES), POLLED_TIMES * plan.slice_s)
    control = control_line(
        f"slices with {BURN:.0%} burnt / without: positive control",
        burnt(subject, plan, BURN * pass_s),
        expected=BURN,
    )
    ratios = [
        ratio_line("slices with nothing / nothing: time (A/A control)", switched(subject, plan, nullcontext)),
        ratio_line(
            "slices with every sensor polled / none: time",
            switched(subject, polled, lambda: Recorder(subject.sensors())),
        ),
    ]
    return [*doubted(ratios, control), *_counter_lines(subject, plan), control]


def _counter_lines(subject: Subject, plan: Plan) -> list[Line]:
    """Ask of a GPU whether reading its counter can slow the loop at all, by the most that can be read."""
    if not subject.sensor_period_s:
        return []
    what = "slices with the energy counter read again and again, 1 ms apart / not at all: time"
    counters = tuple(sensor for sensor in subject.sensors() if sensor.dense)
    with Recorder(counters) as recorder:
        return [
            told_line(what, switched(subject, plan, recorder.dense), note="a run reads it at edges alone")
        ]


def switched(subject: Subject, plan: Plan, disturb: Callable[[], AbstractContextManager[object]]) -> Estimate:
    """Return how long an iteration of the server's loop takes with a disturbance, as a ratio to without."""
    slices: list[tuple[int, int]] = []
    with subject.client.run() as stream:
        stream.wait(SETTLE_S)
        for on in plan.pattern:
            with disturb() if on else nullcontext():
                begin_ns = time.monotonic_ns()
                stream.wait(plan.slice_s)
                slices.append((begin_ns, time.monotonic_ns()))
        stream.wait(plan.slice_s)  # the last slice's last iteration ends
        ends_ns = np.asarray(stream.stop().ends_ns, dtype=np.int64)
    return ratio_in(ends_ns, slices, plan.pattern)


def burnt(subject: Subject, plan: Plan, extra_s: float) -> Estimate:
    """Return the same ratio of the bare loop, which burns `extra_s` after each pass of half the slices."""
    ends_ns = subject.sliced(len(plan.pattern) * plan.slice_s, extra_s, plan.slice_s, plan.pattern)
    edges = [int(ends_ns[0] + number * plan.slice_s * 1e9) for number in range(len(plan.pattern) + 1)]
    return ratio_in(ends_ns, list(itertools.pairwise(edges)), plan.pattern)


def ratio_in(
    ends_ns: NDArray[np.int64], slices: Sequence[tuple[int, int]], pattern: Sequence[bool]
) -> Estimate:
    """Return the ratio of disturbed slices to their neighbours.

    Args:
        ends_ns: int64 [n], end of every iteration, ascending.
        slices: Begin and end of each, CLOCK_MONOTONIC ns.
        pattern: Which were disturbed, as in `Plan`.

    Raises:
        ValueError: A slice holds too few iterations.
    """
    costs = [_cost_s(ends_ns, begin_ns + int(GUARD_S * 1e9), end_ns) for begin_ns, end_ns in slices]
    pairs = [
        (first, second) if on else (second, first)
        for first, second, on in zip(costs[::2], costs[1::2], pattern[::2], strict=True)
    ]
    return ratio_of([with_it for with_it, _ in pairs], [without for _, without in pairs])


def _cost_s(ends_ns: NDArray[np.int64], begin_ns: int, end_ns: int) -> float:
    passes = iterations_at(ends_ns, end_ns) - iterations_at(ends_ns, begin_ns)
    if passes < FEWEST_PASSES:
        raise ValueError(f"a slice of {(end_ns - begin_ns) / 1e9:.2f} s holds {passes:.1f} iterations")
    return (end_ns - begin_ns) / 1e9 / passes
