"""The command line: parse, call one function, render. Commands import late, so that ``--help`` is fast."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenbench.core.errors import ConfigurationError, GreenbenchError
from greenbench.interrupts import one_interrupt

if TYPE_CHECKING:
    from greenbench.bench.context import Options
    from greenbench.bench.run import RunRequest
    from greenbench.cluster.request import FleetRequest
    from greenbench.core.shard import Shard
    from greenbench.core.suite import Suite

INTERRUPTED = 130
LOCAL = ["localhost", "127.0.0.1"]

app = typer.Typer(
    name="greenbench",
    help="Joules and seconds of one inference, in every deep-learning runtime, on your own machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Launcher = Annotated[str, typer.Option("--launcher", help="auto, docker (sealed containers) or venv.")]
Device = Annotated[str, typer.Option("--device", help="auto, cuda or cpu.")]
BaseImage = Annotated[
    str | None,
    typer.Option(
        "--base-image", envvar="GREENBENCH_BASE_IMAGE", help="Image that runtime images start from."
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env", help="RUNTIME=PYTHON: adopt an environment that exists (venv launcher); repeatable."
    ),
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the suite; repeatable.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="KEY=VALUE,...: keep these cells; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
SuiteName = Annotated[str, typer.Argument(help="quick, ci, study, or a TOML file.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Parent of the run's folder.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the order of cells and of window phases.")]
CpuMeter = Annotated[
    str | None, typer.Option("--cpu-meter", help="powercap or pyrapl; by default as the suite says.")
]

ShardText = Annotated[
    str | None, typer.Option("--shard", help="I/N: the I-th of N parts, whole blocks (model x batch) each.")
]

DEFAULT_OUT = Path("results")


def main() -> None:
    """Run the command line; every error raised on purpose is one line on stderr and an exit status."""
    try:
        with one_interrupt():
            app()
    except GreenbenchError as err:
        _complain(str(err))
        sys.exit(err.exit_status)
    except KeyboardInterrupt:
        typer.echo("greenbench: interrupted; everything finished is kept", err=True)
        sys.exit(INTERRUPTED)


def _complain(sentence: str) -> None:
    from greenbench.report.visible import visible

    typer.echo(f"greenbench: {visible(sentence)}", err=True)


def _options(
    *,
    launcher: str = "auto",
    device: str = "auto",
    base_image: str | None = None,
    env: list[str] | None = None,
    suite: "Suite | None" = None,
    cpu_meter: str | None = None,
    push: str | None = None,
    pull: str | None = None,
) -> "Options":
    from greenbench.bench.context import Options
    from greenbench.fleet.exchange import exchange_of

    given = dict(suite.host.env) if suite else {}
    given |= dict(_pair(item) for item in env or ())
    state = os.environ.get("GREENBENCH_STATE")
    return Options(
        state=Path(state) if state else None,
        launcher=launcher,
        device=suite.host.device if suite and device == "auto" else device,
        gpu=suite.host.gpu if suite else 0,
        base_image=base_image,
        environments={name: Path(python) for name, python in given.items()},
        cpu_meter=cpu_meter or (suite.protocol.cpu_meter if suite else "powercap"),
        gpu_energy=suite.protocol.gpu_energy if suite else "counter",
        exchange=exchange_of(push=push, pull=pull),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name and value):
        raise ConfigurationError(f"--env {text!r} is not RUNTIME=PYTHON, such as pytorch=/opt/env/bin/python")
    return name, value


def _suite(name: str, settings: list[str] | None, only: list[str] | None) -> "Suite":
    from greenbench.bench.suites import load_suite
    from greenbench.core.settings import restricted, with_settings

    return restricted(with_settings(load_suite(name), settings or ()), only or ())


def _listening(work: Callable[[Any], Any]) -> Any:
    from rich.console import Console

    from greenbench.report.live import LiveObserver

    with LiveObserver(Console(stderr=True)) as observer:
        return work(observer)


def _screen() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _print_json(payload: object) -> None:
    import json

    typer.echo(json.dumps(payload, default=str))


@app.command()
def doctor(
    *,
    as_json: AsJson = False,
    calibrate: Annotated[bool, typer.Option("--calibrate")] = False,
    device: Device = "auto",
) -> None:
    """Check what this host can measure and run; say the remedy for what it can't."""
    from greenbench.bench.doctor import examine_host
    from greenbench.core.check import Level
    from greenbench.report.checks import checks_json, print_checks

    checks = examine_host(_options(device=device), calibrate=calibrate)
    _print_json(checks_json(checks)) if as_json else print_checks(checks, _screen())
    raise typer.Exit(int(any(check.level is Level.FAIL for check in checks)))


@app.command()
def up(
    runtimes: Annotated[
        list[str] | None, typer.Argument(help="Runtimes or builds; by default those of --suite, else all.")
    ] = None,
    *,
    launcher: Launcher = "auto",
    device: Device = "auto",
    base_image: BaseImage = None,
    env: Env = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Prepare what this suite needs.")] = None,
    settings: Settings = None,
    pull: Annotated[
        str | None,
        typer.Option(
            "--pull", metavar="REGISTRY|LIST", help="Take images from a registry, or by a list of --push."
        ),
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="REGISTRY", help="Push images; list them by digest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build images or environments, make models and conversions, prove parity. Idempotent."""
    from greenbench.bench.context import open_context
    from greenbench.bench.provision import needs_of, provision, runtimes_of
    from greenbench.report.provision import print_up, up_json

    wanted = _suite(suite or "quick", settings, None)
    with open_context(
        _options(
            launcher=launcher,
            device=device,
            base_image=base_image,
            env=env,
            suite=wanted,
            pull=pull,
            push=push,
        )
    ) as context:
        needs = needs_of(wanted, context.view, every_model=suite is None and not settings)
        names = runtimes or (runtimes_of(wanted, context.catalogue) if suite else ())
        report = _listening(lambda observer: provision(context, names, needs, observer))
    _print_json(up_json(report.builds, report.proofs)) if as_json else print_up(
        report.builds, report.proofs, _screen()
    )
    raise typer.Exit(0 if report.proven else 1)


@app.command()
def plan(
    suite: SuiteName = "quick",
    *,
    settings: Settings = None,
    only: Only = None,
    rounds: Annotated[int | None, typer.Option("--rounds")] = None,
    windows: Annotated[int | None, typer.Option("--windows")] = None,
    seed: Seed = 0,
    launcher: Launcher = "auto",
    device: Device = "auto",
    env: Env = None,
    shard: ShardText = None,
    as_json: AsJson = False,
) -> None:
    """Show the cells in order, what is left out and why, and about how long it takes."""
    from greenbench.bench.context import open_context
    from greenbench.bench.planning import make_plan
    from greenbench.bench.run import durations_of
    from greenbench.report.plan import plan_json, print_plan

    wanted = _suite(suite, _counted(settings, rounds, windows), only)
    with open_context(_options(launcher=launcher, device=device, env=env, suite=wanted)) as context:
        made = make_plan(wanted, context.catalogue, context.view, seed=seed, shard=_shard(shard))
        seconds = durations_of(context).run_s(made.loads, made.protocol)
        known = all(durations_of(context).known(cell) for cell in made.cells)
    _print_json(plan_json(made, seconds)) if as_json else print_plan(made, seconds, measured_before=known)


def _shard(text: str | None) -> "Shard | None":
    from greenbench.core.shard import parse_shard

    return parse_shard(text) if text is not None else None


def _aimed(target_u: str | None, rounds: int | None) -> list[str]:
    from greenbench.core.share import parse_share

    if target_u is None:
        return []
    if rounds is not None:
        raise ConfigurationError("--target-u fixes the number of rounds itself; leave --rounds out")
    return [f"protocol.target_u={parse_share(target_u, option='--target-u')}"]


def _counted(settings: list[str] | None, rounds: int | None, windows: int | None) -> list[str]:
    counted = list(settings or ())
    counted += [f"protocol.rounds={rounds}"] if rounds is not None else []
    counted += [f"protocol.windows={windows}"] if windows is not None else []
    return counted


@app.command()
def run(
    suite: SuiteName = "quick",
    *,
    settings: Settings = None,
    only: Only = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Independent repeats.")] = None,
    windows: Annotated[int | None, typer.Option("--windows", help="Windows per load.")] = None,
    seed: Seed = 0,
    out: OutFolder = DEFAULT_OUT,
    resume: Annotated[str | None, typer.Option("--resume", help="Continue this run (id or folder).")] = None,
    launcher: Launcher = "auto",
    device: Device = "auto",
    env: Env = None,
    target_u: Annotated[
        str | None, typer.Option("--target-u", help="Rounds for this 95% interval, after a pilot: 1%.")
    ] = None,
    rigorous: Annotated[
        bool, typer.Option("--rigorous", help="60 s windows, baselines on both sides.")
    ] = False,
    estimate_cpu: Annotated[
        bool, typer.Option("--estimate-cpu", help="Estimate CPU energy by a model.")
    ] = False,
    cpu_meter: CpuMeter = None,
    shard: ShardText = None,
    fleet_node: Annotated[
        str | None, typer.Option("--fleet-node", envvar="GREENBENCH_FLEET_NODE", hidden=True)
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="local, or ray: the hosts of a cluster.")] = "local",
    address: Annotated[str | None, typer.Option("--address", help="HOST:PORT of Ray's head.")] = None,
    replicate: Annotated[
        str | None, typer.Option("--replicate", help="per-gpu-model: each kind of host measures each block.")
    ] = None,
    gpu_model: Annotated[
        str | None, typer.Option("--gpu-model", help="With ray: only hosts whose GPU's name holds this.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a suite: joules and seconds per runtime, kept on disk trial by trial."""
    from greenbench.bench.context import open_context
    from greenbench.bench.run import RunRequest, resumed_request, run_suite
    from greenbench.bench.schedule import exit_status
    from greenbench.cluster.choice import check_engine, resumed_fleet
    from greenbench.report.outcome import outcome_json, print_outcome
    from greenbench.results.runs import find_run

    fleet = {"--address": address, "--replicate": replicate, "--gpu-model": gpu_model}
    alone = {"--shard": shard, "--target-u": target_u, "--estimate-cpu": estimate_cpu}
    on_ray = check_engine(engine, only_ray=fleet, only_local=alone | {"--env": env, "--json": as_json})
    if resume is not None:
        own: dict[str, object] = {"--replicate": replicate, "--gpu-model": gpu_model}
        own |= {"--launcher": launcher != "auto", "--device": device != "auto"}
        if interrupted := resumed_fleet(resume, out, on_ray=on_ray, own=own):
            _run_fleet(interrupted, address, resume=True)
        request = resumed_request(find_run(resume, out), estimate_cpu=estimate_cpu)
    else:
        extra = ["protocol.window_s=60", "protocol.rigorous=true"] if rigorous else []
        extra += _aimed(target_u, rounds)
        wanted = _suite(suite, [*extra, *_counted(settings, rounds, windows)], only)
        request = RunRequest(
            suite=wanted,
            seed=seed,
            out=out,
            estimate_cpu=estimate_cpu,
            shard=_shard(shard),
            fleet_node=fleet_node,
        )
    if on_ray:
        asked = {"launcher": launcher, "device": device, "gpu_model": gpu_model, "replicate": bool(replicate)}
        _run_fleet(_fleet_request(request, **asked), address)
    options = _options(launcher=launcher, device=device, env=env, suite=request.suite, cpu_meter=cpu_meter)
    with open_context(options) as context:
        typer.echo(context.choice.sentence, err=True)
        outcome = _listening(lambda observer: run_suite(context, request, observer))
    _print_json(outcome_json(outcome.folder)) if as_json else print_outcome(outcome.folder)
    _say_page(outcome.folder, silent=as_json)
    raise typer.Exit(exit_status(outcome.trials))


def _fleet_request(request: "RunRequest", **asked: Any) -> "FleetRequest":
    from greenbench.cluster.request import FleetRequest
    from greenbench.results.events import utc_now
    from greenbench.results.runs import new_run_id

    run_id = new_run_id(request.suite.name, utc_now())
    return FleetRequest(suite=request.suite, seed=request.seed, out=request.out, run_id=run_id, **asked)


def _run_fleet(fleet: "FleetRequest", address: str | None, *, resume: bool = False) -> None:
    from greenbench.cluster.engine import measure_fleet
    from greenbench.cluster.ray_hosts import ray_hosts

    typer.echo(f"run {fleet.run_id}; interrupted, go on with --engine ray --resume {fleet.run_id}", err=True)
    with ray_hosts(address) as hosts:
        outcome = _listening(lambda observer: measure_fleet(hosts, fleet, observer, resume=resume))
    for note in (*outcome.notes, *outcome.missing):
        _complain(note)
    for folder in outcome.folders:
        _say_page(folder, silent=False)
        typer.echo(folder)
    raise typer.Exit(int(bool(outcome.missing)))


def _say_page(folder: Path, *, silent: bool) -> None:
    """Write the run's page and say where it is; a page that fails is one line and fails no run."""
    from greenbench.report.telling import write_page

    page, problems = write_page(folder)
    for problem in problems:
        _complain(problem)
    if page and not silent:
        typer.echo(f"report: {page}")


@app.command()
def status(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; the newest.")
    ] = None,
    *,
    out: OutFolder = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Show what is running or ran, from the event log."""
    from greenbench.report.status import print_status, status_json
    from greenbench.results.runs import find_run, newest_run

    folder = find_run(run_id, out) if run_id else newest_run(out)
    _print_json(status_json(folder)) if as_json else print_status(folder)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids or folders of runs.")],
    *,
    html: Annotated[Path | None, typer.Option("--html", help="One page that needs no network.")] = None,
    markdown: Annotated[Path | None, typer.Option("--md", help="Tables as Markdown.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Every cell, full digits, SI units.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="Tables for booktabs.")] = None,
    figures: Annotated[Path | None, typer.Option("--figures", help="Folder of SVG, PNG and PDF.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Write anew until the runs have ended.")] = False,
    carbon: Annotated[
        float | None, typer.Option("--carbon-intensity", min=0.0, help="g CO2e/kWh, to convert by.")
    ] = None,
    price: Annotated[float | None, typer.Option("--price", min=0.0, help="Of a kWh, likewise.")] = None,
    out: OutFolder = DEFAULT_OUT,
) -> None:
    """Tell what runs found: on the terminal, as a page, as tables, as pictures."""
    from greenbench.report.publish import Outputs
    from greenbench.report.tariff import Tariff
    from greenbench.report.telling import tell
    from greenbench.results.runs import find_run

    outputs = Outputs(html=html, markdown=markdown, csv=csv, latex=latex, figures=figures)
    tariff = Tariff(carbon_g_per_kwh=carbon, price_per_kwh=price)
    if tariff.given and outputs.wanted and not outputs.worded:
        raise ConfigurationError(
            "--carbon-intensity and --price are in no picture; "
            "add --html, --md, --csv or --latex, or leave --figures out"
        )
    problems = tell([find_run(run, out) for run in runs], outputs, tariff, watch=watch)
    for problem in problems:
        _complain(problem)
    raise typer.Exit(int(bool(problems)))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="RUN or RUN:KEY=VALUE,...: the side that is 1.")],
    b: Annotated[str, typer.Argument(metavar="B", help="RUN or RUN:KEY=VALUE,...")],
    *,
    anyway: Annotated[bool, typer.Option("--anyway", help="Give refused figures too.")] = False,
    out: OutFolder = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Compare two runs, or two selections of a run, cell by cell."""
    from greenbench.report.compared import comparison_json, print_comparison
    from greenbench.report.comparison import compare as compared
    from greenbench.report.comparison import open_side

    found = compared(open_side(a, out), open_side(b, out), anyway=anyway)
    _print_json(comparison_json(found)) if as_json else print_comparison(found, _screen())
    raise typer.Exit(int(not found.cells or any(cell.refused for cell in found.cells)))


@app.command()
def gate(
    b: Annotated[str, typer.Argument(metavar="B", help="The new run: RUN or RUN:KEY=VALUE,...")],
    *,
    baseline: Annotated[str, typer.Option("--baseline", help="RUN or RUN:KEY=VALUE,...")],
    max_regression: Annotated[str, typer.Option("--max-regression", help="5% or 0.05.")] = "5%",
    out: OutFolder = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Pass (0), regressed (1), inconclusive (3) or invalid (4), by each cell's J/sample, else its time."""
    from greenbench.core.share import parse_share
    from greenbench.report.compared import gate_json, print_gate
    from greenbench.report.comparison import compare as compared
    from greenbench.report.comparison import open_side
    from greenbench.report.gate import EXIT_STATUS
    from greenbench.report.gate import gate as judged

    limit = parse_share(max_regression, option="--max-regression")
    found = judged(compared(open_side(baseline, out), open_side(b, out)), limit=limit)
    _print_json(gate_json(found)) if as_json else print_gate(found, _screen())
    raise typer.Exit(EXIT_STATUS[found.outcome])


@app.command()
def verify(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; the newest.")
    ] = None,
    *,
    out: OutFolder = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Check a run against itself: digests, completeness, order, every window from its raw readings."""
    from greenbench.bench.verify import verify_run
    from greenbench.report.verified import findings_json, print_findings
    from greenbench.results.runs import find_run, newest_run

    done = verify_run(find_run(run_id, out) if run_id else newest_run(out))
    if as_json:
        _print_json(findings_json(done.findings, done.notes, trials=done.trials, head=done.head))
    else:
        print_findings(done.findings, done.notes, trials=done.trials, head=done.head, console=_screen())
    raise typer.Exit(int(bool(done.findings)))


@app.command()
def query(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id or folder.")],
    sql: Annotated[str, typer.Argument(help="DuckDB's SQL over the views of docs/report.md.")],
    *,
    out: OutFolder = DEFAULT_OUT,
    as_json: AsJson = False,
) -> None:
    """Ask a run in SQL: trials, baselines, readings, iterations, doubts, absent, power."""
    from greenbench.report.queried import print_rows_found, query_run, rows_json
    from greenbench.results.runs import find_run

    rows, damaged = query_run(find_run(run, out), sql)
    _print_json(rows_json(rows)) if as_json else print_rows_found(rows, _screen())
    for problem in damaged:
        _complain(problem)
    raise typer.Exit(int(bool(damaged)))


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id or folder.")],
    *,
    to: Annotated[Path | None, typer.Option("--to", help="Folder; RUN/export by default.")] = None,
    suffix: Annotated[str, typer.Option("--format", help="csv, json or parquet.")] = "csv",
    out: OutFolder = DEFAULT_OUT,
) -> None:
    """Write a run's tables as files that other programs read."""
    from greenbench.report.queried import export_run
    from greenbench.results.runs import find_run

    folder = find_run(run, out)
    files, damaged = export_run(folder, to or folder / "export", suffix=suffix)
    for file in files:
        typer.echo(file)
    for problem in damaged:
        _complain(problem)
    raise typer.Exit(int(bool(damaged)))


@app.command()
def merge(
    merged: Annotated[Path, typer.Argument(metavar="OUT", help="The merged run's folder; not there yet.")],
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids or folders of the shards.")],
    *,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Join although shards are missing or unfinished.")
    ] = False,
    out: OutFolder = DEFAULT_OUT,
) -> None:
    """Join the shards of one plan into one run, which names the host of every row."""
    from greenbench.results.merge import merge_shards
    from greenbench.results.runs import find_run

    joined = merge_shards([find_run(run, out) for run in runs], merged, allow_incomplete=allow_incomplete)
    for note in joined.notes:
        _complain(note)
    typer.echo(joined.folder)


@app.command()
def serve(
    runtime: Annotated[str, typer.Argument(help="Which runtime.")],
    *,
    address: Annotated[str | None, typer.Option("--address", help="unix:PATH or HOST:PORT.")] = None,
    certs: Annotated[
        Path | None, typer.Option("--certs", help="Folder of `greenbench certs`: mutual TLS on HOST:PORT.")
    ] = None,
    model: Annotated[str, typer.Option("--model")] = "resnet50",
    batch: Annotated[int, typer.Option("--batch")] = 1,
    launcher: Launcher = "auto",
    device: Device = "auto",
    env: Env = None,
    settings: Settings = None,
) -> None:
    """Serve one runtime, loaded, in the foreground, for any Open Inference Protocol client."""
    from greenbench.bench.context import open_context
    from greenbench.bench.serve import serve_runtime

    chosen = [f"model={model}", f"batch_size={batch}", *(settings or ())]
    wanted = _suite("quick", chosen, None)
    with open_context(_options(launcher=launcher, device=device, env=env, suite=wanted)) as context:
        say = partial(typer.echo, err=True)
        serve_runtime(context, runtime, wanted, address=address, certs=certs, say=say)


@app.command()
def certs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the five files go.")],
    *,
    host: Annotated[list[str], typer.Option("--host", help="What clients connect to; repeatable.")] = LOCAL,
    days: Annotated[int, typer.Option("--days", min=1, max=825, help="How long they hold.")] = 30,
) -> None:
    """Make certificates for `serve --certs`: an authority, a server's, a client's."""
    from datetime import UTC, datetime

    from greenbench.fleet.certificates import make_certificates

    for file in make_certificates(folder, host, days=days, now=datetime.now(UTC)):
        typer.echo(file)


@app.command()
def models(*, as_json: AsJson = False) -> None:
    """List the models that are known, prepared and converted."""
    from greenbench.bench.inventory import known_models
    from greenbench.report.inventory import print_rows

    rows = known_models(_options())
    _print_json(rows) if as_json else print_rows(rows, _screen(), title="models")


@app.command()
def runtimes(
    *, launcher: Launcher = "auto", device: Device = "auto", env: Env = None, as_json: AsJson = False
) -> None:
    """List the runtimes that are known, built and proven."""
    from greenbench.bench.inventory import known_runtimes
    from greenbench.report.inventory import print_rows

    rows = known_runtimes(_options(launcher=launcher, device=device, env=env))
    _print_json(rows) if as_json else print_rows(rows, _screen(), title="runtimes")


@app.command()
def down(
    *,
    images: Annotated[bool, typer.Option("--images", help="Remove images and environments too.")] = False,
    launcher: Launcher = "auto",
) -> None:
    """Stop and remove what `up` made."""
    from greenbench.bench.inventory import take_down

    for sentence in take_down(_options(launcher=launcher), images=images):
        typer.echo(sentence)


if __name__ == "__main__":
    main()
