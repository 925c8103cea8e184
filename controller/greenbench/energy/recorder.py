"""Reading sensors on their schedules from one background thread, every reading stamped on both sides."""

import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

import numpy as np

from greenbench.core.errors import MeterError
from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.buffer import BufferedSensor, Tail
from greenbench.energy.pacing import CLOSE_CHANGES, PAUSE_S, Pace
from greenbench.energy.sensor import Sensor

ANSWER_S = 10.0
"""A sensor that has not answered for so long hangs; the slowest read seen on a loaded H100 took 0.03 s."""

_LONGEST_SLEEP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A reading that failed.

    Attributes:
        stream: Of which sensor.
        t_ns: CLOCK_MONOTONIC, nanoseconds.
        message: What the sensor said.
    """

    stream: str
    t_ns: int
    message: str


class Record(Mapping[str, Series]):
    """A snapshot of everything recorded: stream -> series.

    Attributes:
        periods_s: Stream -> scheduled seconds between two readings.
        dense: Streams that are read only after edges.
        faults: Readings that failed.
        halved: Whether edges were read as they are now; see `greenbench.energy.changes.first_edge_after`.
    """

    def __init__(
        self,
        series: Mapping[str, Series],
        *,
        periods_s: Mapping[str, float],
        dense: frozenset[str] = frozenset(),
        faults: tuple[Fault, ...] = (),
        halved: bool = True,
    ) -> None:
        self._series = dict(series)
        self.periods_s = dict(periods_s)
        self.dense = dense
        self.faults = faults
        self.halved = halved

    def __getitem__(self, stream: str) -> Series:
        return self._series[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)


class _Stream:
    """The growing readings of one sensor."""

    def __init__(self, sensor: Sensor | BufferedSensor, first_ns: int, pace: Pace | None) -> None:
        self.sensor = sensor
        self.pace = pace
        self.next_ns = first_ns
        self.rested_ns = 0
        self.tail = Tail(sensor) if isinstance(sensor, BufferedSensor) else None
        between_s = sensor.fetch_s if isinstance(sensor, BufferedSensor) else sensor.period_s
        self.between_ns = ns_from_seconds(between_s)
        self.before, self.after, self.value = array("q"), array("q"), array("d")

    def append(self, before_ns: int, after_ns: int, value: float) -> None:
        self.before.append(before_ns)
        self.after.append(after_ns)
        self.value.append(value)

    def series(self) -> Series:
        count = len(self.value)  # appended last, so that all three hold at least as many
        return Series(
            stream=self.sensor.stream,
            unit=self.sensor.unit,
            t_before_ns=np.array(self.before[:count], dtype=np.int64),
            t_after_ns=np.array(self.after[:count], dtype=np.int64),
            value=np.array(self.value[:count], dtype=np.float64),
        )


class Recorder:
    """Records while entered.

    All sensors share one phase, drawn from a seed: those whose turns coincide are read in one waking of the
    thread, and waking it costs more of a core than most reads.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor | BufferedSensor],
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        seed: int = 0,
        sensor_period_s: float = 0.0,
    ) -> None:
        """Prepare a recorder.

        Args:
            sensors: What to read.
            clock: CLOCK_MONOTONIC in nanoseconds.
            seed: Of the schedules' common phase.
            sensor_period_s: Calibrated period of the dense sensors, which are read around their changes;
                with 0 they are read as often as possible.
        """
        generator = Random(seed)  # noqa: S311 - phases, not secrets
        shortest_s = min((sensor.period_s for sensor in sensors if not sensor.dense), default=0.0)
        first_ns = clock() + ns_from_seconds(shortest_s * generator.random())
        self._clock = clock
        self._streams = [
            _Stream(
                sensor,
                first_ns,
                Pace(sensor_period_s, seed=seed) if sensor.dense and sensor_period_s else None,
            )
            for sensor in sensors
        ]
        self._faults: list[Fault] = []
        self._reading = ""
        self._dense = 0
        self._edge_changes: int | None = None
        self._asking = threading.Lock()
        self._fetched = threading.Event()  # clear while a fetch is asked for
        self._fetched.set()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="greenbench-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join(ANSWER_S)
        if self._thread.is_alive() and kind is None:
            raise MeterError(f"the sensor {self._reading} has not answered for {ANSWER_S:g} s")

    @contextmanager
    def dense(self, *, changes: int = CLOSE_CHANGES) -> Iterator[None]:
        """Read the dense sensors while entered: around the next changes, or as often as possible.

        Args:
            changes: How many changes are wanted between two reads; more tell the edge's instant more closely.
        """
        self._edge_changes = changes
        self._dense += 1
        self._wake.set()
        try:
            yield
        finally:
            self._dense -= 1

    def latest(self, stream: str) -> tuple[int, float] | None:
        """Return a stream's last reading: CLOCK_MONOTONIC before it, ns, and its value; None without one."""
        found = next((item for item in self._streams if item.sensor.stream == stream), None)
        count = len(found.value) if found else 0  # appended last
        return (found.before[count - 1], found.value[count - 1]) if found and count else None

    def record(self) -> Record:
        """Return a snapshot of everything read so far, and of what drivers kept until now."""
        self._fetch_now()
        return Record(
            {stream.sensor.stream: stream.series() for stream in self._streams},
            periods_s={stream.sensor.stream: stream.sensor.period_s for stream in self._streams},
            dense=frozenset(stream.sensor.stream for stream in self._streams if stream.sensor.dense),
            faults=tuple(self._faults),
        )

    def _fetch_now(self) -> None:
        if not any(stream.tail for stream in self._streams) or not self._thread.is_alive():
            return
        with self._asking:  # one at a time: each gets what there was when it asked
            if not self._fetched.is_set():
                return  # a sensor hung when somebody asked before, and still does
            self._fetched.clear()
            self._wake.set()
            until_ns = time.monotonic_ns() + ns_from_seconds(ANSWER_S)
            while not self._fetched.wait(_LONGEST_SLEEP_S) and self._thread.is_alive():
                if time.monotonic_ns() > until_ns:
                    return  # which one hangs is told when this recorder ends

    def _fetch(self) -> None:
        for stream in self._streams:
            if stream.tail:
                self._read(stream)

    def _work(self) -> None:
        while not self._over.is_set():
            if not self._fetched.is_set():
                self._fetch()
                self._fetched.set()
            for stream in self._streams:
                if not stream.sensor.dense and self._is_due(stream, self._clock()):
                    self._read_changes()
                    self._read(stream)
            self._read_changes()
            self._pause()
        self._fetch()
        self._fetched.set()

    def _read_changes(self) -> None:
        """Read what is due of the dense sensors: a change doesn't wait for a burst of polled ones to end."""
        self._begin_edge()
        for stream in self._streams:
            if stream.sensor.dense and self._is_due(stream, self._clock()):
                self._read(stream)

    def _begin_edge(self) -> None:
        if self._edge_changes is None:
            return
        changes, self._edge_changes = self._edge_changes, None
        for stream in self._streams:
            if stream.pace:
                stream.pace.begin(self._clock(), changes=changes)

    def _is_due(self, stream: _Stream, now: int) -> bool:
        if not stream.sensor.dense:
            return now >= stream.next_ns
        if not self._dense or now < stream.rested_ns:
            return False
        return stream.pace is None or stream.pace.due_ns(now) <= now

    def _read(self, stream: _Stream) -> None:
        self._reading = stream.sensor.stream
        before = self._clock()
        try:
            if stream.tail:
                taken = [(at_ns, at_ns, value) for at_ns, value in stream.tail.fetch()]
            else:
                value = stream.sensor.read()
                taken = [(before, self._clock(), value)]
        except Exception as err:  # noqa: BLE001 - one sensor must not silence all others, whatever it raises
            message = str(err) if isinstance(err, MeterError) else repr(err)
            self._faults.append(Fault(stream=stream.sensor.stream, t_ns=before, message=message))
        else:
            for reading in taken:
                stream.append(*reading)
                if stream.pace:
                    stream.pace.saw(*reading)
        stream.rested_ns = self._clock() + (stream.pace.pause_ns if stream.pace else ns_from_seconds(PAUSE_S))
        late_ns = self._clock() - stream.next_ns
        if late_ns >= 0:  # a missed turn is not made up for: the gap shows in the record
            stream.next_ns += stream.between_ns * (1 + late_ns // stream.between_ns)

    def _pause(self) -> None:
        now = self._clock()
        polled = [stream.next_ns for stream in self._streams if not stream.sensor.dense]
        dense = [stream for stream in self._streams if stream.sensor.dense and self._dense]
        sought = [
            max(stream.rested_ns, stream.pace.due_ns(now) if stream.pace else now)
            for stream in dense
            if not (stream.pace and stream.pace.rests)
        ]
        if sought:
            left_s = max(seconds_from_ns(min([*polled, *sought]) - now), PAUSE_S)
        else:
            left_s = seconds_from_ns(min(polled) - now) if polled else _LONGEST_SLEEP_S
        self._wake.wait(min(max(left_s, 0.0), _LONGEST_SLEEP_S))
        self._wake.clear()
