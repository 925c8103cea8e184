"""One load of a runtime that runs on under one recorder, cut into windows as a run cuts them."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from greenbench.bench.context import Context, Options
from greenbench.bench.inputs import batch
from greenbench.bench.instruments import Instruments
from greenbench.bench.planning import make_plan
from greenbench.bench.timeline import DENSE_PERIODS, Asked, hold, lay_out
from greenbench.bench.trial import check_outputs
from greenbench.bench.warmup import power_of, sub_window_s, warm_up
from greenbench.core.plan import Cell
from greenbench.core.suite import Suite
from greenbench.core.units import ns_from_seconds
from greenbench.energy.calibrate import counter_period
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Recorder
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.energy.window import Window, cut
from greenbench.fleet.run_stream import RunStream

MARGIN_S = 0.5
"""The runtime's stamps must reach this far behind the last asked end, and past its edge, before cutting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLoad:
    """A load that runs until it is left.

    Attributes:
        stream: The run that goes on.
        recorder: Reads the meters.
        instruments: Meters, clock and the sensor's period.
        generator: Draws the windows' phases against the sensor.
        steady: Whether the warm-up ended before its cap.
    """

    stream: RunStream
    recorder: Recorder
    instruments: Instruments
    generator: Random
    steady: bool

    def lay_out(self, windows: int, window_s: float) -> tuple[Asked, ...]:
        """Return consecutive windows from now on."""
        return lay_out(
            now_ns=self.instruments.clock(),
            windows=windows,
            window_s=window_s,
            sensor_period_s=self.instruments.sensor_period_s,
            phases=tuple(self.generator.random() for _ in range(windows)),
        )

    def measure(self, asked: tuple[Asked, ...]) -> tuple[Window, ...]:
        """Let the load run through the windows and cut them from the record.

        Raises:
            FleetError: The load broke.
        """
        hold(
            asked,
            sensor_period_s=self.instruments.sensor_period_s,
            dense=self.recorder.dense,
            check=lambda: self.stream.wait(0.0),
            clock=self.instruments.clock,
            sleep=self.instruments.sleep,
        )
        # The runtime tells its stamps about once a second: those around the last edge may be under way.
        after_s = max(MARGIN_S, (DENSE_PERIODS + 1) * self.instruments.sensor_period_s)
        margin_ns = ns_from_seconds(after_s)
        while self._told_until_ns() < asked[-1].end_ns + margin_ns:
            self.stream.wait(0.0)
            self.instruments.sleep(0.1)
        record, ends_ns = self.recorder.record(), self.stream.ends_ns()
        return tuple(
            cut(
                record,
                self.instruments.meters,
                asked_begin_ns=window.begin_ns,
                asked_end_ns=window.end_ns,
                ends_ns=ends_ns,
                sensor_period_s=self.instruments.sensor_period_s,
            )
            for window in asked
        )

    def _told_until_ns(self) -> int:
        told = self.stream.ends_ns()
        return int(told[-1]) if len(told) else 0


def cell_of(
    context: Context,
    *,
    runtime: str,
    model: str,
    batch_size: int,
    mode: str = "default",
    sequence_length: int = 128,
) -> Cell:
    """Return one cell in fp32; ends the program where this host cannot run it. Images have no length."""
    matrix = {
        "runtime": (runtime,),
        "mode": (mode,),
        "model": (model,),
        "precision": ("fp32",),
        "batch_size": (batch_size,),
        "sequence_length": (sequence_length,),
    }
    suite = Suite.model_validate({"name": "campaign", "matrix": matrix})
    plan = make_plan(suite, context.catalogue, context.view, seed=0)
    if not plan.cells:
        raise SystemExit(plan.left_out[0].reason)
    return plan.cells[0]


def instruments_of(meters: MeterSet, calibrations: Path) -> Instruments:
    """Return the instruments of a run; ends the program where the GPU has no energy counter."""
    period_s = counter_period(meters, calibrations)
    if period_s is None:
        raise SystemExit("this campaign compares joules of a GPU's energy counter, and there is none here")
    return Instruments(meters=meters, sensor_period_s=period_s, limits=DEFAULT_LIMITS)


@contextmanager
def held_load(
    context: Context, cell: Cell, instruments: Instruments, *, warmup_cap_s: float = 30.0, seed: int = 0
) -> Iterator[HeldLoad]:
    """Start a cell's runtime, prove its outputs, warm it up and let it run on.

    Args:
        context: The host's launcher and state.
        cell: What to load.
        instruments: What to measure with.
        warmup_cap_s: Longest warm-up.
        seed: Of the windows' phases and of the recorder's schedules.

    Raises:
        FleetError: The runtime could not be started, or broke.
    """
    load, generator = cell.workload, Random(seed)  # noqa: S311 - phases, not secrets
    with context.house.running(cell.runtime, cell.mode) as running:
        context.house.load(running, cell)
        parity = check_outputs(context.house, running, cell)
        if not parity.passed:
            raise SystemExit(f"{cell.cell_id}: the outputs differ from the reference: {parity}")
        running.client.stage(batch(load.model, load.batch_size, load.sequence_length))
        with (
            Recorder(
                instruments.meters.sensors,
                clock=instruments.clock,
                seed=seed,
                sensor_period_s=instruments.sensor_period_s,
            ) as recorder,
            running.client.run() as stream,
        ):
            waited_s = _warm_up(stream, recorder, instruments, warmup_cap_s)
            yield HeldLoad(
                stream=stream,
                recorder=recorder,
                instruments=instruments,
                generator=generator,
                steady=waited_s is None,
            )
            stream.stop()


def _warm_up(stream: RunStream, recorder: Recorder, instruments: Instruments, cap_s: float) -> float | None:
    def ends() -> NDArray[np.int64]:
        stream.wait(0.0)
        return stream.ends_ns()

    return warm_up(
        ends,
        lambda: power_of(recorder.record()),
        cap_s=cap_s,
        length_s=sub_window_s(10.0),
        clock=instruments.clock,
        sleep=instruments.sleep,
    )


def add_host_options(parser: argparse.ArgumentParser, *, launcher: str) -> None:
    """Add what every campaign on a GPU is asked of its host, for `options_of`."""
    parser.add_argument("--launcher", default=launcher, choices=("auto", "docker", "venv"))
    parser.add_argument("--env", action="append", default=[], metavar="RUNTIME=PYTHON")
    parser.add_argument("--gpu", default="0", help="index or UUID")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every campaign with a held load is asked: launcher, environments, what to load."""
    add_host_options(parser, launcher="venv")
    parser.add_argument("--runtime", default="pytorch")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF)


def options_of(asked: argparse.Namespace) -> Options:
    """Return the host's options for parsed arguments."""
    pairs: Sequence[tuple[str, str, str]] = [pair.partition("=") for pair in asked.env]
    state = os.environ.get("GREENBENCH_STATE")
    return Options(
        state=Path(state) if state else None,
        launcher=asked.launcher,
        device="cuda",
        gpu=asked.gpu,
        environments={name: Path(python) for name, _, python in pairs},
    )
