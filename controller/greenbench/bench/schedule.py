"""The loop over a plan: baselines, loads, trials made durable one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from greenbench.bench.baseline import measure_baseline
from greenbench.bench.basis import BASIS, basis_fields
from greenbench.bench.breaker import Breaker, worth_another_try
from greenbench.bench.durations import Durations
from greenbench.bench.environment import Environment, sleep_of_host
from greenbench.bench.house import House
from greenbench.bench.instruments import Instruments
from greenbench.bench.rest import Rest
from greenbench.bench.rounds import fix_rounds
from greenbench.bench.rows import RunIdentity, blank_row, net_of_host, parity_row, rows_of
from greenbench.bench.trial import MeasuredLoad, measure_load
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.errors import (
    ConfigurationError,
    EngineUnavailableError,
    FleetError,
    HopelessRunError,
    MeterError,
)
from greenbench.core.plan import Plan, PlannedLoad
from greenbench.core.progress import Observer
from greenbench.core.trial import Baseline, Trial
from greenbench.core.units import seconds_from_ns
from greenbench.energy.recorder import Recorder
from greenbench.results.cells import last_attempts
from greenbench.results.folder import RunFolder
from greenbench.results.parts import IterationTable

START_BAND = "start_band"
"""Event of the pilot round: the lowest temperature at which a load has begun, for a run that is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that a run works with.

    Attributes:
        house: Starts runtimes.
        instruments: Meters, limits, clock.
        folder: Where results go.
        identity: What every row repeats.
        durations: What earlier loads took, for the time that is left.
        observer: Hears of progress.
        environment: What the run began in, and every load is compared with.
    """

    house: House
    instruments: Instruments
    folder: RunFolder
    identity: RunIdentity
    durations: Durations
    observer: Observer
    environment: Environment = Environment()  # noqa: RUF009 - frozen


def execute(bench: Bench, plan: Plan) -> tuple[Trial, ...]:
    """Measure every load of a plan that its folder does not hold yet.

    A failed load is stored as a failed trial and tried once more; then the run goes on, unless load after
    load fails. Interrupted at any moment, everything finished is on disk and `greenbench run --resume`
    continues.

    Args:
        bench: What to work with.
        plan: What to measure.

    Returns:
        Every trial of the run, columns net of B0 filled in.

    Raises:
        HopelessRunError: Load after load failed; everything finished is kept.
        EngineUnavailableError: The Docker Engine went away; everything finished is kept.
    """
    try:
        _measure_all(bench, plan)
    except (KeyboardInterrupt, HopelessRunError, EngineUnavailableError):
        _finish(bench, interrupted=True)
        raise
    return _finish(bench, interrupted=False)


def _measure_all(bench: Bench, plan: Plan) -> None:
    known = (float(event["lowest_c"]) for event in bench.folder.events(START_BAND))
    rest = Rest(cap_s=plan.protocol.rest_cap_s, lowest_c=min(known, default=None))
    before = len(bench.folder.finished_loads())
    measured_ns = _measure_rounds(bench, plan, rest, _host_baseline(bench, plan))
    whole = fix_rounds(bench.folder, plan, bench.observer)
    _measure_rounds(bench, whole, rest, measured_ns)
    if plan.protocol.baseline_every_s and len(bench.folder.finished_loads()) > before:
        _host_baseline(bench, plan)


def _measure_rounds(bench: Bench, plan: Plan, rest: Rest, measured_ns: int) -> int:
    """Measure the loads of a plan that are not on disk yet; return when B0 was measured last."""
    finished = bench.folder.finished_loads()
    waiting = [load for load in plan.loads if load.load_id not in finished]
    breaker = Breaker()
    for number, load in enumerate(waiting):
        _give_up_where_hopeless(bench, breaker, waiting[number:])
        age_s = seconds_from_ns(bench.instruments.clock() - measured_ns)
        if 0 < plan.protocol.baseline_every_s < age_s:
            measured_ns = _host_baseline(bench, plan)
        bench.observer.load_started(
            load,
            done=len(plan.loads) - len(waiting) + number,
            total=len(plan.loads),
            remaining_s=bench.durations.total_s(waiting[number:], plan.protocol),
        )
        breaker.ended(load.cell.runtime, _one_load(bench, plan, load, rest))
    return measured_ns


def _give_up_where_hopeless(bench: Bench, breaker: Breaker, waiting: Sequence[PlannedLoad]) -> None:
    try:
        breaker.check(load.cell.runtime for load in waiting)
    except HopelessRunError as err:
        bench.folder.log("run_hopeless", reason=str(err))
        raise


def _host_baseline(bench: Bench, plan: Plan) -> int:
    instruments = bench.instruments
    if instruments.meters.domains:
        bench.observer.step("measuring the idle host (B0)")
    with Recorder(
        instruments.meters.sensors,
        clock=instruments.clock,
        seed=plan.seed,
        sensor_period_s=instruments.sensor_period_s,
    ) as recorder:
        baselines = measure_baseline(
            recorder,
            instruments.meters,
            kind="B0",
            load_id=None,
            length_s=plan.protocol.baseline_host_s,
            sensor_period_s=instruments.sensor_period_s,
            clock=instruments.clock,
            sleep=instruments.sleep,
        )
        series = tuple(recorder.record().values())
    bench.folder.add_baselines(baselines, series if baselines else ())
    return instruments.clock()


def _one_load(bench: Bench, plan: Plan, load: PlannedLoad, rest: Rest) -> str | None:
    """Measure a load, once more where it fails; return why it failed in the end."""
    while True:
        try:
            return _one_attempt(bench, plan, load, rest)
        except _TryAgainError as again:
            bench.observer.note(f"{load.load_id} failed and is tried again: {again}")


class _TryAgainError(Exception):
    """An attempt failed and is on disk as such."""


def _one_attempt(bench: Bench, plan: Plan, load: PlannedLoad, rest: Rest) -> str | None:
    attempt = bench.folder.start_load(load.load_id, position=load.position)
    generator = Random(f"{plan.seed} {load.load_id} {attempt}")  # noqa: S311 - phases, not secrets
    slept_s, day_s = bench.instruments.suspended(), bench.instruments.time_of_day()
    try:
        measured = measure_load(
            bench.house,
            bench.instruments,
            load,
            plan.protocol,
            rest=rest,
            generator=generator,
            observer=bench.observer,
        )
    except EngineUnavailableError as err:
        # No fault of the load: it is left to do, and none after it could be done.
        bench.folder.log("engine_lost", load_id=load.load_id, attempt=attempt, reason=str(err))
        raise
    except (FleetError, MeterError) as err:
        row = blank_row(bench.identity, load, attempt=attempt, window=1)
        row = replace(row, failure=str(err), absent=bench.instruments.meters.absent)
        failed = [trial for trial in bench.folder.trials() if trial.load_id == load.load_id and trial.failure]
        if worth_another_try(err, failed=1 + len(failed)):
            _store(bench, row)
            raise _TryAgainError(str(err)) from err
        _keep(bench, load, attempt, (row,))
        return str(err)
    if load.round == 1 and rest.lowest_c is not None:
        bench.folder.log(START_BAND, lowest_c=rest.lowest_c)
    slept_s = bench.instruments.suspended() - slept_s
    stepped_s = bench.instruments.time_of_day() - day_s
    measured = _in_its_environment(bench, load, measured, slept_s=slept_s, stepped_s=stepped_s)
    bench.folder.add_parity(parity_row(load.cell, measured))
    bench.folder.add_raw(
        load.load_id,
        attempt=attempt,
        iterations=IterationTable(load_id=load.load_id, end_ns=measured.ends_ns),
        readings=tuple(measured.record.values()) if measured.record else (),
    )
    if measured.record:
        said = basis_fields(measured.record, bench.instruments, measured.windows)
        said |= {"doubts": measured.doubts, "occupied_ns": measured.occupied_ns}
        bench.folder.log(BASIS, load_id=load.load_id, attempt=attempt, **said)
    bench.folder.add_baselines(measured.baselines)
    _keep(bench, load, attempt, rows_of(bench.identity, load, measured, bench.instruments, attempt=attempt))
    bench.durations.learn(load.cell, plan.protocol, measured.elapsed_s)
    return None


def _in_its_environment(
    bench: Bench, load: PlannedLoad, measured: MeasuredLoad, *, slept_s: float = 0.0, stepped_s: float = 0.0
) -> MeasuredLoad:
    meters, limits = bench.instruments.meters, bench.instruments.limits
    changed = (
        *bench.environment.changes(load.cell.runtime, measured.build, meters.conditions()),
        *sleep_of_host(slept_s),
    )
    if changed:
        bench.observer.note(f"{load.load_id}: {'; '.join(changed)}")
        bench.folder.log("environment_changed", load_id=load.load_id, changes=list(changed))
    found = (
        limits[Rule.ENVIRONMENT_CHANGED].judge(Rule.ENVIRONMENT_CHANGED, len(changed)),
        limits[Rule.CLOCK_STEPPED].judge(Rule.CLOCK_STEPPED, abs(stepped_s)),
        limits[Rule.MIG].judge(Rule.MIG, float(bool((meters.facts.get("gpu") or {}).get("mig")))),
    )
    return replace(measured, doubts=(*measured.doubts, *(doubt for doubt in found if doubt)))


def _keep(bench: Bench, load: PlannedLoad, attempt: int, rows: tuple[Trial, ...]) -> None:
    # A run killed between two windows of a load keeps the first; the new attempt adds only the second.
    there = {
        trial.window for trial in bench.folder.trials() if trial.load_id == load.load_id and trial.begin_ns
    }
    for row in rows:
        if row.window not in there:
            _store(bench, row)
    bench.folder.finish_load(load.load_id, attempt=attempt)


def _store(bench: Bench, row: Trial) -> None:
    bench.folder.add_trial(row)
    bench.observer.trial_ended(row)


def _finish(bench: Bench, *, interrupted: bool) -> tuple[Trial, ...]:
    def derive(trials: tuple[Trial, ...], baselines: tuple[Baseline, ...]) -> tuple[Trial, ...]:
        return tuple(net_of_host(trial, baselines, bench.instruments.limits) for trial in trials)

    bench.folder.finish(interrupted=interrupted, derive=derive)
    return derive(bench.folder.trials(), bench.folder.baselines())


def exit_status(trials: Sequence[Trial]) -> int:
    """Return 0 where nothing is invalid or failed, each window by its last attempt; else 1."""
    return int(any(trial.verdict in {Verdict.INVALID, Verdict.FAILED} for trial in last_attempts(trials)))


def same_plan(plan: Plan, stored: Sequence[str]) -> None:
    """Refuse to resume a run under another plan.

    Raises:
        ConfigurationError: The stored order differs from the plan's.
    """
    if [load.load_id for load in plan.loads] != list(stored):
        raise ConfigurationError(
            "the run to resume was planned otherwise (another version, device or catalogue); start a new run"
        )
