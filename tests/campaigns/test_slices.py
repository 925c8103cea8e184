"""A disturbance switched on and off within one run of a loop: what it costs is found, and only that."""

import time
from contextlib import contextmanager

import numpy as np
import pytest
from benchmarks.slices import planned, ratio_in, switched
from benchmarks.subject import Subject

from greenbench.energy.meter import MeterSet

PASS_NS, SLICE_S = 1_000_000, 0.03


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
            ends.append(ends[-1] + int(PASS_NS * drift * share / 10))
        self.ends_ns = ends
        return self


def subject_of(loop):
    return Subject(process=None, client=loop, meters=MeterSet(sensors=(), domains={}, scope="gpu"))


@pytest.mark.parametrize("slower", [0.0, 0.02, 0.3])
def test_what_a_disturbance_costs_is_found_under_a_drift_that_is_larger(slower):
    loop = DriftingLoop(slower)
    found = switched(subject_of(loop), planned(30, SLICE_S), loop.disturb)
    assert found.count == 30
    assert found.point == pytest.approx(1 + slower, abs=0.008)
    assert (found.low > 1) == bool(slower)


def test_which_of_two_neighbours_is_disturbed_is_drawn_from_the_seed():
    plan = planned(400, SLICE_S, seed=1)
    assert plan == planned(400, SLICE_S, seed=1)
    assert plan != planned(400, SLICE_S, seed=2)
    pairs = list(zip(plan.pattern[::2], plan.pattern[1::2], strict=True))
    assert set(pairs) == {(True, False), (False, True)}
    assert 150 < sum(first for first, _ in pairs) < 250


def test_a_slice_without_iterations_is_named():
    ends_ns = np.arange(0, 10**9, 10**8)
    with pytest.raises(ValueError, match=r"a slice of 0\.19 s holds 1\.9 iterations"):
        ratio_in(ends_ns, [(0, 2 * 10**8), (2 * 10**8, 4 * 10**8)], (True, False))
