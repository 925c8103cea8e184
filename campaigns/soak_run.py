"""Measures for an hour with `greenbench run`, and looks whether the controller or its containers grow.

`python -m campaigns.soak_run --seconds 3600 --launcher docker`: MobileNetV2 in PyTorch and ONNX Runtime on
the CPU, one load after another, a fresh runtime each (`greenbench up` must have made them in
GREENBENCH_STATE). At the end the run is interrupted by SIGTERM. Gives 1 where something grew, was left
or ended otherwise.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from campaigns.flatness import Watch, growth_table, judge, plot
from campaigns.whole import events_of
from greenbench.fleet.state import StateFolder

MORE_ROUNDS_THAN_FIT = 1_000
RUN = (
    *("--device", "cpu", "--only", "runtime=pytorch,runtime=onnxruntime,model=mobilenet_v2,batch_size=1"),
    *("--windows", "1", "--set", "protocol.window_s=1", "--set", "protocol.warmup_cap_s=1"),
    *("--set", "protocol.baseline_host_s=1", "--set", "protocol.baseline_loaded_s=0.5"),
    *("--set", "protocol.rest_cap_s=0.5", "--set", "validity.not_steady.invalid=1000.0"),
)
LOOKS = 240
INTERRUPTED = 130


@dataclass(slots=True, kw_only=True)
class Soaked:
    """What an hour came to.

    Attributes:
        watch: Of the controller's process.
        loads: Loads that ended, failed ones included.
        failures: Of each attempt that failed, which and why.
        containers: Containers of the state folder at each look, running or not.
        processes: Descendants of the controller at each look.
        status: Exit status after the interrupt.
        seconds: How long it really went on.
        left: What still ran afterwards.
    """

    watch: Watch
    loads: int = 0
    failures: list[str] = field(default_factory=list)
    containers: list[int] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    status: int = 0
    seconds: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing grew, failed or was left."""
        flat = all(growth.flat for growth in judge(self.watch.samples))
        kept = len(set(self.containers)) <= 1
        return flat and kept and not self.left and not self.failures and self.status == INTERRUPTED


def soak(out: Path, *, launcher: str, seconds: float) -> Soaked:
    """Run for so long, look now and then, interrupt."""
    rounds = ("--rounds", str(MORE_ROUNDS_THAN_FIT))
    command = [sys.executable, "-m", "greenbench.cli", "run", "--launcher", launcher, "--out", str(out)]
    with (out / "said").open("w") as said:
        process = subprocess.Popen([*command, *RUN, *rounds], stdout=said, stderr=said)
    soaked = Soaked(watch=Watch(psutil.Process(process.pid)))
    began_s = time.monotonic()
    try:
        while process.poll() is None and time.monotonic() - began_s < seconds:
            time.sleep(seconds / LOOKS)
            _look(soaked, out, process, launcher)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # as SIGINT, which a shell may have had ignored
        soaked.status = process.wait(120)
    finally:
        process.kill()
        process.wait()
    soaked.seconds = time.monotonic() - began_s
    soaked.left = _containers("--quiet") if launcher == "docker" else []
    rows = [event["trial"] for event in _events(out) if event["event"] == "trial"]
    soaked.loads = len({row["load_id"] for row in rows})
    soaked.failures = [f"{row['trial_id']}: {row['failure']}" for row in rows if row["failure"]]
    return soaked


def _look(soaked: Soaked, out: Path, process: subprocess.Popen[bytes], launcher: str) -> None:
    if process.poll() is not None:
        return
    soaked.watch.look(sum(event["event"] == "load_finished" for event in _events(out)))
    soaked.processes.append(len(soaked.watch.process.children(recursive=True)))
    soaked.containers.append(len(_containers("--all", "--quiet")) if launcher == "docker" else 0)


def _events(out: Path) -> list[dict[str, Any]]:
    folder = next((path.parent for path in out.glob("*/manifest.json")), None)
    return events_of(folder) if folder else []


def _containers(*options: str) -> list[str]:
    label = f"label=greenbench.state={StateFolder.at(Path(os.environ['GREENBENCH_STATE'])).identity}"
    asked = ["docker", "ps", "--filter", label, *options]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def report(soaked: Soaked, *, command: str, launcher: str, picture: str) -> str:
    """Return the soak as Markdown."""
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"# Soak: `greenbench run` for {soaked.seconds / 60:.0f} min",
        "",
        f"`{command}`. {datetime.now(UTC):%F}, {machine}.",
        f"It measured for {soaked.seconds:.0f} s: {soaked.loads} loads of MobileNetV2 in PyTorch and ONNX",
        f"Runtime, each in a fresh runtime under `{launcher}`, then SIGTERM (exit status {soaked.status}).",
        "",
        *growth_table(judge(soaked.watch.samples)),
        "",
        "Of the controller's process. At every look:",
        f"processes below it {min(soaked.processes)} to {max(soaked.processes)},",
        f"containers of the state folder {min(soaked.containers)} to {max(soaked.containers)}.",
        f"Failed attempts: {len(soaked.failures)}. Left running: {', '.join(soaked.left) or 'nothing'}.",
        f"As promised: {'yes' if soaked.holds else '**no**'}.",
        *(f"- {failure}" for failure in soaked.failures),
        "",
        f"![What the controller held]({picture})",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--launcher", default="docker", choices=("venv", "docker"))
    parser.add_argument("--table", type=Path, help="Write the result here, and a picture beside it.")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="greenbench-soak-") as name:
        soaked = soak(Path(name), launcher=asked.launcher, seconds=asked.seconds)
        said = (Path(name) / "said").read_text()
    if soaked.status != INTERRUPTED:
        print(said[-1000:])
    command = f"python -m campaigns.soak_run --seconds {asked.seconds:g} --launcher {asked.launcher}"
    picture = asked.table.with_suffix(".svg") if asked.table else None
    told = report(soaked, command=command, launcher=asked.launcher, picture=picture.name if picture else "")
    print(told)
    if asked.table and picture:
        asked.table.write_text(told, encoding="utf-8")
        plot({"controller": soaked.watch.samples}, picture, work="loads")
    return int(not soaked.holds)


if __name__ == "__main__":
    sys.exit(main())
