"""The footprint's loops beside a simulated counter that steps: joules lie between two of its steps."""

import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from benchmarks.lines import Line, Verdict
from benchmarks.loops import Effort, recording_lines
from benchmarks.subject import Subject
from tests.campaigns.simulated_gpu import ITERATION_S, WATTS, Load

from greenbench.core.reading import Domain
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import CallSensor

PERIOD_S = 0.1

BARE = f"""
import json, sys, time
for line in sys.stdin:
    seconds = line.split()[1]
    begin = time.monotonic_ns()
    time.sleep(float(seconds))
    print(json.dumps(list(range(begin, time.monotonic_ns(), {int(ITERATION_S * 1e9)}))), flush=True)
"""


def counter_j() -> float:
    return time.monotonic_ns() // int(PERIOD_S * 1e9) * PERIOD_S * WATTS


class SleepingLoad(Load):
    """A stream that lets the time pass and tells its stamps when it is stopped."""

    def wait(self, seconds):
        time.sleep(seconds)
        return True

    def stop(self):
        self.told = Load.ends_ns(self)
        return self

    @property
    def ends_ns(self):
        return self.told


class Client:
    """Of the runtime: starts a run."""

    @contextmanager
    def run(self, *, progress_s=1.0):
        yield SleepingLoad()


@pytest.fixture
def subject():
    counter = CallSensor(stream="counter", unit="J", period_s=0.1, dense=True, call=counter_j)
    meters = MeterSet(sensors=(counter,), domains={Domain.GPU: ("counter",)}, scope="gpu")
    command = [sys.executable, "-c", BARE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Subject(process=process, client=Client(), meters=meters, sensor_period_s=PERIOD_S)
        process.kill()


@pytest.mark.parametrize("loop", ["bare", "server", "recorded"])
def test_joules_of_an_iteration(subject, loop):
    cost = getattr(subject, loop)(1.6)
    assert cost.mean_s == pytest.approx(ITERATION_S, rel=1e-3)
    assert cost.energy_j == pytest.approx(WATTS * ITERATION_S, rel=0.03)


def test_a_stretch_that_holds_no_two_edges_is_refused(subject):
    with pytest.raises(ValueError, match=r"hold no two edges.*--seconds"):
        subject.server(0.5)


def test_lines_of_recording_have_energy(subject):
    control = Line(what="control", figure="-", verdict=Verdict.FOUND)
    effort = Effort(pairs=5, seconds=1.2, patience=1)
    times, energy = recording_lines(subject, effort, control)
    assert times.estimate.point == pytest.approx(1.0, abs=1e-3)
    assert energy.estimate.point == pytest.approx(1.0, abs=0.03)
