"""A GPU whose counter is a function of CLOCK_MONOTONIC, and a load that ends an iteration every 5 ms.

Every process that asks at the same instant reads the same counter.
"""

import time
from contextlib import contextmanager
from random import Random

import numpy as np
from campaigns.held_load import HeldLoad

from greenbench.bench.instruments import Instruments
from greenbench.core.reading import Domain
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Recorder
from greenbench.energy.sensor import CallSensor
from greenbench.energy.validity import DEFAULT_LIMITS

PERIOD_S, WATTS, ITERATION_S = 0.02, 500.0, 0.005


def counter_j() -> float:
    period_ns = int(PERIOD_S * 1e9)
    return time.monotonic_ns() // period_ns * PERIOD_S * WATTS


class Load:
    """A run stream whose stamps are those of a perfectly steady load."""

    def __init__(self) -> None:
        self.began_ns = time.monotonic_ns()

    def wait(self, seconds: float) -> bool:
        return seconds >= 0

    def ends_ns(self) -> np.ndarray:
        return np.arange(self.began_ns, time.monotonic_ns(), int(ITERATION_S * 1e9))


def instruments() -> Instruments:
    sensor = CallSensor(stream="counter", unit="J", period_s=0.1, dense=True, call=counter_j)
    meters = MeterSet(sensors=(sensor,), domains={Domain.GPU: ("counter",)}, scope="gpu")
    return Instruments(meters=meters, sensor_period_s=PERIOD_S, limits=DEFAULT_LIMITS)


@contextmanager
def simulated_load(number: int = 1):
    tools = instruments()
    with Recorder(tools.meters.sensors, seed=number, sensor_period_s=PERIOD_S) as recorder:
        yield HeldLoad(
            stream=Load(),
            recorder=recorder,
            instruments=tools,
            generator=Random(number),  # noqa: S311 - phases, not secrets
            steady=True,
        )
