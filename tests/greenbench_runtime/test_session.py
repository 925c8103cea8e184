"""The session without a wire: one thread for the engine, memory freed before it is needed again."""

import gc
import threading
import weakref

import numpy as np
import perceptron
import pytest

from greenbench_runtime.engine import InvalidRequestError, LoadOrder, NothingLoadedError, UnsupportedError
from greenbench_runtime.loop import Finished, Progress, RunOrder, Started
from greenbench_runtime.session import EngineParts, Session

ORDER = LoadOrder(model="perceptron", batch_size=4, mode="default")
BATCH = {"input": np.ones((4, 64), np.float32)}


class WatchedModel(perceptron.Perceptron):
    def __init__(self, order, threads):
        super().__init__(order)
        self.threads = threads
        self.staged = []
        self.frozen = 0

    def stage(self, inputs):
        self.threads.add(threading.current_thread().name)
        self.staged.append(inputs)
        super().stage(inputs)

    def infer(self):
        self.threads.add(threading.current_thread().name)
        self.frozen = gc.get_freeze_count()
        return super().infer()


class WatchedEngine(perceptron.NumpyEngine):
    """Tells its threads, and how many of its models lived when another was asked for."""

    def __init__(self):
        self.threads = set()
        self.models = weakref.WeakSet()
        self.alive_at_load = []

    def load(self, order):
        self.threads.add(threading.current_thread().name)
        self.alive_at_load.append(len(self.models))
        if order.model != "perceptron":
            return super().load(order)
        model = WatchedModel(order, self.threads)
        self.models.add(model)
        return model


@pytest.fixture
def engine():
    return WatchedEngine()


@pytest.fixture
def session(engine):
    session = Session(EngineParts(engine=lambda: engine))
    yield session
    assert session.close(deadline_s=10)


def test_every_call_into_the_engine_comes_from_one_thread(session, engine):
    session.load(ORDER)
    session.stage(BATCH)
    session.check()
    list(session.begin_run(RunOrder(max_iterations=3)).follow())
    session.infer("perceptron", BATCH)
    assert len(engine.threads) == 1
    assert threading.current_thread().name not in engine.threads


def test_a_model_is_freed_before_the_next_is_loaded(session, engine):
    session.load(ORDER)
    session.stage(BATCH)
    list(session.begin_run(RunOrder(max_iterations=3, keep_every=1, keep_max=3)).follow())
    session.load(ORDER)
    session.unload()
    session.load(ORDER)
    assert engine.alive_at_load == [0, 0, 0]


def test_the_first_pass_is_on_random_inputs_and_is_no_staged_batch(session, engine):
    session.load(ORDER)
    (model,) = engine.models
    assert model.staged[0]["input"].std() > 0.5
    with pytest.raises(NothingLoadedError, match="call Stage first"):
        session.check()


def test_the_garbage_collector_is_as_it_was_after_a_run(session, engine):
    session.load(ORDER)
    session.stage(BATCH)
    list(session.begin_run(RunOrder(max_iterations=3)).follow())
    (model,) = engine.models
    assert model.frozen > 0
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_a_run_is_told_in_order_and_every_end_once(session):
    session.load(ORDER)
    session.stage(BATCH)
    run = session.begin_run(RunOrder(progress_s=0.02))
    events = []
    for event in run.follow():
        events.append(event)
        if len(events) == 5:
            assert session.stop_run()
    assert [type(event) for event in events] == [Started, *[Progress] * 4, Finished]
    ends_ns = [end_ns for event in events[1:] for end_ns in event.ends_ns]
    assert len(ends_ns) == events[-1].iterations
    assert ends_ns == sorted(set(ends_ns))
    assert not session.stop_run()


def test_a_run_that_is_stopped_before_it_begins_runs_nothing(session):
    session.load(ORDER)
    session.stage(BATCH)
    holding = threading.Event()
    session._thread.submit(holding.wait)
    run = session.begin_run(RunOrder())
    run.stop()
    holding.set()
    assert list(run.follow())[-1].iterations == 0


def test_a_run_that_waits_behind_a_load_can_still_be_stopped(session):
    session.load(ORDER)
    holding = threading.Event()
    session._thread.submit(holding.wait)
    loading = threading.Thread(target=session.load, args=[ORDER])
    loading.start()
    while session._thread._work_queue.empty():
        pass
    run = session.begin_run(RunOrder())
    assert session.stop_run()
    holding.set()
    loading.join()
    with pytest.raises(NothingLoadedError, match="call Stage first"):
        list(run.follow())


def test_a_batch_that_does_not_fit_leaves_what_was_staged(session):
    session.load(ORDER)
    session.stage(BATCH)
    with pytest.raises(InvalidRequestError, match="float64"):
        session.stage({"input": np.ones((4, 64))})
    assert session.check()["output"].shape == (4, 10)


def test_an_engine_without_makers_says_so(session, tmp_path):
    assert not session.prepares
    assert not session.converts
    with pytest.raises(UnsupportedError, match="makes no weights"):
        session.prepare(
            model="perceptron", seed=0, weights_file=None, calibration={}, outbox=tmp_path, threads=1
        )
    with pytest.raises(UnsupportedError, match="converts no models"):
        session.convert(
            model="perceptron", weights_file=tmp_path, sequence_length=0, opset=0, outbox=tmp_path, threads=1
        )
