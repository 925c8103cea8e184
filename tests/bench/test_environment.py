"""A run's environment, and the loop over a plan with a stand-in for the load itself."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.bench.test_planning import CATALOGUE, CPU
from tests.bench.test_rows import EQUAL, FACTS, IDENTITY, WINDOW
from tests.results.conftest import manifest

from greenbench.bench import schedule
from greenbench.bench.environment import Environment, environment_of
from greenbench.bench.instruments import Instruments
from greenbench.bench.planning import make_plan
from greenbench.bench.schedule import Bench, execute
from greenbench.bench.trial import MeasuredLoad
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.progress import Silence
from greenbench.core.suite import parse_suite
from greenbench.energy.host import suspended_s, time_of_day_s
from greenbench.energy.meter import MeterSet
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.fleet.launcher import Build
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import RuntimeEntry

GPU = {"driver": "580.1", "power_limit_w": 700.0, "sm_clock_max_hz": 1.98e9, "mig": False}
BUILD = Build(
    runtime="pytorch",
    device="cuda",
    launcher="docker",
    identity="sha256:aa",
    requirements_sha256="bb",
    python="3.11",
    packages={},
    log_path=None,
    reused=True,
    elapsed_s=0.0,
)
START = Environment(
    gpu=GPU,
    runtimes={"pytorch": RuntimeEntry(launcher="docker", image_digest="sha256:aa", lock_sha256="bb")},
)


def test_the_same_environment_has_no_changes():
    assert START.changes("pytorch", BUILD, GPU) == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("driver", "590.0", "driver was 580.1"), ("power_limit_w", 350.0, "power limit"), ("mig", True, "MIG")],
)
def test_each_thing_watched_is_told_with_both_values(name, value, words):
    (said,) = START.changes("pytorch", BUILD, GPU | {name: value})
    assert words in said
    assert str(value) in said


def test_a_driver_that_no_longer_answers_is_a_change():
    (said,) = START.changes("pytorch", BUILD, dict.fromkeys(GPU))
    assert said == "driver was 580.1 at the run's start and no longer answers"


def test_another_image_or_lock_is_a_change():
    (said,) = START.changes("pytorch", replace(BUILD, identity="sha256:cc"), GPU)
    assert "image of pytorch" in said
    (said,) = START.changes("pytorch", replace(BUILD, requirements_sha256="cc"), GPU)
    assert "requirements of pytorch" in said


def test_what_was_not_told_is_not_compared():
    assert (
        START.changes("pytorch", BUILD, GPU | {"power_limit_w": None, "sm_clock_application_hz": 1e9}) == ()
    )
    assert START.changes("jax", BUILD, {}) == ()
    assert START.changes("pytorch", None, {}) == ()


def test_the_start_is_what_the_manifest_says():
    stored = manifest().model_copy(
        update={"host": {"host_id": "h", "meters": {"gpu": GPU}}, "runtimes": dict(START.runtimes)}
    )
    assert environment_of(stored) == START
    assert environment_of(manifest()) == Environment()


def bench_of(folder: RunFolder, *, gpu=None, environment=START) -> Bench:
    ticks = count(0, 1_000_000)
    meters = MeterSet(facts={"gpu": gpu}, conditions=lambda: dict(gpu or {}))
    return Bench(
        house=SimpleNamespace(),
        instruments=Instruments(
            meters=meters,
            sensor_period_s=0.0,
            limits=DEFAULT_LIMITS,
            clock=lambda: next(ticks),
            sleep=lambda _: None,
        ),
        folder=folder,
        identity=IDENTITY,
        durations=SimpleNamespace(total_s=lambda *_: 0.0, learn=lambda *_: None),
        observer=Silence(),
        environment=environment,
    )


def plan_of(**protocol):
    protocol = {"rounds": 1, "baseline_host_s": 0.0} | protocol
    values = {
        "name": "t",
        "matrix": {"batch_size": [1], "model": ["resnet50"], "runtime": ["pytorch"]},
        "protocol": protocol,
    }
    return make_plan(parse_suite(values, "test"), CATALOGUE, CPU, seed=1)


@pytest.fixture
def measured(monkeypatch):
    """Loads that run at these rates, one after the other, without a runtime."""

    def at(rates, build=BUILD):
        upcoming = iter(rates)

        def load(*_, **__):
            window = replace(WINDOW, iterations=next(upcoming), energy={})
            return MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(window,), build=build)

        monkeypatch.setattr(schedule, "measure_load", load)
        monkeypatch.setattr(schedule, "measure_baseline", lambda *_, **__: ())

    return at


def folder_for(plan, tmp_path: Path) -> RunFolder:
    order = tuple(load.load_id for load in plan.loads)
    return RunFolder.create(tmp_path, "run", manifest(order=order))


def rules(trial):
    return {doubt.rule: doubt for doubt in trial.doubts}


def test_a_changed_image_makes_a_load_invalid_and_says_what_changed(measured, tmp_path):
    measured([400.0], build=replace(BUILD, identity="sha256:cc"))
    plan = plan_of()
    with folder_for(plan, tmp_path) as folder:
        (trial,) = execute(bench_of(folder, gpu=GPU), plan)
        assert rules(trial)[Rule.ENVIRONMENT_CHANGED].verdict is Verdict.INVALID
        assert trial.verdict is Verdict.INVALID
        (event,) = folder.events("environment_changed")
    assert "sha256:cc" in event["changes"][0]


def test_an_unchanged_environment_raises_nothing(measured, tmp_path):
    measured([400.0])
    plan = plan_of()
    with folder_for(plan, tmp_path) as folder:
        (trial,) = execute(bench_of(folder, gpu=GPU), plan)
        assert not {Rule.ENVIRONMENT_CHANGED, Rule.MIG} & set(rules(trial))
        assert list(folder.events("environment_changed")) == []


def test_a_split_gpu_is_a_doubt(measured, tmp_path):
    measured([400.0])
    plan = plan_of()
    split = GPU | {"mig": True}
    with folder_for(plan, tmp_path) as folder:
        start = replace(START, gpu=split)
        (trial,) = execute(bench_of(folder, gpu=split, environment=start), plan)
    assert rules(trial)[Rule.MIG].verdict is Verdict.DOUBTFUL
    assert Rule.ENVIRONMENT_CHANGED not in rules(trial)


def test_a_run_with_a_target_goes_on_after_its_pilot_and_stops_at_the_number_fixed(measured, tmp_path):
    measured(400.0 * (1 + 0.005 * (n % 3)) for n in count())
    plan = plan_of(target_u=0.005)
    with folder_for(plan, tmp_path) as folder:
        trials = execute(bench_of(folder), plan)
        (event,) = folder.events("rounds_fixed")
        assert len(trials) == event["rounds"] > 5
        assert folder.manifest().order == tuple(trial.load_id for trial in trials)


def test_a_run_interrupted_after_its_pilot_resumes_to_the_same_number(measured, tmp_path):
    def rates():
        for n in range(7):
            yield 400.0 * (1 + 0.005 * (n % 3))
        raise KeyboardInterrupt

    measured(rates())
    plan = plan_of(target_u=0.005)
    with folder_for(plan, tmp_path) as folder:
        with pytest.raises(KeyboardInterrupt):
            execute(bench_of(folder), plan)
        (event,) = folder.events("rounds_fixed")
    measured(300.0 + n for n in count())
    with RunFolder.resume("run", tmp_path) as folder:
        trials = execute(bench_of(folder), plan)
        assert len(list(folder.events("rounds_fixed"))) == 1
    assert len({trial.round for trial in trials}) == event["rounds"]


def test_a_host_that_sleeps_during_a_load_makes_it_invalid_and_says_for_how_long(measured, tmp_path):
    measured([400.0])
    plan, slept = plan_of(), iter([5.0, 65.5])
    with folder_for(plan, tmp_path) as folder:
        bench = bench_of(folder, gpu=GPU)
        awake = replace(bench.instruments, suspended=lambda: next(slept))
        (trial,) = execute(replace(bench, instruments=awake), plan)
        assert rules(trial)[Rule.ENVIRONMENT_CHANGED].verdict is Verdict.INVALID
    told = (tmp_path / "run" / "events.jsonl").read_text()
    assert "the host was suspended for 60.5 s" in told


def test_this_hosts_sleep_is_told_by_its_kernel():
    before = suspended_s()
    assert before > -0.001
    assert suspended_s() - before < 0.01


@pytest.mark.parametrize(("step_s", "doubted"), [(-7200.0, True), (1.5, True), (0.3, False)])
def test_a_clock_set_during_a_load_is_a_doubt_and_moves_no_figure(measured, tmp_path, step_s, doubted):
    measured([400.0])
    plan, day = plan_of(), iter([1.7e9, 1.7e9 + step_s])
    with folder_for(plan, tmp_path) as folder:
        bench = bench_of(folder, gpu=GPU)
        set_meanwhile = replace(bench.instruments, time_of_day=lambda: next(day))
        (trial,) = execute(replace(bench, instruments=set_meanwhile), plan)
    assert (Rule.CLOCK_STEPPED in rules(trial)) is doubted
    if doubted:
        found = rules(trial)[Rule.CLOCK_STEPPED]
        assert found.verdict is Verdict.DOUBTFUL
        assert found.value == pytest.approx(abs(step_s), abs=1e-3)
    assert (trial.begin_ns, trial.end_ns) == (WINDOW.begin_ns, WINDOW.end_ns)


def test_this_hosts_time_of_day_stands_still_beside_its_other_clocks():
    before = time_of_day_s()
    assert before > 1e9
    assert abs(time_of_day_s() - before) < 0.01
