"""Loads that fail: once more, labelled; a run without hope ends early; everything is kept."""

import time
from dataclasses import replace
from itertools import count

import pytest

from greenbench.bench import schedule
from greenbench.bench.durations import Durations
from greenbench.bench.instruments import Instruments
from greenbench.bench.rows import RunIdentity
from greenbench.bench.schedule import Bench, execute, exit_status
from greenbench.bench.suites import load_suite
from greenbench.bench.trial import MeasuredLoad
from greenbench.bench.verify import verify_run
from greenbench.core.doubt import Verdict
from greenbench.core.errors import (
    EngineUnavailableError,
    HopelessRunError,
    MeterError,
    RuntimeCallError,
    RuntimeDiedError,
    RuntimeTimeoutError,
)
from greenbench.core.parity import Parity
from greenbench.core.plan import Cell, Plan, Protocol, order
from greenbench.core.progress import Silence
from greenbench.core.workload import Workload
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import CallSensor
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.energy.window import Window
from greenbench.fleet.answers import LoadedFacts
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import Manifest

DIED = RuntimeDiedError("killed for memory", exit_status_of_runtime=137, out_of_memory=True)
HUNG = RuntimeTimeoutError("did not answer Run within 300 s")
CUT = RuntimeCallError("the run's stream ended without its summary", code="DATA_LOSS")
WRONG = RuntimeCallError("the run told 3 end stamps for 9 iterations", code="DATA_LOSS")
LOST = MeterError("the GPU is off the bus")
REFUSED = RuntimeCallError("no kernel", code="UNIMPLEMENTED")
FACTS = LoadedFacts(
    inputs=(),
    outputs=(),
    parameters=1,
    flops=2,
    device_bytes=0,
    load_s=1,
    build_s=0.1,
    nodes_per_provider={},
    flags={},
    dtypes={},
)
EQUAL = Parity(relative_error=1e-6, cosine=1.0, top1_agreement=1.0, rows=8, limit=1e-4, passed=True)


def cell(runtime: str, batch: int) -> Cell:
    work = Workload(
        model="resnet50", batch_size=batch, precision="fp32", sequence_length=None, weights="matched"
    )
    return Cell(
        runtime=runtime,
        mode="eager",
        source=None,
        workload=work,
        path="loop",
        io="device",
        device="cpu",
        threads=1,
        weights_from="seeded",
    )


def plan_of(*cells: Cell, rounds: int = 1) -> Plan:
    protocol = Protocol(
        window_s=1,
        windows=1,
        rounds=rounds,
        baseline_host_s=0,
        baseline_loaded_s=0,
        warmup_cap_s=0,
        rest_cap_s=0,
    )
    return Plan(loads=order(cells, rounds=rounds, seed=0), left_out=(), protocol=protocol, seed=0)


@pytest.fixture
def bench(tmp_path):
    def make(plan: Plan) -> Bench:
        suite = load_suite("quick")
        manifest = Manifest(
            run_id="run",
            created_utc="2026-01-02T00:00:00+00:00",
            greenbench_version="0.1.0",
            suite=suite.as_mapping(),
            suite_sha256=suite.sha256,
            seed=plan.seed,
            order=tuple(load.load_id for load in plan.loads),
            host={"host_id": "h", "energy_scope": "none"},
            device="cpu",
        )
        return Bench(
            house=None,
            instruments=Instruments(meters=MeterSet(), sensor_period_s=0.0, limits=DEFAULT_LIMITS),
            folder=RunFolder.create(tmp_path, "run", manifest),
            identity=RunIdentity(run_id="run", host_id="h", gpu_uuid=None),
            durations=Durations(tmp_path / "durations.json"),
            observer=Silence(),
        )

    return make


@pytest.fixture
def answers(monkeypatch):
    """Let loads end as the test says, one after the other; the last answer goes on."""

    def give(*ends) -> list[str]:
        asked: list[str] = []
        numbers = count()

        def measure(house, instruments, planned, protocol, **more):
            asked.append(planned.load_id)
            end = ends[min(next(numbers), len(ends) - 1)]
            if isinstance(end, BaseException):
                raise end
            window = Window(begin_ns=1, end_ns=2, iterations=100.0, edge_source="runtime")
            return MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(window,))

        monkeypatch.setattr(schedule, "measure_load", measure)
        return asked

    return give


GOOD = "good"


@pytest.mark.parametrize("fault", [DIED, HUNG, CUT, WRONG, LOST])
def test_a_load_that_failed_is_tried_once_more_as_a_new_attempt_and_both_are_kept(bench, answers, fault):
    asked = answers(fault, GOOD)
    trials = execute(bench(plan_of(cell("a", 1))), plan_of(cell("a", 1)))
    assert len(asked) == 2
    assert [(trial.attempt, trial.failure) for trial in trials] == [(1, str(fault)), (2, None)]
    assert trials[0].verdict is Verdict.FAILED
    assert exit_status(trials) == 0


def test_a_load_that_fails_twice_stays_failed_and_the_run_goes_on(bench, answers):
    plan = plan_of(cell("a", 1), cell("a", 2))
    asked = answers(DIED, DIED, GOOD)
    trials = execute(bench(plan), plan)
    assert [trial.verdict for trial in trials][:2] == [Verdict.FAILED] * 2
    assert trials[2].failure is None
    assert len(asked) == 3
    assert exit_status(trials) == 1


def test_a_refusal_that_would_come_again_is_not_tried_again(bench, answers):
    asked = answers(REFUSED)
    execute(bench(plan_of(cell("a", 1))), plan_of(cell("a", 1)))
    assert len(asked) == 1


def test_an_attempt_that_failed_before_a_resume_counts(bench, answers, tmp_path):
    plan = plan_of(cell("a", 1))
    answers(DIED, KeyboardInterrupt())
    run = bench(plan)
    with pytest.raises(KeyboardInterrupt):
        execute(run, plan)
    asked = answers(DIED)
    trials = execute(run, plan)
    assert len(asked) == 1
    assert [trial.attempt for trial in trials] == [1, 3]


def test_a_resumed_run_keeps_the_start_band_of_its_pilot_round(bench, monkeypatch):
    degrees, asleep, starts = [40.0], [0.0], []
    sensor = CallSensor(stream="temperature", unit="degC", period_s=1.0, call=lambda: degrees[0])

    def cool(seconds: float) -> None:
        asleep[0] += seconds
        degrees[0] -= 1.0

    def measure(house, instruments, planned, protocol, *, rest, observer, **more):
        rest.wait(instruments, observer, pilot=planned.round == 1)
        starts.append(degrees[0])
        if len(starts) == 2:
            raise KeyboardInterrupt
        window = Window(begin_ns=1, end_ns=2, iterations=100.0, edge_source="runtime")
        return MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(window,))

    monkeypatch.setattr(schedule, "measure_load", measure)
    plan = plan_of(cell("a", 1), rounds=2)
    plan = replace(plan, protocol=replace(plan.protocol, rest_cap_s=60.0))
    run = bench(plan)
    tools = replace(
        run.instruments,
        meters=MeterSet(sensors=(sensor,)),
        sleep=cool,
        clock=lambda: int(asleep[0] * 1e9),
    )
    run = replace(run, instruments=tools)
    with pytest.raises(KeyboardInterrupt):
        execute(run, plan)
    # The GPU is warm when the run goes on: its first load must not set the band.
    degrees[0] = 70.0
    execute(run, plan)
    assert starts == [40.0, 40.0, 43.0]
    assert asleep[0] > 0


def test_a_run_without_hope_ends_early_with_everything_kept(bench, answers):
    plan = plan_of(*(cell("a", batch) for batch in range(1, 9)))
    asked = answers(GOOD, HUNG)
    run = bench(plan)
    with pytest.raises(HopelessRunError, match=r"the last 4 loads failed.*did not answer Run.*--resume"):
        execute(run, plan)
    assert len(asked) == 1 + 2 * 4
    events = [event["event"] for event in run.folder.events()]
    assert events[-2:] == ["run_hopeless", "run_interrupted"]
    assert [trial.failure is None for trial in run.folder.trials()].count(True) == 1
    assert "trials.parquet" in {item.name for item in run.folder.path.iterdir()}


def test_an_engine_that_went_away_ends_the_run_and_fails_no_load(bench, answers):
    plan = plan_of(*(cell("a", batch) for batch in range(1, 4)))
    asked = answers(GOOD, EngineUnavailableError("the Docker Engine went away"), GOOD)
    run = bench(plan)
    with pytest.raises(EngineUnavailableError, match="went away"):
        execute(run, plan)
    assert len(asked) == 2
    assert [trial.failure for trial in run.folder.trials()] == [None]
    events = [event["event"] for event in run.folder.events()]
    assert events[-2:] == ["engine_lost", "run_interrupted"]
    execute(run, plan)
    assert [trial.failure for trial in run.folder.trials()] == [None] * 3
    assert asked[1] == asked[2]


def test_a_runtime_that_fails_does_not_end_a_run_in_which_another_is_left(bench, answers):
    plan = plan_of(*(cell(name, batch) for name in ("a", "b") for batch in range(1, 6)))
    first = plan.loads[0].cell.runtime
    assert [load.cell.runtime for load in plan.loads[:5]] == [first] * 5
    asked = answers(*([REFUSED] * 5), GOOD)
    trials = execute(bench(plan), plan)
    assert len(asked) == 10
    assert sum(trial.failure is None for trial in trials) == 5


def test_a_resumed_run_does_again_only_what_is_left_and_keeps_what_is_there(bench, answers):
    plan = plan_of(*(cell("a", batch) for batch in range(1, 9)))
    answers(GOOD, HUNG)
    run = bench(plan)
    with pytest.raises(HopelessRunError):
        execute(run, plan)
    before = run.folder.trials()
    asked = answers(GOOD)
    after = execute(run, plan)
    assert after[: len(before)] == before
    assert len(asked) == 3
    assert not [item for item in verify_run(run.folder.path).findings if "chain" in item.what]


@pytest.mark.parametrize(("every_s", "measured"), [(0.0, 1), (3600.0, 2)])
def test_one_baseline_is_measured_where_the_suite_says_once(bench, answers, monkeypatch, every_s, measured):
    answers(GOOD)
    asked = []
    monkeypatch.setattr(schedule, "_host_baseline", lambda *_: asked.append("B0") or time.monotonic_ns())
    plan = plan_of(cell("a", 1))
    plan = replace(plan, protocol=replace(plan.protocol, baseline_every_s=every_s))
    execute(bench(plan), plan)
    assert len(asked) == measured
