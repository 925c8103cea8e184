"""One load of one cell: started, proven, warmed up, measured in its windows, stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from greenbench.bench.baseline import measure_baseline
from greenbench.bench.house import House, Running
from greenbench.bench.inputs import GOLDEN_ROWS, batch
from greenbench.bench.instruments import Instruments
from greenbench.bench.live_power import shown_power
from greenbench.bench.making import reference_outputs
from greenbench.bench.parity import compare, fallback_doubt, numeric_mode_doubt
from greenbench.bench.rest import Rest
from greenbench.bench.timeline import POLLS_S, Asked, hold, lay_out
from greenbench.bench.warmup import power_of, sub_window_s, warm_up
from greenbench.core.doubt import Doubt, Limits, Rule
from greenbench.core.parity import Parity
from greenbench.core.plan import Cell, PlannedLoad, Protocol
from greenbench.core.progress import Observer
from greenbench.core.trial import Baseline
from greenbench.core.units import seconds_from_ns
from greenbench.energy.cgroup import cgroup_sensors, process_tree_sensors
from greenbench.energy.meter import Sensor
from greenbench.energy.recorder import Record, Recorder
from greenbench.energy.window import Window, cut
from greenbench.fleet.answers import LoadedFacts
from greenbench.fleet.launcher import Build
from greenbench.fleet.run_stream import RunStream
from greenbench.fleet.tensors import output_of

KEEP_EVERY = 16
"""Every 16th output is held on the device and compared after the loop ..."""

KEEP_MAX = 2
"""... the newest two of them, so that memory stays flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLoad:
    """Everything that one load yielded.

    Attributes:
        facts: What the runtime said of the loaded model.
        parity: Outputs against the reference, before timing.
        kept_parity: Outputs kept during the timed loop against those of the check; None where none was kept.
        windows: Cut from the record, in order; empty where parity failed.
        doubts: Of the whole load; each window adds its own.
        baselines: B1 before, and with ``rigorous`` after, the windows.
        record: Raw readings.
        ends_ns: int64 [n], end of every iteration from lead-in to tail.
        ready_s: Seconds from start to serving and loaded.
        occupied_ns: CLOCK_MONOTONIC when the model was loaded and proven, and when it had been unloaded;
            None where nothing was timed.
        elapsed_s: Seconds from start to stop.
        build: What the runtime was started from.
    """

    facts: LoadedFacts
    parity: Parity
    kept_parity: Parity | None = None
    windows: tuple[Window, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    record: Record | None = None
    ends_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    ready_s: float = 0.0
    occupied_ns: tuple[int, int] | None = None
    elapsed_s: float = 0.0
    build: Build | None = None


def measure_load(
    house: House,
    instruments: Instruments,
    planned: PlannedLoad,
    protocol: Protocol,
    *,
    rest: Rest,
    generator: Random,
    observer: Observer,
) -> MeasuredLoad:
    """Measure one load of one cell.

    Args:
        house: Starts the runtime.
        instruments: Meters, clock and limits.
        planned: What to load.
        protocol: How to measure it.
        rest: The temperature gate shared by the run.
        generator: Draws the windows' phases against the sensor.
        observer: Hears the steps.

    Returns:
        Windows, record and proofs; no window where the outputs differ from the reference.

    Raises:
        FleetError: The runtime could not be started, died, hung or refused.
    """
    cell = planned.cell
    began_ns = instruments.clock()
    observer.step(f"starting {cell.runtime}")
    with house.running(cell.runtime, cell.mode) as running:
        facts = house.load(running, cell)
        observer.step(f"checking outputs of {cell.cell_id}")
        parity = check_outputs(house, running, cell)
        seconds = partial(_seconds_since, began_ns, instruments.clock)
        doubts = _static_doubts(cell, facts, parity, instruments.limits)
        if not parity.passed:
            return MeasuredLoad(
                facts=facts, parity=parity, doubts=doubts, elapsed_s=seconds(), build=running.instance.build
            )
        expected = _stage(running, cell)
        ready_s, ready_ns = seconds(), instruments.clock()
        doubts += rest.wait(instruments, observer, pilot=planned.round == 1)
        sensors = (*instruments.meters.sensors, *_runtime_sensors(running))
        with (
            Recorder(
                sensors,
                clock=instruments.clock,
                seed=generator.randrange(1 << 32),
                sensor_period_s=instruments.sensor_period_s,
            ) as recorder,
            shown_power(observer, recorder, instruments.meters),
        ):
            timed = _Measuring(
                running=running,
                recorder=recorder,
                instruments=instruments,
                planned=planned,
                protocol=protocol,
                generator=generator,
                observer=observer,
            ).all(facts)
        kept = _kept_parity(running, cell, expected)
        running.client.unload()
        unloaded_ns = instruments.clock()
    doubts += timed.doubts + ((kept.doubt,) if kept and kept.doubt else ())
    return MeasuredLoad(
        facts=facts,
        parity=parity,
        kept_parity=kept,
        windows=timed.windows,
        doubts=doubts,
        baselines=timed.baselines,
        record=timed.record,
        ends_ns=timed.ends_ns,
        ready_s=ready_s,
        occupied_ns=(ready_ns, unloaded_ns),
        elapsed_s=seconds(),
        build=running.instance.build,
    )


def _seconds_since(began_ns: int, clock: Callable[[], int]) -> float:
    return seconds_from_ns(clock() - began_ns)


def check_outputs(house: House, running: Running, cell: Cell) -> Parity:
    """Compare a loaded cell's outputs for the golden inputs with the reference, in batches of its own size.

    Args:
        house: Holds the reference.
        running: Has the cell loaded.
        cell: What is loaded.
    """
    load = cell.workload
    reference = reference_outputs(house, cell)
    rows = max(load.batch_size, GOLDEN_ROWS)
    inputs = batch(load.model, rows, load.sequence_length)
    outputs = []
    for begin in range(0, GOLDEN_ROWS, load.batch_size):
        chosen = np.arange(begin, begin + load.batch_size) % rows
        running.client.stage({name: np.ascontiguousarray(values[chosen]) for name, values in inputs.items()})
        outputs.append(output_of(running.client.check()))
    return compare(np.concatenate(outputs)[:GOLDEN_ROWS], reference, precision=load.precision)


def _static_doubts(
    cell: Cell, facts: LoadedFacts, parity: Parity, limits: Mapping[Rule, Limits]
) -> tuple[Doubt, ...]:
    found = (
        parity.doubt,
        numeric_mode_doubt(
            parity,
            precision=cell.workload.precision,
            device=cell.device,
            flags=facts.flags,
            dtypes=facts.dtypes,
        ),
        fallback_doubt(facts.nodes_per_provider, wanted=cell.mode, limits=limits[Rule.PROVIDER_FALLBACK]),
    )
    return tuple(doubt for doubt in found if doubt)


def _stage(running: Running, cell: Cell) -> NDArray[np.float32]:
    load = cell.workload
    running.client.stage(batch(load.model, load.batch_size, load.sequence_length))
    return output_of(running.client.check())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    windows: tuple[Window, ...]
    doubts: tuple[Doubt, ...]
    baselines: tuple[Baseline, ...]
    record: Record
    ends_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measuring:
    """One load under the meters."""

    running: Running
    recorder: Recorder
    instruments: Instruments
    planned: PlannedLoad
    protocol: Protocol
    generator: Random
    observer: Observer

    def all(self, facts: LoadedFacts) -> _Timed:
        """Baseline, warm-up, windows, tail."""
        baselines = self._baseline()
        keep_every = 1 if facts.build_s > self.protocol.window_s / (2 * KEEP_EVERY) else KEEP_EVERY
        with self.running.client.run(keep_every=keep_every, keep_max=KEEP_MAX) as stream:
            doubts = self._warm_up(stream)
            asked = self._hold(stream)
            ends_ns = stream.stop().ends_ns
        # An iteration longer than the tail ends the window here: its CPU seconds need one more reading.
        self.instruments.sleep(POLLS_S)
        baselines += self._baseline() if self.protocol.rigorous else ()
        record = self.recorder.record()
        windows = tuple(_cut(record, window, ends_ns, self.instruments) for window in asked)
        return _Timed(windows=windows, doubts=doubts, baselines=baselines, record=record, ends_ns=ends_ns)

    def _baseline(self) -> tuple[Baseline, ...]:
        if self.instruments.meters.domains:
            self.observer.step("quiet, model loaded (B1)")
        return measure_baseline(
            self.recorder,
            self.instruments.meters,
            kind="B1",
            load_id=self.planned.load_id,
            length_s=self.protocol.baseline_loaded_s,
            sensor_period_s=self.instruments.sensor_period_s,
            clock=self.instruments.clock,
            sleep=self.instruments.sleep,
        )

    def _warm_up(self, stream: RunStream) -> tuple[Doubt, ...]:
        self.observer.step("warming up")
        waited_s = warm_up(
            partial(_ends, stream),
            lambda: power_of(self.recorder.record()),
            cap_s=self.protocol.warmup_cap_s,
            length_s=sub_window_s(self.protocol.window_s),
            clock=self.instruments.clock,
            sleep=self.instruments.sleep,
        )
        doubt = (
            None if waited_s is None else Limits(doubtful=0.0, invalid=None).judge(Rule.NOT_STEADY, waited_s)
        )
        return (doubt,) if doubt else ()

    def _hold(self, stream: RunStream) -> tuple[Asked, ...]:
        self.observer.step(f"measuring {self.protocol.windows} x {self.protocol.window_s:g} s")
        asked = lay_out(
            now_ns=self.instruments.clock(),
            windows=self.protocol.windows,
            window_s=self.protocol.window_s,
            sensor_period_s=self.instruments.sensor_period_s,
            phases=tuple(self.generator.random() for _ in range(self.protocol.windows)),
        )
        hold(
            asked,
            sensor_period_s=self.instruments.sensor_period_s,
            dense=self.recorder.dense,
            check=partial(stream.wait, 0.0),
            clock=self.instruments.clock,
            sleep=self.instruments.sleep,
        )
        return asked


def _runtime_sensors(running: Running) -> Sequence[Sensor]:
    pid = running.instance.pid
    return cgroup_sensors(pid) if running.instance.containerised else process_tree_sensors(pid)


def _ends(stream: RunStream) -> NDArray[np.int64]:
    stream.wait(0.0)
    return stream.ends_ns()


def _cut(record: Record, asked: Asked, ends_ns: NDArray[np.int64], instruments: Instruments) -> Window:
    return cut(
        record,
        instruments.meters,
        asked_begin_ns=asked.begin_ns,
        asked_end_ns=asked.end_ns,
        ends_ns=ends_ns,
        sensor_period_s=instruments.sensor_period_s,
    )


def _kept_parity(running: Running, cell: Cell, expected: NDArray[np.float32]) -> Parity | None:
    found = [
        compare(output_of(kept.outputs), expected, precision=cell.workload.precision)
        for kept in running.client.kept()
    ]
    return max(found, key=lambda parity: parity.relative_error, default=None)
