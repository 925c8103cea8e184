"""Rules of the validity table, each broken on purpose beside or inside a container that a run measures."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.containers.conftest import spec
from tests.fleet.measured_run import LIAR, inputs_and_references, measure, plan_of

from greenbench.core.doubt import SENTENCES, Rule, Verdict
from greenbench.core.progress import Observer, Silence
from greenbench.energy.host import host_sensors
from greenbench.energy.meter import MeterSet

WINDOW_S = 4.0


@pytest.fixture
def doubts(launcher, tmp_path, monkeypatch):
    """Return what measures one window of a container and tells its verdict and its doubts by rule."""
    inputs_and_references(monkeypatch)
    launcher.build(spec("fake"), "cpu", Silence())

    def found(model: str = "tiny", window_s: float = WINDOW_S, observer: Observer | None = None):
        meters = MeterSet(sensors=host_sensors())
        (trial,) = measure(
            launcher, plan_of(model, window_s=window_s), tmp_path, meters=meters, observer=observer
        )
        for doubt in trial.doubts:
            assert doubt.sentence.startswith(SENTENCES[doubt.rule])
        return trial, {doubt.rule: doubt for doubt in trial.doubts}

    return found


@contextmanager
def busy() -> Iterator[None]:
    """Let another process use a core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


class WhenMeasuring(Silence):
    """Does something beside a run once its window is laid out."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=act, daemon=True)

    def step(self, text: str) -> None:
        if text.startswith("measuring"):
            self.thread.start()


def test_another_process_that_uses_a_core_is_told_with_how_much_it_used(doubts):
    with busy():
        trial, found = doubts()
    assert found[Rule.BUSY_HOST].verdict is Verdict.DOUBTFUL
    assert found[Rule.BUSY_HOST].value > 0.3
    assert trial.verdict in {Verdict.DOUBTFUL, Verdict.INVALID}


def test_a_container_that_is_stopped_for_a_while_is_not_steady(doubts, engine, settings):
    def stop_and_go() -> None:
        label = {"label": f"greenbench.state={settings.state.identity}"}
        (running,) = engine.client.containers.list(filters=label)
        time.sleep(0.7 * WINDOW_S)  # in the window's second half
        running.pause()
        time.sleep(0.25 * WINDOW_S)
        running.unpause()

    observer = WhenMeasuring(stop_and_go)
    trial, found = doubts(observer=observer)
    observer.thread.join(30)
    assert found[Rule.NOT_STEADY].verdict is Verdict.INVALID
    assert found[Rule.NOT_STEADY].value > 0.1
    assert trial.verdict is Verdict.INVALID


def test_a_container_that_answers_wrongly_is_invalid_and_not_timed(doubts):
    trial, found = doubts(LIAR)
    assert found[Rule.PARITY].verdict is Verdict.INVALID
    assert found[Rule.PARITY].value == pytest.approx(0.01, rel=0.05)
    assert trial.begin_ns is None
    assert "outputs differ" in trial.failure


def test_a_window_of_few_iterations_is_too_short(doubts):
    _, found = doubts(window_s=0.02)
    assert found[Rule.TOO_SHORT].value < 32
    assert found[Rule.TOO_SHORT].verdict in {Verdict.DOUBTFUL, Verdict.INVALID}
