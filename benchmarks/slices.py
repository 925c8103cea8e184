"""Lines about what a disturbance takes from a loop, switched on and off within one run of it.

Between two stretches of a second the launches of a virtual machine drift by more than a disturbance costs.
Here four neighbouring slices of one run make a block, in the order with, without, without, with, or the other
way round: what drifts evenly cancels within it. Which order a block has is drawn anew each time, so whatever
else drifts or beats falls on either side by chance alone.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from random import Random, SystemRandom

import numpy as np
from numpy.typing import NDArray

from benchmarks.lines import Line, Verdict, control_line, doubted, ratio_line, told_line
from benchmarks.loops import BURN
from benchmarks.pairs import Estimate, ratio_of
from benchmarks.subject import Subject
from greenbench.energy.observations import iterations_at
from greenbench.energy.recorder import Recorder

SLICE_S, PASSES = 0.15, 20
"""A slice's length, or so many passes beyond its guard where those take longer."""

GUARD_S = 0.03
"""What is left out at a slice's begin, or a pass where that is longer: a read that the slice before had begun
is over by then (the slowest seen on a loaded H100 took as long)."""

SETTLE_S = 1.0
FEWEST_PASSES = 3
ORDERS = ((True, False, False, True), (False, True, True, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which slices are disturbed.

    Attributes:
        blocks: How many blocks of four.
        slice_s: Length of one slice, seconds.
        guard_s: What is left out at its begin, seconds.
        seed: Of the blocks' orders.
        pattern: One per slice.
    """

    blocks: int
    slice_s: float
    guard_s: float
    seed: int = field(default_factory=lambda: SystemRandom().randrange(2**32))

    @property
    def pattern(self) -> tuple[bool, ...]:
        """Whether each slice is disturbed."""
        generator = Random(self.seed)  # noqa: S311 - an order, not a secret
        return tuple(on for _ in range(self.blocks) for on in generator.choice(ORDERS))


def slice_lines(subject: Subject, blocks: int) -> list[Line]:
    """Switch the control's burning, nothing, all polled sensors and the GPU's counter on and off.

    Args:
        subject: The runtime.
        blocks: Blocks of four slices for each line.
    """
    pass_s = float(np.diff(subject.sliced(SETTLE_S, 0.0, SETTLE_S, (False,))).mean()) / 1e9
    guard_s = max(GUARD_S, (1 + BURN) * pass_s)

    def plan() -> Plan:
        return Plan(blocks=blocks, slice_s=max(SLICE_S, guard_s + PASSES * pass_s), guard_s=guard_s)

    control = _control(subject, plan(), BURN * pass_s)
    lines = [
        _line("slices with nothing / nothing: time (A/A control)", subject, plan(), nullcontext),
        # Entered anew in each slice, so that those read once a second in a run are read in each too.
        _line(
            "slices with every sensor polled but the energy counter / none: time",
            subject,
            plan(),
            lambda: Recorder(subject.sensors()),
        ),
    ]
    return [*doubted(lines, control), *_counter_lines(subject, plan(), control), control]


def _line(
    what: str, subject: Subject, plan: Plan, disturb: Callable[[], AbstractContextManager[object]]
) -> Line:
    try:
        return ratio_line(what, switched(subject, plan, disturb), note=_drawn(plan))
    except ValueError as error:  # so few passes that there is nothing to compare: a finding by itself
        return Line(what=what, figure="-", note=str(error))


def _control(subject: Subject, plan: Plan, extra_s: float) -> Line:
    what = f"slices with {BURN:.0%} burnt / without: positive control"
    try:
        found, expected = burnt(subject, plan, extra_s)
    except ValueError as error:
        return Line(what=what, figure="-", verdict=Verdict.NOT_FOUND, note=str(error))
    return replace(control_line(what, found, expected=expected), note=_drawn(plan))


def _counter_lines(subject: Subject, plan: Plan, control: Line) -> list[Line]:
    """Ask of a GPU whether reading its counter can slow the loop at all, by the most that can be read."""
    if not subject.sensor_period_s:
        return []
    what = "slices with the energy counter read again and again, 1 ms apart / not at all: time"
    counters = tuple(sensor for sensor in subject.sensors() if sensor.dense)
    with Recorder(counters) as recorder:
        line = _line(what, subject, plan, recorder.dense)
    if control.verdict is not Verdict.FOUND:
        return [replace(line, limit="", verdict=Verdict.NOISY)]
    # A run reads it at edges alone, so that no limit is set.
    return [line if line.estimate is None else told_line(what, line.estimate, note=line.note)]


def _drawn(plan: Plan) -> str:
    return f"blocks of four slices of {plan.slice_s:.2f} s, their order drawn by {plan.seed}"


def switched(subject: Subject, plan: Plan, disturb: Callable[[], AbstractContextManager[object]]) -> Estimate:
    """Return how long a pass of the server's loop takes with a disturbance, as a ratio to without."""
    slices: list[tuple[int, int]] = []
    with subject.client.run() as stream:
        stream.wait(SETTLE_S)
        for on in plan.pattern:
            with disturb() if on else nullcontext():
                begin_ns = time.monotonic_ns()
                stream.wait(plan.slice_s)
                slices.append((begin_ns, time.monotonic_ns()))
        stream.wait(plan.slice_s)  # the last slice's last pass ends
        ends_ns = np.asarray(stream.stop().ends_ns, dtype=np.int64)
    return ratio_of(*costs_in(ends_ns, slices, plan))


def burnt(subject: Subject, plan: Plan, extra_s: float) -> tuple[Estimate, float]:
    """Let the bare loop burn `extra_s` after each pass of half the slices.

    Returns:
        The same ratio, and what it ought to be above 1 by the passes of the other slices.
    """
    ends_ns = subject.sliced(len(plan.pattern) * plan.slice_s, extra_s, plan.slice_s, plan.pattern)
    edges = [int(ends_ns[0] + number * plan.slice_s * 1e9) for number in range(len(plan.pattern) + 1)]
    burning, resting = costs_in(ends_ns, list(itertools.pairwise(edges)), plan)
    return ratio_of(burning, resting), extra_s / float(np.mean(resting))


def costs_in(
    ends_ns: NDArray[np.int64], slices: Sequence[tuple[int, int]], plan: Plan
) -> tuple[list[float], list[float]]:
    """Return what a pass took in the disturbed and in the other slices of each block, seconds.

    Args:
        ends_ns: int64 [n], end of every pass, ascending.
        slices: Begin and end of each, CLOCK_MONOTONIC ns.
        plan: Which were disturbed.

    Raises:
        ValueError: A slice holds too few passes.
    """
    guard_ns, pattern = int(plan.guard_s * 1e9), plan.pattern
    costs = [_cost_s(ends_ns, begin_ns + guard_ns, end_ns) for begin_ns, end_ns in slices]
    found: dict[bool, list[float]] = {True: [], False: []}
    size = len(ORDERS[0])
    for begin in range(0, len(costs), size):
        for on, sides in found.items():
            block = zip(costs[begin : begin + size], pattern[begin : begin + size], strict=True)
            sides.append(float(np.mean([cost for cost, disturbed in block if disturbed == on])))
    return found[True], found[False]


def _cost_s(ends_ns: NDArray[np.int64], begin_ns: int, end_ns: int) -> float:
    passes = iterations_at(ends_ns, end_ns) - iterations_at(ends_ns, begin_ns)
    if passes < FEWEST_PASSES:
        raise ValueError(f"{(end_ns - begin_ns) / 1e9:.2f} s of a slice hold {passes:.1f} passes")
    return (end_ns - begin_ns) / 1e9 / passes
