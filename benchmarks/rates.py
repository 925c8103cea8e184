"""Each runtime's rate inside greenbench against a bare script's: ``python -m benchmarks.rates``.

For each runtime and model at batch 1 the server's loop, driven over gRPC as in a measurement, and a loop
that calls the framework's own objects and nothing of greenbench, in adjacent pairs in the same process. A
ratio with its 90% interval, its limit and a verdict; per runtime a positive control of 2% has to be found.
Needs the environments and models of ``greenbench up --launcher venv``. Exit status 1 where a runtime is
slower or faster than its script beyond the limit with the whole interval.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.footprint import STATE, pairs_number, told
from benchmarks.lines import Line, control_line, doubted, ratio_line
from benchmarks.loops import BURN, PATIENCE, Effort, in_pairs, median_note, times
from benchmarks.subject import SETTLE_S, Cost, Subject, opened
from benchmarks.table import as_json, as_markdown, exit_status, head, machine, show
from greenbench.bench.context import Context, Options, open_context
from greenbench.core.errors import GreenbenchError
from greenbench.fleet.catalog import select

MODELS = ("resnet50", "mobilenet_v2", "bert_base")
TITLE = "Rates inside greenbench against a bare script's"
PASSES = 10
"""A stretch holds so many passes at least."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    asked = _parser().parse_args(arguments)
    host = machine()
    said = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.rates", *without_files(said)])
    state = Path(os.environ.get("GREENBENCH_STATE", STATE))
    options = Options(state=state, launcher="venv", device=asked.device)
    lines: list[Line] = []
    try:
        with open_context(options) as context:
            threads = asked.threads or max(1, context.view.physical_cores - 1)
            effort = Effort(pairs=asked.pairs, seconds=asked.seconds, patience=asked.patience)
            for spec in select(context.catalogue, asked.runtimes):
                lines += _of_runtime(context, spec.name, asked.models, threads, effort)
    except GreenbenchError as error:
        print(f"rates: {error}", file=sys.stderr)
        return error.exit_status
    show(lines, Console(), title=TITLE)
    about = f"batch 1, threads {threads}, the default mode of each runtime"
    if asked.md:
        asked.md.write_text(as_markdown(lines, head(host, command, about), title=TITLE))
    if asked.json:
        asked.json.write_text(json.dumps(as_json(lines, host, command), indent=1) + "\n")
    return exit_status(lines)


def without_files(arguments: Sequence[str]) -> list[str]:
    """Return what was asked for without where to write it, which is nobody else's."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if not skip and name not in {"--md", "--json"}:
            kept.append(argument)
        skip = not skip and name in {"--md", "--json"} and not equals
    return kept


def _of_runtime(
    context: Context, runtime: str, models: Sequence[str], threads: int, effort: Effort
) -> list[Line]:
    found, control = [], None
    for model in models:
        with opened(context, runtime, model, threads) as subject:
            subject.warm_up()
            pass_s = subject.script(max(effort.seconds, 1.0)).mean_s
            length = Effort(
                pairs=effort.pairs,
                patience=effort.patience,
                seconds=max(effort.seconds, SETTLE_S + PASSES * pass_s),
            )
            found += told([_rate(subject, f"{runtime}, {model}", length)])
            if control is None:
                (control,) = told([_control(subject, runtime, length, pass_s)])
    assert control is not None
    return [*doubted(found, control), control]


def _rate(subject: Subject, what: str, effort: Effort) -> Line:
    both = in_pairs(lambda: subject.server(effort.seconds), lambda: subject.script(effort.seconds), effort)
    return ratio_line(f"{what}: server / script", times(*both), note=median_note(*both))


def _control(subject: Subject, runtime: str, effort: Effort, pass_s: float) -> Line:
    def burning() -> Cost:
        return subject.script(effort.seconds, BURN * pass_s)

    both = in_pairs(burning, lambda: subject.script(effort.seconds), effort)
    return control_line(f"{runtime}: script with {BURN:.0%} burnt / script", times(*both), expected=BURN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=pairs_number, default=10, help="least pairs")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side of a pair, or ten passes")
    parser.add_argument("--patience", type=int, default=PATIENCE, help="most pairs, in times of --pairs")
    parser.add_argument("--runtimes", nargs="+", default=[], help="of the catalogue; all by default")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--threads", type=int, default=0, help="0: all physical cores but one")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures there")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write the table there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
