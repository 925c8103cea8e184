"""A host with a GPU under load, as its sensors answer; a fault replaces one answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from greenbench.bench.timeline import Asked, dense_stretches
from greenbench.core.reading import Domain, Series
from greenbench.energy.cgroup import CPU_STREAM
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Fault, Record
from greenbench.energy.window import Window, cut

SECOND = 1_000_000_000
PERIOD_S, BEGIN_S, END_S = 0.1, 1.03, 14.0
GRID = np.linspace(0, END_S, 14_001)
METERS = MeterSet(domains={Domain.GPU: ("counter",)}, scope="gpu")
Of = Callable[[np.ndarray], np.ndarray]


def flat(value: float) -> Of:
    return lambda at: np.full(len(at), value)


STEADY, NEVER = flat(500.0), flat(0.0)


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the sensors of a healthy host answer at any instant, seconds; a fault replaces one answer."""

    window_s: float = 10.2
    iteration_s: float = 0.014
    slower_s: float = 0.0
    watts: Of = STEADY
    instant_gain: float = 1.0
    lost_j: float = 0.0
    frozen_s: float = END_S
    unread_s: float = END_S
    rapl_frozen_s: float = END_S
    said: str = ""
    throttled: Of = NEVER
    foreign: Of = NEVER
    others_cores: float = 0.0
    steal_cores: float = 0.0
    silent_s: float = 0.0
    meters: MeterSet = field(default_factory=lambda: METERS)

    def window(self) -> Window:
        return cut(
            self._record(),
            self.meters,
            asked_begin_ns=self._asked.begin_ns,
            asked_end_ns=self._asked.end_ns,
            ends_ns=self._ends_ns(),
            sensor_period_s=PERIOD_S,
        )

    @property
    def _asked(self) -> Asked:
        return Asked(begin_ns=int(BEGIN_S * SECOND), end_ns=int((BEGIN_S + self.window_s) * SECOND))

    def _ends_ns(self) -> np.ndarray:
        middle = BEGIN_S + self.window_s / 2
        fast = np.arange(0, middle, self.iteration_s)
        slow = np.arange(fast[-1], END_S, self.iteration_s + self.slower_s)[1:]
        return (np.concatenate([fast, slow]) * SECOND).astype(np.int64)

    def _record(self) -> Record:
        instant = self._polled("instant", 0.1, lambda at: self.instant_gain * self.watts(at))
        kept = np.abs(instant.t_before_ns / SECOND - 5.0) >= self.silent_s / 2
        slow = [
            self._polled("throttled", 0.1, self.throttled),
            self._polled("foreign_processes", 1.0, self.foreign),
            self._polled(CPU_STREAM, 0.5, lambda at: at),
            self._polled("host:self", 0.5, lambda at: 0.1 * at),
            self._polled("host:busy", 0.5, lambda at: (1.1 + self.others_cores) * at),
            self._polled("host:steal", 0.5, lambda at: self.steal_cores * at),
            self._polled("rapl:package-0", 0.1, lambda at: 100 * np.minimum(at, self.rapl_frozen_s)),
        ]
        instant = _series("instant", instant.t_before_ns[kept] / SECOND, instant.value[kept])
        streams = {item.stream: item for item in (self._counter(), instant, self._averaged(), *slow)}
        periods = {
            "throttled": 0.1,
            "instant": 0.1,
            "counter": 0.1,
            "rapl:package-0": 0.1,
            "foreign_processes": 1.0,
        }
        return Record(
            streams,
            periods_s={stream: periods.get(stream, 0.5) for stream in streams},
            dense=frozenset({"counter"}),
            faults=(Fault(stream="counter", t_ns=int(self.unread_s * SECOND), message=self.said),)
            if self.said
            else (),
        )

    @staticmethod
    def _polled(stream: str, period_s: float, answer: Of) -> Series:
        at = np.arange(0.03, END_S, period_s)
        return _series(stream, at, answer(at))

    def _averaged(self) -> Series:
        """Over the last second, as the board has it; at the start over what there was."""
        at, joules = np.arange(0.43, END_S, 0.2), self._joules()
        begin = np.maximum(at - 1, 0)
        return _series("average", at, np.diff(np.interp([begin, at], GRID, joules), axis=0)[0] / (at - begin))

    def _joules(self) -> np.ndarray:
        watts = self.watts(GRID)
        return np.concatenate([[0.0], np.cumsum((watts[1:] + watts[:-1]) / 2 * np.diff(GRID))])

    def _counter(self) -> Series:
        joules = self._joules()
        joules[self.window_s / 2 < GRID - BEGIN_S] -= self.lost_j
        joules[self.frozen_s < GRID] = joules[np.searchsorted(GRID, self.frozen_s)]
        at = np.arange(0, END_S, 0.003)
        stretches = dense_stretches((self._asked,), PERIOD_S)
        at = at[at <= self.unread_s] if self.unread_s else at[:0]
        dense = np.any([(at * SECOND >= first) & (at * SECOND <= last) for first, last in stretches], axis=0)
        last_change = np.floor(at[dense] / PERIOD_S + 1e-9) * PERIOD_S
        return _series("counter", at[dense], np.interp(last_change, GRID, joules))


def _series(stream: str, at_s: np.ndarray, value: np.ndarray) -> Series:
    begin = np.round(at_s * SECOND).astype(np.int64)
    return Series(stream=stream, unit="", t_before_ns=begin, t_after_ns=begin + 1000, value=value)
