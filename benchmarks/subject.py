"""The runtime whose loops are compared: its process, its client, and what an iteration of each loop costs."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenbench.bench.context import Context
from greenbench.bench.inputs import batch
from greenbench.bench.library import onnx_key, weights_key
from greenbench.core.runtime import RuntimeSpec
from greenbench.energy.calibrate import counter_period
from greenbench.energy.cgroup import process_tree_sensors
from greenbench.energy.meter import MeterSet
from greenbench.energy.power import mean_power
from greenbench.energy.recorder import Record, Recorder
from greenbench.energy.sensor import Sensor
from greenbench.fleet.assets import assets_root
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.process import runtime_environment
from greenbench.fleet.venv import VenvLauncher

SETTLE_S = 0.2
"""What is left out at the begin of every stretch: caches and clocks come back after the pause before it."""

UP = "greenbench up --launcher venv"
QUIT_S = 10.0
LENGTHS = {"bert_base": 128}
"""Tokens of a text, as `up` converts by default."""

EDGE_PERIODS = 3.25
"""How long a counter that steps is read after each edge, in its periods: a change falls in it that is seen
closely, even where one did not come in its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an iteration of one stretch cost.

    Attributes:
        mean_s: Duration divided by iterations. This is compared: a cost that comes once a second hits few
            iterations, which a median over iterations would not see.
        median_s: Median over iterations.
        energy_j: Joules per iteration; None where there is no meter.
    """

    mean_s: float
    median_s: float
    energy_j: float | None = None


def steady(ends_ns: NDArray[np.int64], settle_s: float = SETTLE_S) -> NDArray[np.int64]:
    """Return the end stamps after a stretch has settled.

    Raises:
        ValueError: Fewer than three are left.
    """
    kept = ends_ns[ends_ns >= ends_ns[0] + int(settle_s * 1e9)] if len(ends_ns) else ends_ns
    if len(kept) < 3:  # noqa: PLR2004 - two iterations, so that there is something to average
        raise ValueError(f"{len(kept)} iterations are too few; ask for more --seconds")
    return kept


def cost_of(ends_ns: NDArray[np.int64], energy_j: float | None = None) -> Cost:
    """Return what an iteration cost between settled end stamps."""
    steps = np.diff(ends_ns)
    return Cost(mean_s=float(np.mean(steps)) / 1e9, median_s=float(np.median(steps)) / 1e9, energy_j=energy_j)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A runtime with a model loaded at batch 1, its server's loop and its bare loop.

    Attributes:
        process: Runs `benchmarks.bare_loop`.
        client: Speaks to the real server in it.
        meters: What this host can measure.
        sensor_period_s: Calibrated period of the GPU's energy counter; 0 where there is none.
    """

    process: "subprocess.Popen[str]"
    client: RuntimeClient
    meters: MeterSet
    sensor_period_s: float = 0.0

    def warm_up(self, passes: int = 3) -> None:
        """Run some passes: the first after a load compile, plan and fill caches, however long that takes."""
        with self.client.run(max_iterations=passes) as stream:
            while stream.wait(1.0):
                pass

    def bare(self, seconds: float, extra_s: float = 0.0) -> Cost:
        """Run the bare loop; `extra_s` is burnt after each pass."""
        return self._told("bare", seconds, extra_s)

    def script(self, seconds: float, extra_s: float = 0.0) -> Cost:
        """Run the same loop by the framework's own calls alone; `extra_s` is burnt after each pass."""
        return self._told("script", seconds, extra_s)

    def _told(self, loop: str, seconds: float, extra_s: float) -> Cost:
        with self._metered() as recorder:
            self._tell(f"{loop} {seconds} {extra_s}")
            stretch_ns = self._read_edges(recorder, seconds, time.sleep)
            ends_ns = np.array(json.loads(self._heard()), dtype=np.int64)
            return self._cost(ends_ns, recorder, stretch_ns)

    def server(self, seconds: float, *, progress_s: float = 1.0) -> Cost:
        """Run the server's loop over gRPC, as a measurement does."""
        with self._metered() as recorder:
            with self.client.run(progress_s=progress_s) as stream:
                stretch_ns = self._read_edges(recorder, seconds, stream.wait)
                asked_ns = time.monotonic_ns()
                ends_ns = stream.stop().ends_ns
            ends_ns = ends_ns[ends_ns <= asked_ns]  # the call that stops it is in no window of a measurement
            return self._cost(ends_ns, recorder, stretch_ns)

    def recorded(self, seconds: float) -> Cost:
        """Run the server's loop while every sensor of this host is read on its schedule."""
        with Recorder(self.sensors(), sensor_period_s=self.sensor_period_s):
            return self.server(seconds)

    def sliced(
        self, seconds: float, extra_s: float, slice_s: float, pattern: Sequence[bool]
    ) -> NDArray[np.int64]:
        """Run the bare loop, which burns `extra_s` after each pass of some slices.

        Args:
            seconds: How long.
            extra_s: Burnt after a pass.
            slice_s: Length of a slice.
            pattern: One per slice: whether its passes burn.

        Returns:
            int64 [n]: the loop's begin, then the end of every pass, CLOCK_MONOTONIC ns.
        """
        self._tell(f"bare {seconds} {extra_s} {slice_s} {''.join('01'[on] for on in pattern)}")
        return np.array(json.loads(self._heard()), dtype=np.int64)

    def sensors(self) -> tuple[Sensor, ...]:
        """Return all that is read during a measurement of this runtime."""
        return (*self.meters.sensors, *process_tree_sensors(self.process.pid))

    def quit(self) -> None:
        """End the process; kill it where it does not."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._tell("quit")
            self.process.wait(QUIT_S)
        self.process.kill()
        self.process.communicate()

    def _metered(self) -> AbstractContextManager[Recorder | None]:
        """Record the energy alone, in both loops alike; nothing where there is no meter."""
        counters = self._counters()
        return Recorder(counters, sensor_period_s=self.sensor_period_s) if counters else nullcontext()

    def _counters(self) -> tuple[Sensor, ...]:
        streams = {stream for streams in self.meters.domains.values() for stream in streams}
        return tuple(sensor for sensor in self.meters.sensors if sensor.stream in streams)

    def _read_edges(
        self, recorder: Recorder | None, seconds: float, wait: Callable[[float], object]
    ) -> tuple[int, int] | None:
        """Let a stretch of the loop pass, reading a counter that steps at its begin and its end.

        Args:
            recorder: Records the energy; None where there is no meter.
            seconds: Length of the stretch.
            wait: Waits for so many seconds.

        Returns:
            Begin and end of what the counter covers, CLOCK_MONOTONIC ns; None where no counter steps.

        Raises:
            ValueError: The stretch is too short for two edges.
        """
        if recorder is None or not self.sensor_period_s:
            wait(seconds)
            return None
        edge_s = EDGE_PERIODS * self.sensor_period_s
        between_s = seconds - SETTLE_S - 2 * edge_s
        if between_s < edge_s:
            raise ValueError(f"{seconds:g} s hold no two edges of {edge_s:.2f} s; ask for more --seconds")
        wait(SETTLE_S)
        begin_ns = time.monotonic_ns()
        with recorder.dense():
            wait(edge_s)
        wait(between_s)
        end_ns = time.monotonic_ns()
        with recorder.dense():
            wait(edge_s)
        return begin_ns, end_ns

    def _cost(
        self, ends_ns: NDArray[np.int64], recorder: Recorder | None, stretch_ns: tuple[int, int] | None
    ) -> Cost:
        kept = steady(ends_ns)
        if recorder is None:
            return cost_of(kept)
        if stretch_ns is None:
            time.sleep(2 * max(sensor.period_s for sensor in self._counters()))  # one poll past the end
            stretch_ns = int(kept[0]), int(kept[-1])
        power = power_w(recorder.record(), self.meters, stretch_ns, self.sensor_period_s)
        return cost_of(kept, cost_of(kept).mean_s * power)

    def _tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def _heard(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bare loop's process ended with status {self.process.wait()}")
        return line


def power_w(
    record: Record, meters: MeterSet, stretch_ns: tuple[int, int], sensor_period_s: float = 0.0
) -> float:
    """Return the mean power of all domains over a stretch, watts.

    Args:
        record: Covers the stretch.
        meters: Which streams make the domains.
        stretch_ns: Its begin and end, CLOCK_MONOTONIC ns.
        sensor_period_s: Calibrated period of the GPU's energy counter; 0 where there is none.
    """
    begin_ns, end_ns = stretch_ns
    powers = [
        mean_power(record, meters, domain, begin_ns=begin_ns, end_ns=end_ns, sensor_period_s=sensor_period_s)
        for domain in meters.domains
    ]
    return sum(power.power_w for power in powers)


@contextmanager
def opened(context: Context, runtime: str, model: str, threads: int) -> Iterator[Subject]:
    """Start the program in a runtime's environment and load a model at batch 1.

    Args:
        context: With the ``venv`` launcher.
        runtime: Its name in the catalogue.
        model: Which, with seeded weights.
        threads: Intra-operator threads.

    Raises:
        NotBuiltError: `greenbench up --launcher venv` has not made what it takes.
    """
    spec = context.catalogue[runtime]
    with tempfile.TemporaryDirectory(prefix="greenbench-") as scratch:
        address, log_path = f"unix:{scratch}/g.sock", Path(scratch) / "log"
        with log_path.open("w") as log:
            process = subprocess.Popen(
                _command(context, spec, address, scratch),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(runtime_environment(_settings(context), device=context.house.device)),
            )
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"the bare loop's process did not start: {log_path.read_text()[-2000:]}")
            with RuntimeClient(address) as client:
                _load(client, context, spec, model, threads)
                subject = Subject(
                    process=process,
                    client=client,
                    meters=context.meters,
                    sensor_period_s=counter_period(context.meters, context.state.calibration) or 0.0,
                )
                yield subject
                subject.quit()
        finally:
            process.kill()
            process.communicate()


def _settings(context: Context) -> LaunchSettings:
    return LaunchSettings(
        state=context.state,
        assets=assets_root(),
        gpu_uuid=context.house.gpu_uuid or "",
        environments=context.options.environments,
    )


def _command(context: Context, spec: RuntimeSpec, address: str, outbox: str) -> list[str]:
    launcher, device = VenvLauncher(_settings(context)), context.house.device
    if launcher.built(spec, device) is None:
        raise SystemExit(f"{spec.name} has no environment for {device}; run `{UP}`")
    python = launcher._server_command(spec, device)[0]  # noqa: SLF001 - as the launcher starts it
    program = Path(__file__).with_name("bare_loop.py")
    return [python, str(program), spec.engine, address, str(context.state.models), outbox, device]


def _load(client: RuntimeClient, context: Context, spec: RuntimeSpec, model: str, threads: int) -> None:
    library = context.house.library
    weights = library.need(weights_key(model, "seeded"), remedy=UP)
    model_file, length = "", LENGTHS.get(model)
    if spec.sources:
        key = onnx_key(model, spec.sources[0], weights.sha256, length)
        model_file = library.need(key, remedy=UP).path
    client.load(
        model=model,
        batch_size=1,
        sequence_length=length or 0,
        mode=spec.modes_on(context.house.device)[0],
        device=context.house.device,
        device_uuid=context.house.gpu_uuid or "",
        weights_file=weights.path,
        model_file=model_file,
        threads=threads,
    )
    client.stage(batch(model, 1, length))
