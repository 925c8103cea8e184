"""A run's own loop over runtimes that die, hang, lie or break off: real processes, real calls."""

from functools import partial

import pytest
from tests.fleet.conftest import fake_spec
from tests.fleet.measured_run import LIAR, inputs_and_references, measure, plan_of

from greenbench.bench.schedule import exit_status
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.errors import HopelessRunError
from greenbench.core.progress import Silence
from greenbench.fleet import run_stream
from greenbench.fleet.venv import VenvLauncher
from greenbench.results.folder import RunFolder


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """Return what executes a plan of the fake runtime's models as processes."""
    launcher = VenvLauncher(settings)
    launcher.build(fake_spec(), "cpu", Silence())
    inputs_and_references(monkeypatch)
    return partial(measure, launcher, folder=tmp_path)


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
    trials = run(plan_of("tiny", LIAR))
    (wrong,) = (trial for trial in trials if trial.model == LIAR)
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
