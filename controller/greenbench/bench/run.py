"""`greenbench run`: from a suite to a folder of results."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from greenbench import __version__
from greenbench.bench.context import Context
from greenbench.bench.cpu_route import cpu_by_sidecar
from greenbench.bench.doctor import fit_to_run
from greenbench.bench.durations import Durations
from greenbench.bench.environment import environment_of
from greenbench.bench.instruments import Instruments
from greenbench.bench.planning import blocks_in, make_plan
from greenbench.bench.prepared import builds_of, need_models
from greenbench.bench.rows import RunIdentity
from greenbench.bench.schedule import Bench, execute, same_plan
from greenbench.core.errors import ConfigurationError
from greenbench.core.plan import Plan
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.shard import Shard, plan_sha256
from greenbench.core.suite import SOURCES, Suite, parse_suite
from greenbench.core.trial import Trial
from greenbench.core.workload import weights_origin
from greenbench.energy.calibrate import counter_period
from greenbench.energy.estimate import BAND, ESTIMATE_FACTS
from greenbench.energy.validity import limits_from
from greenbench.fleet.lease import StateLease
from greenbench.results.events import utc_now
from greenbench.results.folder import RunFolder
from greenbench.results.host import git_commit, host_facts
from greenbench.results.manifest import (
    GpuEntry,
    LeftOutEntry,
    Manifest,
    RefusalEntry,
    RuntimeEntry,
    ShardEntry,
    ThresholdEntry,
)
from greenbench.results.runs import new_run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What `greenbench run` is asked for.

    Attributes:
        suite: As resolved from file, ``--set`` and ``--only``.
        seed: Of the order and of the windows' phases.
        out: Parent of the run's folder.
        resume: Folder of a run to continue; None for a new one.
        estimate_cpu: Fill ``energy_cpu_estimated_j``.
        shard: Which part of the plan; None for all of it.
        fleet_node: The node that measures, as a fleet or a scheduler names it; None without one.
    """

    suite: Suite
    seed: int
    out: Path
    resume: Path | None = None
    estimate_cpu: bool = False
    shard: Shard | None = None
    fleet_node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a run came to.

    Attributes:
        folder: Where everything is.
        plan: What was asked for and left out.
        trials: Every row.
    """

    folder: Path
    plan: Plan
    trials: tuple[Trial, ...]


def run_suite(context: Context, request: RunRequest, observer: Observer) -> RunOutcome:
    """Measure a suite on this host.

    Args:
        context: The host's launcher, meters and state.
        request: What to measure.
        observer: Hears of progress.

    Returns:
        The outcome; on disk as well, complete.

    Raises:
        ConfigurationError: Nothing is left to measure, or the run to resume was planned otherwise.
        NotBuiltError: `greenbench up` has not made what the plan needs.
        StateLockedError: Another run measures on this host.
        FleetError: A runtime that does not even describe itself.
    """
    with StateLease(context.state, purpose=f"greenbench run {request.suite.name}"):
        # Before anything is measured: what a dead controller left would be in the idle host's watts.
        for name in context.house.launcher.end_leftovers():
            observer.note(f"stopped {name}, left by a controller that is gone")
        with cpu_by_sidecar(context, observer) as equipped:
            return _run(equipped, request, observer)


def _run(context: Context, request: RunRequest, observer: Observer) -> RunOutcome:
    plan = make_plan(request.suite, context.catalogue, context.view, seed=request.seed, shard=request.shard)
    _need_loads(plan, request)
    need_models(context.house, plan)
    instruments = _instruments(context, request.suite, observer)
    if request.estimate_cpu:
        observer.note(
            f"energy_cpu_estimated_j is a model's, good to +-{BAND:.0%}; no total or comparison uses it"
        )
    amiss = fit_to_run(context, instruments.limits, observer)
    with _folder(context, request, plan, instruments, observer) as folder:
        for check in amiss:
            folder.log("check", name=check.name, level=check.level, figure=check.figure)
        identity = RunIdentity(
            run_id=folder.run_id,
            host_id=folder.manifest().host["host_id"],
            gpu_uuid=context.house.gpu_uuid,
            estimate_cpu=request.estimate_cpu,
        )
        bench = Bench(
            house=context.house,
            instruments=instruments,
            folder=folder,
            identity=identity,
            durations=durations_of(context),
            observer=observer,
            environment=environment_of(folder.manifest()),
        )
        return RunOutcome(folder=folder.path, plan=plan, trials=execute(bench, plan))


def _need_loads(plan: Plan, request: RunRequest) -> None:
    if not plan.loads:
        reasons = "; ".join(f"{item.cell}: {item.reason}" for item in plan.left_out)
        which = f"shard {request.shard.label} of suite" if request.shard else "suite"
        raise ConfigurationError(f"{which} {request.suite.name!r} has no cell that runs here ({reasons})")


def durations_of(context: Context) -> Durations:
    """Return what loads took before, by launcher."""
    path = context.state.root / f"durations-{context.house.launcher.name}.json"
    return Durations(path, idles=bool(context.meters.domains))


def _instruments(context: Context, suite: Suite, observer: Observer) -> Instruments:
    if any(sensor.dense for sensor in context.meters.sensors):
        observer.step("calibrating the energy counter")
    period = counter_period(context.meters, context.state.calibration)
    return Instruments(
        meters=context.meters, sensor_period_s=period or 0.0, limits=limits_from(suite.validity)
    )


def _folder(
    context: Context, request: RunRequest, plan: Plan, instruments: Instruments, observer: Observer
) -> RunFolder:
    if request.resume is None:
        manifest = _manifest(context, request, plan, instruments, observer)
        return RunFolder.create(request.out, manifest.run_id, manifest)
    folder = RunFolder.resume(request.resume, request.out)
    stored = folder.manifest().order
    same_plan(plan, stored if plan.protocol.target_u is None else stored[: len(plan.loads)])
    folder.log("run_resumed", pid=os.getpid())
    return folder


def _manifest(
    context: Context, request: RunRequest, plan: Plan, instruments: Instruments, observer: Observer
) -> Manifest:
    now = utc_now()
    period = instruments.sensor_period_s
    return Manifest(
        run_id=new_run_id(request.suite.name, now),
        created_utc=now.isoformat(),
        greenbench_version=__version__,
        git_commit=git_commit(),
        suite=request.suite.as_mapping(),
        suite_sha256=request.suite.sha256,
        seed=request.seed,
        plan_sha256=plan_sha256(request.suite, seed=request.seed, device=context.house.device),
        shard=_shard(request),
        fleet_node=request.fleet_node,
        order=tuple(load.load_id for load in plan.loads),
        left_out=tuple(LeftOutEntry(cell=item.cell, reason=item.reason) for item in plan.left_out),
        refused_conversions=_refusals(context, request),
        host=host_facts()
        | {"meters": _plain(context.meters.facts), "energy_scope": context.meters.scope}
        | ({"energy_cpu_estimated": ESTIMATE_FACTS} if request.estimate_cpu else {}),
        device=context.house.device,
        gpu=_gpu(context),
        sensor_periods_s={"counter": period} if period else {},
        absent={item.domain: item.reason for item in context.meters.absent},
        runtimes={
            spec.name: _runtime(context, spec, observer) for spec in builds_of(plan, context.catalogue)
        },
        thresholds={
            rule.value: ThresholdEntry(**asdict(limits)) for rule, limits in instruments.limits.items()
        },
    )


def _shard(request: RunRequest) -> ShardEntry | None:
    if request.shard is None:
        return None
    blocks = blocks_in(request.suite, request.shard, seed=request.seed)
    return ShardEntry(
        index=request.shard.index,
        count=request.shard.count,
        blocks=tuple(block.block_id for block in blocks),
    )


def _refusals(context: Context, request: RunRequest) -> tuple[RefusalEntry, ...]:
    asked = request.suite
    origins = {
        weights_origin(weights, source, asked.models.weights_from)
        for weights, source in product(asked.matrix.weights, SOURCES)
    }
    return tuple(
        RefusalEntry(model=model, source=source, sequence_length=sequence_length, reason=reason)
        for (model, source, origin, sequence_length), reason in context.view.refused.items()
        if origin in origins
    )


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(facts), default=str))
    return plain


def _gpu(context: Context) -> GpuEntry | None:
    facts = context.meters.facts.get("gpu")
    if not facts:
        return None
    return GpuEntry(
        uuid=facts["uuid"],
        name=facts["name"],
        driver=facts["driver"],
        architecture=facts.get("architecture"),
        memory_b=facts.get("memory_b"),
    )


def _runtime(context: Context, spec: RuntimeSpec, observer: Observer) -> RuntimeEntry:
    observer.step(f"asking {spec.name} what it is")
    with context.house.running(spec.family, next(iter(spec.modes)) if spec.build_of else None) as running:
        build, says = running.instance.build, running.description
    adopted = context.options.environments.get(spec.name)
    return RuntimeEntry(
        launcher=build.launcher,
        image_digest=build.identity if build.launcher == "docker" else None,
        image_reference=build.reference,
        lock_sha256=build.requirements_sha256,
        python=says.python,
        packages=dict(build.packages) | dict(says.versions),
        adopted=str(adopted) if adopted else None,
    )


def resumed_request(folder: Path, *, estimate_cpu: bool = False) -> RunRequest:
    """Rebuild the request of a stored run, for ``--resume``.

    Args:
        folder: The run's folder.
        estimate_cpu: As in `RunRequest`.

    Raises:
        ConfigurationError: It is a merged run.
        DamagedResultsError: Its manifest cannot be read.
    """
    with RunFolder.open(folder, folder.parent) as stored:
        manifest = stored.manifest()
    if manifest.shards:
        raise ConfigurationError(f"{folder} is merged from shards; resume the shard, then merge again")
    entry = manifest.shard
    return RunRequest(
        suite=parse_suite(manifest.suite, origin=str(folder / "manifest.json")),
        seed=manifest.seed,
        out=folder.parent,
        resume=folder,
        estimate_cpu=estimate_cpu,
        shard=Shard(index=entry.index, count=entry.count) if entry else None,
    )
