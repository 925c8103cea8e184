"""One session: the engine, what is loaded and staged, and the run in progress. Knows no wire.

Frameworks keep state per thread, so every call into the engine happens on one thread of its own; the
threads that serve clients hand their work to it and wait.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from greenbench_runtime.engine import (
    Array,
    ConvertedModel,
    Converter,
    Engine,
    EngineFacts,
    LoadedModel,
    LoadFacts,
    LoadOrder,
    NothingLoadedError,
    PreparedWeights,
    UnknownModelError,
    UnsupportedError,
    WeightsMaker,
)
from greenbench_runtime.loop import Run, RunOrder
from greenbench_runtime.orders import check_making, check_order
from greenbench_runtime.specs import require_batch, synthetic_batch

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What an engine's module offers; the factories are called on the engine's thread."""

    engine: Callable[[], Engine]
    weights_maker: Callable[[], WeightsMaker] | None = None
    converter: Callable[[], Converter] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load gave and took.

    Attributes:
        facts: As read back from the framework.
        load_s: Seconds in the engine's ``load``.
        build_s: Seconds of the first forward pass, in which frameworks compile.
    """

    facts: LoadFacts
    load_s: float
    build_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    model: LoadedModel
    name: str
    staged: bool


class Session:
    """Owns one engine and its thread. Calls are refused, not queued, while a run is in progress."""

    def __init__(self, parts: EngineParts, *, device: str = "cpu") -> None:
        """Make the engine.

        Args:
            parts: From the engine's module.
            device: ``cuda`` lets loads ask for a GPU; ``cpu`` doesn't.
        """
        self._parts = parts
        self._device = device
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._loaded: _Loaded | None = None
        self._run: Run | None = None
        self._engine = self._call(parts.engine)
        self.facts: EngineFacts = self._call(self._engine.facts)

    @property
    def prepares(self) -> bool:
        """Whether `prepare` is there."""
        return self._parts.weights_maker is not None

    @property
    def converts(self) -> bool:
        """Whether `convert` is there."""
        return self._parts.converter is not None

    @property
    def model_name(self) -> str | None:
        """Name of the loaded model; None where nothing is loaded."""
        loaded = self._loaded
        return loaded.name if loaded else None

    def loaded_facts(self) -> LoadFacts:
        """Return what is true of the loaded model.

        Raises:
            NothingLoadedError: There is none.
        """
        return self._require_loaded().model.facts

    def load(self, order: LoadOrder) -> LoadReport:
        """Load a model in place of the one before, and run it once so that nothing is left to compile.

        Raises:
            EngineError: As in the engine's tree; nothing is loaded then.
        """
        check_order(order, self.facts, device=self._device)
        return self._call(lambda: self._load(order))

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch where the forward pass reads it.

        Raises:
            InvalidRequestError: It isn't what the loaded model takes.
            NothingLoadedError: Nothing is loaded, or a run is in progress.
        """
        self._call(lambda: self._stage(inputs, staged=True))

    def check(self) -> Mapping[str, Array]:
        """Return the outputs of one forward pass over the staged inputs.

        Raises:
            NothingLoadedError: Nothing is loaded or staged, or a run is in progress.
        """
        return self._call(lambda: _pass(self._staged_model()))

    def infer(self, model: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs for inputs of one's own; what was staged before is gone.

        Raises:
            InvalidRequestError: They aren't what the loaded model takes.
            UnknownModelError: Another model is loaded.
            NothingLoadedError: Nothing is loaded, or a run is in progress.
        """
        return self._call(lambda: self._infer(model, inputs))

    def begin_run(self, order: RunOrder) -> Run:
        """Begin a run over the staged inputs; follow the run that is returned.

        Raises:
            NothingLoadedError: A run is in progress. Where nothing is staged, following the run raises.
        """
        with self._lock:
            self._refuse_while_running()
            self._run = run = Run(order)
            self._thread.submit(run.execute, self._staged_model)
        return run

    def stop_run(self) -> bool:
        """End the run in progress; return whether there was one."""
        run = self._run
        if run is None or run.is_over:
            return False
        run.stop()
        return True

    def kept(self) -> Iterator[tuple[int, Mapping[str, Array]]]:
        """Yield iteration (from 0) and outputs that the last run kept, oldest first, copied one by one.

        Raises:
            NothingLoadedError: No run has ended since the load, or one is in progress.
        """
        run, model = self._run, self._require_loaded().model
        if run is None:
            raise NothingLoadedError("no run since the load; call Run with keep_every first")
        outputs = self._call(lambda: tuple(run.kept))
        for iteration, output in outputs:
            yield iteration, self._call(partial(model.fetch, output))

    def unload(self) -> bool:
        """Free everything that `load` and `stage` took; return whether there was anything."""
        return self._call(self._free)

    def prepare(
        self, *, model: str, seed: int | None, weights_file: Path | None,
        calibration: Mapping[str, Array], outbox: Path, threads: int,
    ) -> PreparedWeights:  # fmt: skip
        """Make a model's canonical weights file in `outbox`.

        Raises:
            UnsupportedError: This runtime doesn't make weights.
            EngineError: As the engine's maker raises.
        """
        maker = self._parts.weights_maker
        if maker is None:
            raise UnsupportedError(f"{self.facts.runtime} makes no weights; ask a runtime that does")
        check_making(model, threads, self.facts)
        return self._call(
            lambda: maker().prepare(
                model=model, seed=seed, weights_file=weights_file,
                calibration=calibration, outbox=outbox, threads=threads,
            )
        )  # fmt: skip

    def convert(
        self, *, model: str, weights_file: Path, sequence_length: int, opset: int, outbox: Path, threads: int
    ) -> ConvertedModel:
        """Write a model's ONNX file into `outbox`.

        Raises:
            UnsupportedError: This runtime has no converter.
            EngineError: As the engine's converter raises.
        """
        converter = self._parts.converter
        if converter is None:
            raise UnsupportedError(f"{self.facts.runtime} converts no models; ask a runtime that does")
        check_making(model, threads, self.facts)
        return self._call(
            lambda: converter().convert(
                model=model, weights_file=weights_file, sequence_length=sequence_length,
                opset=opset, outbox=outbox, threads=threads,
            )
        )  # fmt: skip

    def close(self, *, deadline_s: float) -> bool:
        """Stop the run, free the model and end the thread; return whether it ended within the deadline."""
        self.stop_run()
        freed = self._thread.submit(self._free)
        self._thread.shutdown(wait=False)
        return freed in wait([freed], timeout=deadline_s).done

    def _call(self, work: Callable[[], T]) -> T:
        with self._lock:
            self._refuse_while_running()
            future: Future[T] = self._thread.submit(work)
        return future.result()

    def _refuse_while_running(self) -> None:
        # A run that was told to stop ends by itself within an iteration: the engine's thread waits for it.
        if self._run is not None and not self._run.is_ending:
            raise NothingLoadedError("a run is in progress; call Stop or wait for its end")

    def _load(self, order: LoadOrder) -> LoadReport:
        self._free()
        begun_s = time.monotonic()
        model = self._engine.load(order)
        loaded_s = time.monotonic()
        model.stage(synthetic_batch(model.facts.inputs))
        staged_s = time.monotonic()
        model.infer()
        model.synchronize()
        built_s = time.monotonic()
        self._loaded = _Loaded(model=model, name=order.model, staged=False)
        return LoadReport(facts=model.facts, load_s=loaded_s - begun_s, build_s=built_s - staged_s)

    def _stage(self, inputs: Mapping[str, Array], *, staged: bool) -> LoadedModel:
        loaded = self._require_loaded()
        require_batch(inputs, loaded.model.facts.inputs)
        self._loaded = _Loaded(model=loaded.model, name=loaded.name, staged=False)
        loaded.model.stage(inputs)
        self._loaded = _Loaded(model=loaded.model, name=loaded.name, staged=staged)
        return loaded.model

    def _infer(self, model: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        loaded = self._require_loaded()
        if model != loaded.name:
            raise UnknownModelError(f"model {model[:100]!r} is not loaded; {loaded.name} is")
        return _pass(self._stage(inputs, staged=False))

    def _free(self) -> bool:
        had = self._loaded is not None
        with self._lock:
            # A run that waits for this thread is not the one whose outputs are in the way.
            if self._run is not None and self._run.is_over:
                self._run.kept.clear()
                self._run = None
        self._loaded = None
        gc.collect()
        return had

    def _require_loaded(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None:
            raise NothingLoadedError("nothing is loaded; call Load first")
        return loaded

    def _staged_model(self) -> LoadedModel:
        loaded = self._require_loaded()
        if not loaded.staged:
            raise NothingLoadedError("no inputs are staged; call Stage first")
        return loaded.model


def _pass(model: LoadedModel) -> Mapping[str, Array]:
    output = model.infer()
    model.synchronize()
    return model.fetch(output)
