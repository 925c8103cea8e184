"""A run's own loop over runtimes that die, hang, lie or break off: real processes, real calls."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.fleet.conftest import fake_spec

from greenbench.bench import trial as loads
from greenbench.bench.durations import Durations
from greenbench.bench.house import House
from greenbench.bench.instruments import Instruments
from greenbench.bench.rows import RunIdentity
from greenbench.bench.schedule import Bench, execute, exit_status
from greenbench.bench.suites import load_suite
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.errors import HopelessRunError
from greenbench.core.plan import Cell, Plan, Protocol, order
from greenbench.core.progress import Silence
from greenbench.core.workload import Workload
from greenbench.energy.meter import MeterSet
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.fleet import run_stream
from greenbench.fleet.venv import VenvLauncher
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import Manifest

PROTOCOL = Protocol(
    window_s=0.3,
    windows=1,
    rounds=1,
    baseline_host_s=0,
    baseline_loaded_s=0,
    warmup_cap_s=0.2,
    rest_cap_s=0,
)
SAMPLE = np.arange(24, dtype=np.float32).reshape(8, 3)


def plan_of(*models: str) -> Plan:
    cells = [
        Cell(
            runtime="fake",
            mode="plain",
            source=None,
            workload=Workload(
                model=model, batch_size=8, precision="fp32", sequence_length=None, weights="matched"
            ),
            path="loop",
            io="device",
            device="cpu",
            threads=1,
            weights_from="seeded",
        )
        for model in models
    ]
    return Plan(loads=order(cells, rounds=1, seed=0), left_out=(), protocol=PROTOCOL, seed=0)


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """Return what executes a plan of the fake runtime's models by the launcher and the loop of a run."""
    launcher = VenvLauncher(settings)
    launcher.build(fake_spec(), "cpu", Silence())
    monkeypatch.setattr(loads, "batch", lambda model, rows, length: {"input": SAMPLE[:rows]})
    # `lie` is a model whose reference is another network's.
    monkeypatch.setattr(
        loads, "reference_outputs", lambda _, cell: SAMPLE * (1.01 if cell.workload.model == "lie" else 1)
    )
    house = House(
        launcher=launcher,
        catalogue={"fake": fake_spec()},
        library=SimpleNamespace(need=lambda *_, **__: SimpleNamespace(path="w", sha256="aa")),
        device="cpu",
    )

    def go(plan: Plan):
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
        with RunFolder.create(tmp_path, "run", manifest) as folder:
            bench = Bench(
                house=house,
                instruments=Instruments(meters=MeterSet(), sensor_period_s=0.0, limits=DEFAULT_LIMITS),
                folder=folder,
                identity=RunIdentity(run_id="run", host_id="h", gpu_uuid=None),
                durations=Durations(tmp_path / "durations.json"),
                observer=Silence(),
            )
            return execute(bench, plan)

    return go


FAULTS = {
    "die": "died during Load",
    "die-running": "died during Run",
    "hang-running": "did not answer Stop within 1 s",
    "cut": "the run's stream ended without its summary",
    "lose": "end stamps for",
    "spoil": "received other bytes of input 'input'",
    "half": "only a part of tensor 'output'",
    "nameless": "the runtime answered 'echo_input' where 'output' was asked for",
}


@pytest.mark.parametrize("model", FAULTS)
def test_a_runtime_that_fails_is_tried_once_more_labelled_and_the_run_goes_on(run, model, monkeypatch):
    monkeypatch.setattr(run_stream.RunStream.stop, "__kwdefaults__", {"deadline_s": 1.0})
    trials = run(plan_of("tiny", model))
    failed = sorted((trial for trial in trials if trial.model == model), key=lambda trial: trial.attempt)
    assert [(trial.attempt, trial.verdict) for trial in failed] == [(1, Verdict.FAILED), (2, Verdict.FAILED)]
    for trial in failed:
        assert FAULTS[model] in trial.failure
        assert (trial.begin_ns, trial.iterations, trial.energy_total_j) == (None, None, None)
    (good,) = (trial for trial in trials if trial.model == "tiny")
    assert good.iterations > 10
    assert good.end_ns > good.begin_ns
    assert good.failure is None
    assert exit_status(trials) == 1


def test_a_runtime_that_refuses_is_not_asked_again(run):
    trials = run(plan_of("tiny", "refuse"))
    (refused,) = (trial for trial in trials if trial.model == "refuse")
    assert "unknown model 'refuse'" in refused.failure


def test_a_runtime_that_answers_wrongly_is_invalid_and_never_measured(run):
    trials = run(plan_of("tiny", "lie"))
    (wrong,) = (trial for trial in trials if trial.model == "lie")
    assert wrong.verdict is Verdict.INVALID
    assert Rule.PARITY in {doubt.rule for doubt in wrong.doubts}
    assert wrong.begin_ns is None


def test_runtimes_that_all_fail_end_the_run_early_and_keep_what_was_measured(run, tmp_path):
    plan = plan_of("die", "half", "nameless", "cut", "spoil", "lose")
    with pytest.raises(HopelessRunError):
        run(plan)
    with RunFolder.resume("run", tmp_path) as folder:
        kept = folder.trials()
        assert len(list(folder.events("run_hopeless"))) == 1
    assert len(kept) == 8
    assert {trial.attempt for trial in kept} == {1, 2}


def test_the_log_keeps_how_long_a_loaded_model_was_occupied(run, tmp_path):
    (trial,) = run(plan_of("tiny"))
    with RunFolder.resume("run", tmp_path) as folder:
        (event,) = folder.events("load_recorded")
        (ended,) = folder.events("load_finished")
    ready_ns, unloaded_ns = event["occupied_ns"]
    assert ready_ns < trial.begin_ns < trial.end_ns < unloaded_ns < ended["t_ns"]
