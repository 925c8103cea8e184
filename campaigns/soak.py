"""Loads, runs and unloads one runtime again and again, and looks whether anything grows.

`python -m campaigns.soak --python ENVIRONMENT/bin/python --models FOLDER --seconds 3600`: MobileNetV2 in ONNX
Runtime on the CPU, driven by the controller's own client. Looks at both processes, draws what they
held, and gives 1 where something grew. Ctrl-C or SIGTERM ends it early; what was seen till then is judged.
"""

import argparse
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from campaigns.flatness import Growth, Watch, growth_table, judge, plot
from campaigns.fuzz import converted_mobilenet, runtime_process
from greenbench.core.errors import FleetError
from greenbench.fleet.client import RuntimeClient

IMAGE = np.zeros((1, 3, 224, 224), dtype=np.float32)
ITERATIONS = 2
LOOKS = 240
"""About how many samples a soak of the whole length takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak came to.

    Attributes:
        cycles: Load / Stage / Run / Unload that ended well.
        seconds: How long it really went on.
        watches: By process.
        failure: The first cycle that failed, in one sentence; empty where none did.
    """

    cycles: int
    seconds: float
    watches: dict[str, Watch]
    failure: str = ""

    def growths(self) -> dict[str, tuple[Growth, ...]]:
        """Return the judgement by process; raises as `judge`."""
        return {name: judge(watch.samples) for name, watch in self.watches.items()}

    @property
    def holds(self) -> bool:
        """Whether every cycle ended well and nothing grew."""
        flat = all(growth.flat for found in self.growths().values() for growth in found)
        return flat and not self.failure


class Soak:
    """Cycles against one runtime process."""

    def __init__(self, address: str, runtime: psutil.Process, *, load: dict[str, Any]) -> None:
        """Prepare.

        Args:
            address: The runtime's.
            runtime: Its process.
            load: Model, mode and files of each load.
        """
        self._address = address
        self._load = load
        self.watches = {"runtime": Watch(runtime), "controller": Watch(psutil.Process())}

    def until(self, stop: threading.Event, *, seconds: float, cycles: int, share: float) -> Soaked:
        """Go on until told to stop, for so long or so often.

        Args:
            stop: Ends it early.
            seconds: At most.
            cycles: At most.
            share: Of the time that cycles may take; between them it rests, so that others can work.
        """
        began, done, failure, looked = time.monotonic(), 0, "", -1.0
        while not stop.is_set() and done < cycles and (elapsed := time.monotonic() - began) < seconds:
            try:
                self._cycle(done)
            except FleetError as error:
                failure = f"cycle {done}: {error}"
                break
            done += 1
            busy = time.monotonic() - began - elapsed
            if elapsed - looked >= seconds / LOOKS or done % max(cycles // LOOKS, 1) == 0:
                looked = elapsed
                self._look(done)
            stop.wait(busy * (1 / share - 1))
        return Soaked(cycles=done, seconds=time.monotonic() - began, watches=self.watches, failure=failure)

    def _cycle(self, number: int) -> None:
        # A connection of its own for each: those that are left open show as sockets.
        with RuntimeClient(self._address) as client:
            client.load(batch_size=1, device="cpu", threads=1 + number % 2, **self._load)
            client.stage({"input": IMAGE})
            with client.run(max_iterations=ITERATIONS) as stream:
                stream.wait(60)
                summary = stream.stop()
            if len(summary.ends_ns) != ITERATIONS:
                raise FleetError(f"{len(summary.ends_ns)} iterations came back, {ITERATIONS} were asked for")
            client.unload()

    def _look(self, done: int) -> None:
        for watch in self.watches.values():
            watch.look(done)


def report(soaked: Soaked, *, command: str, share: float, picture: str) -> str:
    """Return the soak as Markdown, with how long it went on and what was asked for."""
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Soak: load, run, unload",
        "",
        f"`{command}`. {datetime.now(UTC):%F}, {machine}.",
        f"It ran for {soaked.seconds:.0f} s, busy for {share:.0%} of that: {soaked.cycles} cycles of Load,",
        f"Stage, Run ({ITERATIONS} iterations), Unload of MobileNetV2 in ONNX Runtime, one process for all.",
    ]
    for name, found in soaked.growths().items():
        lines += ["", f"## The {name}'s process", "", *growth_table(found)]
    lines += ["", f"Failed: {soaked.failure or 'no cycle'}.", "", f"![What both held]({picture})"]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 1 where something grew or a cycle failed, 2 where it was too short to tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--cycles", type=int, default=1_000_000, help="at most")
    parser.add_argument("--share", type=float, default=1.0, help="of the time that cycles may take")
    parser.add_argument("--python", type=Path, required=True, help="of ONNX Runtime's environment")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="Write the result here, and a picture beside it.")
    options = parser.parse_args(arguments)
    load = {"model": "mobilenet_v2", "mode": "cpu", "model_file": converted_mobilenet(options.models)}
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with runtime_process(options.python, "onnxruntime", options.models) as (address, process):
        soak = Soak(address, process, load=load)
        soaked = soak.until(stop, seconds=options.seconds, cycles=options.cycles, share=options.share)
    return _told(soaked, options)


def _told(soaked: Soaked, options: argparse.Namespace) -> int:
    table = options.table
    picture = table.with_suffix(".svg") if table else None
    command = f"python -m campaigns.soak --seconds {options.seconds:g} --share {options.share:g}"
    try:
        said = report(soaked, command=command, share=options.share, picture=picture.name if picture else "")
    except ValueError as error:
        print(
            f"too short to tell: {error} ({soaked.cycles} cycles in {soaked.seconds:.0f} s) {soaked.failure}"
        )
        return 2
    print(said)
    if table and picture:
        table.write_text(said)
        plot({name: watch.samples for name, watch in soaked.watches.items()}, picture, work="cycles")
    return int(not soaked.holds)


if __name__ == "__main__":
    sys.exit(main())
