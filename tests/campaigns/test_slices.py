"""A disturbance switched on and off within one run of a loop: what it costs is found, and only that."""

import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from benchmarks.lines import Verdict
from benchmarks.slices import Plan, costs_in, slice_lines, switched
from benchmarks.subject import Subject
from tests.campaigns.test_footprint_energy import subject  # noqa: F401 - a fixture

from greenbench.energy.meter import MeterSet

PASS_NS, SLICE_S = 100_000, 0.03
PLAN = Plan(blocks=10, slice_s=SLICE_S, guard_s=0.0, seed=3)


class DriftingLoop:
    """A run whose passes take ever longer, and a share more while something disturbs it."""

    def __init__(self, slower: float) -> None:
        self.slower = slower
        self.begin_ns = time.monotonic_ns()
        self.disturbed: list[tuple[int, int]] = []

    @contextmanager
    def disturb(self):
        begin_ns = time.monotonic_ns()
        yield
        self.disturbed.append((begin_ns, time.monotonic_ns()))

    @contextmanager
    def run(self):
        yield self

    def wait(self, seconds):
        time.sleep(min(seconds, SLICE_S))

    def stop(self):
        until_ns, ends = time.monotonic_ns(), [self.begin_ns]
        on = iter([*self.disturbed, (until_ns, until_ns)])
        begin_ns, end_ns = next(on)
        while ends[-1] < until_ns:
            while ends[-1] >= end_ns and end_ns < until_ns:
                begin_ns, end_ns = next(on)
            drift = 1 + 0.5 * (ends[-1] - self.begin_ns) / 1e9
            share = 1 + self.slower * (begin_ns <= ends[-1] < end_ns)
            ends.append(ends[-1] + int(PASS_NS * drift * share))
        self.ends_ns = ends
        return self


@pytest.mark.parametrize("slower", [0.0, 0.02, 0.3])
def test_what_a_disturbance_costs_is_found_under_a_drift_that_is_larger(slower):
    loop = DriftingLoop(slower)
    meters = MeterSet(sensors=(), domains={}, scope="gpu")
    found = switched(Subject(process=None, client=loop, meters=meters), PLAN, loop.disturb)
    assert found.count == PLAN.blocks
    assert found.point == pytest.approx(1 + slower, abs=0.008)
    # Of nothing the interval lies above 1 by a hair in one of twenty orders: that is what 90% means.
    assert (found.low > 1 + max(slower, 0.016) / 2) == bool(slower)


@pytest.mark.parametrize("seed", range(40))
def test_an_even_drift_cancels_whatever_order_was_drawn(seed):
    plan = Plan(blocks=8, slice_s=1.0, guard_s=0.0, seed=seed)
    slices = [(number * 10**9, (number + 1) * 10**9) for number in range(32)]
    ends_ns = np.cumsum(np.linspace(5e6, 6e6, 5900)).astype(np.int64)
    ratios = np.divide(*costs_in(ends_ns, slices, plan))
    # A tenth of what one pair of neighbours would differ by.
    assert np.abs(np.mean(ratios) - 1) < 6e-4


def test_each_block_has_one_of_two_orders_drawn_anew_each_time():
    plan = Plan(blocks=400, slice_s=SLICE_S, guard_s=0.0, seed=1)
    assert plan.pattern == Plan(blocks=400, slice_s=SLICE_S, guard_s=0.0, seed=1).pattern
    assert len({Plan(blocks=400, slice_s=SLICE_S, guard_s=0.0).pattern for _ in range(3)}) == 3
    blocks = Counter(plan.pattern[begin : begin + 4] for begin in range(0, 1600, 4))
    assert set(blocks) == {(True, False, False, True), (False, True, True, False)}
    assert min(blocks.values()) > 150


def test_a_slice_without_passes_is_named():
    ends_ns = np.arange(0, 10**9, 10**8)
    slices = [(number * 2 * 10**8, (number + 1) * 2 * 10**8) for number in range(4)]
    with pytest.raises(ValueError, match=r"0\.20 s of a slice hold 2\.0 passes"):
        costs_in(ends_ns, slices, Plan(blocks=1, slice_s=0.2, guard_s=0.0))


def test_lines_say_nothing_where_the_control_was_not_found(subject):  # noqa: F811
    same, polled, counter, control = slice_lines(subject, 5)
    # The simulated loop burns nothing.
    assert control.verdict is Verdict.NOT_FOUND
    assert same.estimate.point == pytest.approx(1.0, abs=1e-3)
    assert same.verdict is polled.verdict is counter.verdict is Verdict.NOISY
    assert "again and again" in counter.what
    assert not counter.limit
    assert "order drawn by" in counter.note
