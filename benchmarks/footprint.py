"""What greenbench itself costs: ``python -m benchmarks.footprint``.

Each line is a ratio (or a share) with its 90% interval from adjacent interleaved pairs, its limit, and
a positive control that has to be found. On a host too noisy to say, the table says so and gives the
interval reached. Needs the environments of ``greenbench up --launcher venv``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.pairs import Ratio, ratio_of
from greenbench.bench.context import Context, Options, open_context
from greenbench.bench.inputs import batch
from greenbench.bench.library import onnx_key, weights_key
from greenbench.energy.cgroup import process_tree_sensors
from greenbench.energy.recorder import Recorder
from greenbench.fleet.assets import assets_root
from greenbench.fleet.client import RuntimeClient
from greenbench_wire import benchmark_pb2 as wire

FRAMEWORKS = ("torch", "transformers", "onnxruntime", "tensorflow", "mxnet", "jax")
BURN = 0.02
"""Share of a pass that the positive control burns in addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table."""

    what: str
    figure: str
    limit: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The runtime under test: its process, its client, and bare loops on command."""

    process: subprocess.Popen[str]
    client: RuntimeClient

    def bare(self, seconds: float, extra_s: float = 0.0) -> float:
        """Run the bare loop; return its median time per pass, seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"bare {seconds} {extra_s}\n")
        self.process.stdin.flush()
        return float(np.median(json.loads(self.process.stdout.readline())))

    def server(self, seconds: float) -> float:
        """Run the server's loop over gRPC; return its median time per pass, seconds."""
        with self.client.run() as stream:
            stream.wait(seconds)
            ends = stream.stop().ends_ns
        return float(np.median(np.diff(ends))) / 1e9


@contextmanager
def opened(context: Context, runtime: str, model: str) -> Iterator[Bench]:
    """Start the program of `benchmarks.bare_loop` in a runtime's environment and load a model at batch 1."""
    spec = context.catalogue[runtime]
    (python,) = list(context.state.venvs.glob(f"{runtime}-cpu-*/bin/python"))[-1:]
    library = context.house.library
    weights = library.need(weights_key(model, "seeded"), remedy="greenbench up --launcher venv")
    converted = onnx_key(model, "pytorch", weights.sha256, None) if spec.sources else ""
    with tempfile.TemporaryDirectory() as scratch:
        address = f"unix:{scratch}/g.sock"
        root = assets_root()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (root / "runtimes", root / "protos"))),
        }
        program = Path(__file__).with_name("bare_loop.py")
        command = [str(python), str(program), spec.engine, address, str(library.folder), scratch]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with RuntimeClient(address) as client:
                client.load(
                    model=model,
                    batch_size=1,
                    mode=spec.modes_on("cpu")[0],
                    weights_file=weights.path,
                    model_file=library.need(converted, remedy="greenbench up").path if converted else "",
                    threads=max(1, context.view.physical_cores - 1),
                )
                client.stage(batch(model, 1, None))
                yield Bench(process=process, client=client)
        finally:
            process.kill()
            process.communicate()


def paired(first: Callable[[], float], second: Callable[[], float], pairs: int) -> Ratio:
    """Run two costs in adjacent pairs, the order reversed in every other one."""
    a: list[float] = []
    b: list[float] = []
    for number in range(pairs):
        if number % 2:
            b.append(second())
            a.append(first())
        else:
            a.append(first())
            b.append(second())
    return ratio_of(a, b)


def judged(what: str, ratio: Ratio, *, limit: float, width: float) -> Line:
    """Return the line of a ratio that should be 1."""
    if ratio.low > 1 + limit or ratio.high < 1 - limit:
        verdict = "BEYOND"
    elif ratio.half_width > width:
        verdict = "this host is too noisy to say"
    else:
        verdict = "within" if abs(ratio.point - 1) <= limit else "BEYOND"
    figure = f"{ratio.point:.4f} ({ratio.low:.4f} to {ratio.high:.4f}), {ratio.pairs} pairs"
    return Line(what=what, figure=figure, limit=f"1 ± {limit:.1%}, interval ± {width:.0%}", verdict=verdict)


def control(what: str, ratio: Ratio, *, expected: float) -> Line:
    """Return the line of a positive control: an added cost whose interval must not hold 1."""
    figure = f"{ratio.point:.4f} ({ratio.low:.4f} to {ratio.high:.4f}), {ratio.pairs} pairs"
    verdict = "found" if ratio.low > 1 else "NOT FOUND: the lines above prove nothing here"
    return Line(what=what, figure=figure, limit=f"about {1 + expected:.2f}", verdict=verdict)


def loops(bench: Bench, seconds: float, pairs: int) -> list[Line]:
    """Compare the server's loop with the bare loop, and find a burnt share."""
    bench.bare(seconds)
    burnt_s = BURN * bench.bare(seconds)

    def bare() -> float:
        return bench.bare(seconds)

    against_bare = paired(lambda: bench.server(seconds), bare, pairs)
    same = paired(bare, bare, pairs)
    burning = paired(lambda: bench.bare(seconds, burnt_s), bare, pairs)
    return [
        judged("server loop / bare loop", against_bare, limit=0.005, width=0.01),
        judged("bare loop / bare loop (A/A)", same, limit=0.005, width=0.01),
        control("bare loop + 2% / bare loop (control)", burning, expected=BURN),
    ]


def recording(context: Context, bench: Bench, seconds: float, pairs: int) -> list[Line]:
    """Compare a run that is recorded with one that is not; take the host side's CPU meanwhile."""
    sensors = (*context.meters.sensors, *process_tree_sensors(bench.process.pid))

    def recorded() -> float:
        with Recorder(sensors):
            return bench.server(seconds)

    ratio = paired(recorded, lambda: bench.server(seconds), pairs)
    return [judged("recording on / off", ratio, limit=0.005, width=0.01), host_cpu(context, bench)]


def messages(bench: Bench) -> list[Line]:
    """Take what a 10 s window's messages cost to build, and a call's round trip.

    Messages are built and sent on another thread than the loop's; what they take from it is their time under
    the interpreter's lock: building and serialising.
    """
    with bench.client.run() as stream:
        stream.wait(2.0)
        stamps = stream.stop().ends_ns[::2].tolist()
    build_s, call_s = [], []
    for _ in range(200):
        began_s = time.perf_counter()
        wire.RunEvent(progress=wire.RunProgress(end_ns=stamps)).SerializeToString()
        build_s.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        bench.client.describe()
        call_s.append(time.perf_counter() - began_s)
    share = 10 * float(np.median(build_s)) / 10.0
    return [
        Line(
            what="RPC share of a 10 s window: building its 10 progress messages",
            figure=f"{share:.4%} ({len(stamps)} stamps each)",
            limit="0.01%",
            verdict="within" if share <= 1e-4 else "BEYOND",  # noqa: PLR2004 - the limit beside it
        ),
        Line(
            what="one gRPC call (Describe), p50",
            figure=f"{np.median(call_s) * 1e3:.2f} ms",
            limit="",
            verdict="",
        ),
    ]


def host_cpu(context: Context, bench: Bench) -> Line:
    """Take the host side's CPU over 10 s of a recorded run."""
    with (
        Recorder((*context.meters.sensors, *process_tree_sensors(bench.process.pid))),
        bench.client.run() as stream,
    ):
        stream.wait(1.0)
        began_s, used_s = time.monotonic(), time.process_time()
        stream.wait(10.0)
        share = (time.process_time() - used_s) / (time.monotonic() - began_s)
        stream.stop()
    return Line(
        what="CPU of the host side while a 10 s window runs",
        figure=f"{share:.2%} of a core",
        limit="1%",
        verdict="within" if share <= 0.01 else "BEYOND",  # noqa: PLR2004 - the limit beside it
    )


def start_up(pairs: int) -> list[Line]:
    """Compare ``greenbench --help`` with importing Typer alone; list frameworks that it imports."""

    def wall(*command: str) -> float:
        began_s = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return time.perf_counter() - began_s

    helps, typers = [], []
    for _ in range(pairs):
        helps.append(wall("-m", "greenbench.cli", "--help"))
        typers.append(wall("-c", "import typer"))
    extra_s = float(np.median(helps) - np.median(typers))
    listing = "import sys, greenbench.cli, greenbench.bench.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True)
    loaded = set(FRAMEWORKS) & set(done.stdout.split())
    return [
        Line(
            what="`greenbench --help` beyond `import typer`",
            figure=f"{extra_s * 1e3:.0f} ms ({pairs} pairs)",
            limit="150 ms",
            verdict="within" if extra_s <= 0.15 else "BEYOND",  # noqa: PLR2004 - the limit beside it
        ),
        Line(
            what="frameworks imported on the host",
            figure=", ".join(sorted(loaded)) or "none",
            limit="none",
            verdict="BEYOND" if loaded else "within",
        ),
    ]


def as_markdown(lines: list[Line], arguments: argparse.Namespace) -> str:
    """Return the table with the machine, the date and the command."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    head = (
        f"`python -m benchmarks.footprint --runtime {arguments.runtime} --pairs {arguments.pairs} "
        f"--seconds {arguments.seconds}` on {model}, {os.cpu_count()} CPUs, {datetime.now(UTC):%Y-%m-%d}, "
        f"{arguments.model}, batch 1, all cores but one."
    )
    rows = [f"| {line.what} | {line.figure} | {line.limit} | {line.verdict} |" for line in lines]
    return "\n".join(
        [
            "# What greenbench itself costs",
            "",
            head,
            "",
            "| | figure | limit | |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Measure and print; 1 where a line is beyond its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--md", type=Path)
    arguments = parser.parse_args()
    state = os.environ.get("GREENBENCH_STATE")
    options = Options(state=Path(state) if state else None, launcher="venv", device="cpu")
    with open_context(options) as context, opened(context, arguments.runtime, arguments.model) as bench:
        lines = loops(bench, arguments.seconds, arguments.pairs)
        lines += recording(context, bench, arguments.seconds, arguments.pairs)
        lines += messages(bench)
    lines += start_up(5)
    text = as_markdown(lines, arguments)
    Console(highlight=False).print(text, markup=False, soft_wrap=True)
    if arguments.md:
        arguments.md.write_text(text)
    return int(any(line.verdict == "BEYOND" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
