"""``greenbench.v1.Benchmark``: messages to calls of the session, and back. Errors are the interceptor's."""

# The generated base class sets the names and the arguments.
# ruff: noqa: N802, ARG002

import platform
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc

from greenbench_runtime.engine import InvalidRequestError, LoadOrder
from greenbench_runtime.folders import ModelsFolder, sha256_of
from greenbench_runtime.loop import Finished, Progress, RunOrder, Started
from greenbench_runtime.machine import physical_cores
from greenbench_runtime.session import LoadReport, Session
from greenbench_runtime.tensors import BatchAssembler, chunks, spec_messages
from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import benchmark_pb2_grpc
from greenbench_wire.fingerprint import schema_fingerprint

DEFAULT_PROGRESS_S = 1.0


class BenchmarkServicer(benchmark_pb2_grpc.BenchmarkServicer):  # type: ignore[misc]
    """Serves one session."""

    def __init__(self, session: Session, *, models: ModelsFolder, outbox: Path) -> None:
        """Remember what is served.

        Args:
            session: Does the work.
            models: Where requests' files are found.
            outbox: Where made files are written.
        """
        self._session = session
        self._models = models
        self._outbox = outbox

    def Describe(self, request: wire.DescribeRequest, context: grpc.ServicerContext) -> wire.DescribeResponse:
        """Say what this runtime is, holds and can do; answers during a run, too."""
        facts = self._session.facts
        return wire.DescribeResponse(
            runtime=facts.runtime,
            versions=facts.versions,
            devices=[_device(device) for device in facts.devices],
            kernel_architectures=facts.kernel_architectures,
            modes=facts.modes,
            precisions=facts.precisions,
            models=facts.models,
            schema_fingerprint=schema_fingerprint(),
            physical_cores=physical_cores(),
            python=platform.python_version(),
            converts=self._session.converts,
            prepares=self._session.prepares,
        )

    def Prepare(self, request: wire.PrepareRequest, context: grpc.ServicerContext) -> wire.PrepareResponse:
        """Make canonical weights in the outbox."""
        origin = request.WhichOneof("origin")
        if origin is None:
            raise InvalidRequestError("neither seed nor weights_file is given; weights come from one of them")
        from_file = origin == "weights_file"
        begun_s = time.monotonic()
        made = self._session.prepare(
            model=request.model,
            seed=None if from_file else request.seed,
            weights_file=self._models.file(request.weights_file, key="weights_file") if from_file else None,
            calibration=self._models.arrays(request.calibration_file, key="calibration_file"),
            outbox=self._outbox,
            threads=request.threads,
        )
        elapsed_s = time.monotonic() - begun_s
        return wire.PrepareResponse(
            path=self._told(made.path),
            sha256=sha256_of(made.path),
            elapsed_s=elapsed_s,
            parameters=made.parameters,
        )

    def Convert(self, request: wire.ConvertRequest, context: grpc.ServicerContext) -> wire.ConvertResponse:
        """Convert a model to ONNX in the outbox."""
        begun_s = time.monotonic()
        made = self._session.convert(
            model=request.model,
            weights_file=self._models.file(request.weights_file, key="weights_file"),
            sequence_length=request.sequence_length,
            opset=request.opset,
            outbox=self._outbox,
            threads=request.threads,
        )
        elapsed_s = time.monotonic() - begun_s
        return wire.ConvertResponse(
            path=self._told(made.path),
            sha256=sha256_of(made.path),
            opset=made.opset,
            elapsed_s=elapsed_s,
            size_bytes=made.path.stat().st_size,
            exporter=made.exporter,
        )

    def Load(self, request: wire.LoadRequest, context: grpc.ServicerContext) -> wire.LoadResponse:
        """Load one model, replacing whatever was loaded."""
        return _load_response(self._session.load(self._load_order(request)))

    def Stage(
        self, request_iterator: Iterable[wire.StageRequest], context: grpc.ServicerContext
    ) -> wire.StageResponse:
        """Put one batch of inputs where the forward pass reads it."""
        batch = BatchAssembler(self._session.loaded_facts().inputs)
        for request in request_iterator:
            batch.add(request.chunk)
        inputs, sha256 = batch.finish()
        self._session.stage(inputs)
        return wire.StageResponse(sha256=sha256, bytes=sum(array.nbytes for array in inputs.values()))

    def Check(self, request: wire.CheckRequest, context: grpc.ServicerContext) -> Iterator[wire.TensorChunk]:
        """Stream the outputs of one forward pass over the staged inputs."""
        return chunks(self._session.check())

    def Run(self, request: wire.RunRequest, context: grpc.ServicerContext) -> Iterator[wire.RunEvent]:
        """Run forward passes until Stop, cancellation or a cap."""
        run = self._session.begin_run(_run_order(request))
        if not context.add_callback(run.stop):
            run.stop()  # The client was gone before the run began.
        return map(_run_event, run.follow())

    def Stop(self, request: wire.StopRequest, context: grpc.ServicerContext) -> wire.StopResponse:
        """End the run in progress."""
        return wire.StopResponse(running=self._session.stop_run())

    def Kept(self, request: wire.KeptRequest, context: grpc.ServicerContext) -> Iterator[wire.KeptChunk]:
        """Stream the outputs that the last run kept, copied only now."""
        for iteration, outputs in self._session.kept():
            for chunk in chunks(outputs):
                yield wire.KeptChunk(iteration=iteration, chunk=chunk)

    def Unload(self, request: wire.UnloadRequest, context: grpc.ServicerContext) -> wire.UnloadResponse:
        """Free everything that Load and Stage took."""
        return wire.UnloadResponse(unloaded=self._session.unload())

    def _load_order(self, request: wire.LoadRequest) -> LoadOrder:
        return LoadOrder(
            model=request.model,
            batch_size=request.batch_size,
            sequence_length=request.sequence_length,
            precision=request.precision,
            mode=request.mode,
            weights=request.weights,
            weights_file=self._models.optional_file(request.weights_file, key="weights_file"),
            model_file=self._models.optional_file(request.model_file, key="model_file"),
            device=request.device,
            device_uuid=request.device_uuid,
            threads=request.threads,
            io=request.io,
        )

    def _told(self, made: Path) -> str:
        return str(made.resolve().relative_to(self._outbox.resolve()))


def _device(device: Any) -> wire.Device:
    return wire.Device(
        kind=device.kind,
        uuid=device.uuid,
        name=device.name,
        compute_capability=device.compute_capability,
        memory_bytes=device.memory_bytes,
    )


def _load_response(report: LoadReport) -> wire.LoadResponse:
    facts = report.facts
    return wire.LoadResponse(
        inputs=spec_messages(facts.inputs, wire.TensorSpec),
        outputs=spec_messages(facts.outputs, wire.TensorSpec),
        parameters=facts.parameters,
        flops=facts.flops,
        device_bytes=facts.device_bytes,
        load_s=report.load_s,
        build_s=report.build_s,
        nodes_per_provider=facts.nodes_per_provider,
        flags=facts.flags,
        dtypes=facts.dtypes,
    )


def _run_order(request: wire.RunRequest) -> RunOrder:
    return RunOrder(
        cap_s=request.cap_s,
        max_iterations=request.max_iterations,
        keep_every=request.keep_every,
        keep_max=request.keep_max,
        progress_s=request.progress_s or DEFAULT_PROGRESS_S,
    )


def _run_event(event: Started | Progress | Finished) -> wire.RunEvent:
    if isinstance(event, Started):
        return wire.RunEvent(started=wire.RunStarted(monotonic_ns=event.monotonic_ns))
    if isinstance(event, Progress):
        return wire.RunEvent(progress=wire.RunProgress(end_ns=event.ends_ns))
    return wire.RunEvent(
        finished=wire.RunFinished(
            monotonic_ns=event.monotonic_ns,
            iterations=event.iterations,
            end_ns=event.ends_ns,
            reason=event.reason,
        )
    )
