"""What greenbench itself costs: ``python -m benchmarks.footprint``.

Each line is a ratio or a cost with its 90% interval, its limit and a verdict; a positive control, a cost
that is known to be there, has to be found. On a host too noisy to say, the table says so and gives the
interval reached. Needs the environments and models of ``greenbench up --launcher venv`` in the state folder
(GREENBENCH_STATE, else ``.state``); of ``up --device cuda`` for ``--device cuda``. A GPU's loop at batch 1
is mostly bound by its launches: whether reading NVML slows it is what the lines of slices say, which switch
the reading on and off within one run. Exit status 1 where a line is beyond its limit with its whole interval.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.host_side import host_cpu_lines, message_lines
from benchmarks.lines import Line
from benchmarks.loops import PATIENCE, Effort, loop_lines, recording_lines
from benchmarks.pairs import FEWEST
from benchmarks.slices import slice_lines
from benchmarks.start_up import start_lines
from benchmarks.subject import Subject, opened
from benchmarks.table import as_json, as_markdown, exit_status, head, machine, show
from greenbench.bench.context import Options, open_context
from greenbench.core.errors import GreenbenchError

STATE = ".state"


def main() -> int:
    """Measure, print and write; return the exit status."""
    arguments = _parser().parse_args()
    host = machine()
    command = "python -m benchmarks.footprint " + " ".join(_said(arguments))
    try:
        lines, where = _measured(arguments)
    except GreenbenchError as error:
        print(f"footprint: {error}", file=sys.stderr)
        return error.exit_status
    show(lines, Console())
    about = f"{arguments.model} in {arguments.runtime}, batch 1, {where}"
    if arguments.md:
        arguments.md.write_text(as_markdown(lines, head(host, command, about)))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(lines, host, command), indent=1) + "\n")
    return exit_status(lines)


def _measured(arguments: argparse.Namespace) -> tuple[list[Line], str]:
    state = Path(os.environ.get("GREENBENCH_STATE", STATE))
    environments = {name: Path(python) for name, _, python in (pair.partition("=") for pair in arguments.env)}
    options = Options(state=state, launcher="venv", device=arguments.device, environments=environments)
    with open_context(options) as context:
        # One core is left to the host side: what it takes from a core that computes is scheduling, which
        # `--threads` shows where that is asked.
        threads = arguments.threads or max(1, context.view.physical_cores - 1)
        with opened(context, arguments.runtime, arguments.model, threads) as subject:
            lines = [
                line for part in arguments.only or PARTS for line in told(PARTS[part](subject, arguments))
            ]
        gpu = context.meters.facts.get("gpu")
    where = f"threads {threads}" + (f", {gpu['name']} (driver {gpu['driver']})" if gpu else "")
    return lines, where


def _loops(subject: Subject, arguments: argparse.Namespace) -> list[Line]:
    effort = _effort(arguments)
    lines = loop_lines(subject, effort)
    return [*lines, *recording_lines(subject, effort, lines[-1])]


def _effort(arguments: argparse.Namespace) -> Effort:
    return Effort(pairs=arguments.pairs, seconds=arguments.seconds, patience=arguments.patience)


PARTS: dict[str, Callable[[Subject, argparse.Namespace], list[Line]]] = {
    "loops": _loops,
    "host": lambda subject, _: host_cpu_lines(subject),
    "messages": lambda subject, arguments: message_lines(subject, _effort(arguments)),
    "slices": lambda subject, arguments: slice_lines(subject, arguments.slices),
    "start": lambda _, __: start_lines(),
}
"""The table's parts, by name."""


def told(lines: list[Line]) -> list[Line]:
    """Say lines on standard error as they come: a host that is taken away keeps what it has found."""
    for line in lines:
        print(f"{line.what}: {line.figure} {line.says} {line.note}", file=sys.stderr, flush=True)
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.footprint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=pairs_number, default=20, help="least pairs")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each side of a pair")
    parser.add_argument("--slices", type=pairs_number, default=100, help="blocks of four slices")
    parser.add_argument("--runtime", choices=("onnxruntime", "pytorch"), default="onnxruntime")
    parser.add_argument("--model", choices=("mobilenet_v2", "resnet50"), default="mobilenet_v2")
    parser.add_argument("--threads", type=int, default=0, help="0: all physical cores but one")
    parser.add_argument("--patience", type=int, default=PATIENCE, help="most pairs, in times of --pairs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--env", action="append", default=[], metavar="RUNTIME=PYTHON")
    parser.add_argument(
        "--only", action="append", choices=[*PARTS], help="this part of the table; repeatable"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures there")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write the table there")
    return parser


def pairs_number(text: str) -> int:
    """Return a number of pairs from the command line; too few for an interval are refused."""
    number = int(text)
    if number < FEWEST:
        raise argparse.ArgumentTypeError(f"{number} pairs give no interval of 90%; at least {FEWEST}")
    return number


def _said(arguments: argparse.Namespace) -> list[str]:
    said = {"pairs": arguments.pairs, "seconds": arguments.seconds, "slices": arguments.slices}
    said |= {"runtime": arguments.runtime}
    said |= {"model": arguments.model} | ({"threads": arguments.threads} if arguments.threads else {})
    said |= {"patience": arguments.patience} if arguments.patience != PATIENCE else {}
    said |= {"device": arguments.device} if arguments.device != "cpu" else {}
    adopted = [f"--env {pair.partition('=')[0]}=..." for pair in arguments.env]
    parts = [f"--only {part}" for part in arguments.only or ()]
    return [*(f"--{name} {value}" for name, value in said.items()), *parts, *adopted]


if __name__ == "__main__":
    sys.exit(main())
