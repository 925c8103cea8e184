"""The host's side of ``greenbench.v1.Benchmark``: typed calls, each with a deadline."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import grpc

from greenbench.core.errors import RuntimeCallError
from greenbench.fleet.answers import Description, KeptOutput, LoadedFacts, OnnxFile, WeightsFile
from greenbench.fleet.channel import CallErrors, open_channel
from greenbench.fleet.decoding import description, loaded_facts
from greenbench.fleet.launcher import Instance
from greenbench.fleet.run_stream import STALL_S, RunStream
from greenbench.fleet.tensors import Array, assemble, chunks, tensor_sha256
from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import benchmark_pb2_grpc
from greenbench_wire.fingerprint import schema_fingerprint

QUICK_S = 30.0
TENSOR_S = 120.0
LOAD_S = 300.0
MAKE_S = 900.0
"""Deadlines in seconds: of calls that only ask, that move tensors, that load, and that make files."""


class RuntimeClient:
    """Calls one runtime while entered.

    Every call may raise a `FleetError`: `RuntimeCallError` where the runtime refuses,
    `RuntimeTimeoutError` past the deadline and, where the instance is known, `RuntimeDiedError`
    when its process is gone.
    """

    def __init__(self, address: str, *, instance: Instance | None = None) -> None:
        """Prepare a client; it connects once entered.

        Args:
            address: ``unix:PATH`` or ``HOST:PORT``.
            instance: The started runtime behind it; None for a server that isn't ours to watch.
        """
        self._address = address
        self._name = instance.runtime if instance else f"the runtime at {address}"
        self._errors = CallErrors(self._name, instance)
        self._channel: grpc.Channel | None = None
        self._stub: Any = None

    def __enter__(self) -> Self:
        self._channel = open_channel(self._address)
        stub: Any = benchmark_pb2_grpc.BenchmarkStub  # generated, without annotations
        self._stub = stub(self._channel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = self._stub = None

    def describe(self, *, deadline_s: float = QUICK_S) -> Description:
        """Return what the runtime is and can do.

        Raises:
            RuntimeCallError: It speaks another version of the schema.
        """
        answer = self._ask("Describe", wire.DescribeRequest(), deadline_s)
        if answer.schema_fingerprint != schema_fingerprint():
            raise RuntimeCallError(
                f"{self._name} speaks another version of greenbench's schema; build it again with "
                "`greenbench up`",
                code="FAILED_PRECONDITION",
            )
        return description(answer)

    def prepare(
        self,
        *,
        model: str,
        seed: int | None = None,
        weights_file: str = "",
        calibration_file: str = "",
        threads: int,
        deadline_s: float = MAKE_S,
    ) -> WeightsFile:
        """Make a model's canonical weights, from a seed or from a file in the models folder.

        Args:
            model: Which.
            seed: Of seeded weights; None where `weights_file` is named.
            weights_file: Relative to the models folder.
            calibration_file: Inputs for BatchNorm statistics (.npz), relative to the models folder.
            threads: Intra-operator threads.
            deadline_s: Longest wait, seconds.
        """
        origin: dict[str, Any] = {"weights_file": weights_file} if seed is None else {"seed": seed}
        request = wire.PrepareRequest(
            model=model, calibration_file=calibration_file, threads=threads, **origin
        )
        answer = self._ask("Prepare", request, deadline_s)
        return WeightsFile(
            path=answer.path, sha256=answer.sha256, elapsed_s=answer.elapsed_s, parameters=answer.parameters
        )

    def convert(
        self,
        *,
        model: str,
        weights_file: str,
        sequence_length: int = 0,
        opset: int = 0,
        threads: int,
        deadline_s: float = MAKE_S,
    ) -> OnnxFile:
        """Convert a model to ONNX with the framework's own exporter.

        Args:
            model: Which.
            weights_file: Canonical weights, relative to the models folder.
            sequence_length: Tokens per sample; 0 for vision models.
            opset: ONNX operator set; 0 for the exporter's own default.
            threads: Intra-operator threads.
            deadline_s: Longest wait, seconds.
        """
        request = wire.ConvertRequest(
            model=model,
            weights_file=weights_file,
            sequence_length=sequence_length,
            opset=opset,
            threads=threads,
        )
        answer = self._ask("Convert", request, deadline_s)
        return OnnxFile(
            path=answer.path,
            sha256=answer.sha256,
            opset=answer.opset,
            elapsed_s=answer.elapsed_s,
            size_bytes=answer.size_bytes,
            exporter=answer.exporter,
        )

    def load(
        self,
        *,
        model: str,
        batch_size: int,
        sequence_length: int = 0,
        precision: str = "fp32",
        mode: str,
        weights: str = "matched",
        weights_file: str = "",
        model_file: str = "",
        device: str,
        device_uuid: str = "",
        threads: int,
        io: str = "device",
        deadline_s: float = LOAD_S,
    ) -> LoadedFacts:
        """Load one model, replacing whatever was loaded; arguments as in the schema's LoadRequest."""
        request = wire.LoadRequest(
            model=model,
            batch_size=batch_size,
            sequence_length=sequence_length,
            precision=precision,
            mode=mode,
            weights=weights,
            weights_file=weights_file,
            model_file=model_file,
            device=device,
            device_uuid=device_uuid,
            threads=threads,
            io=io,
        )
        return loaded_facts(self._ask("Load", request, deadline_s))

    def stage(self, inputs: Mapping[str, Array], *, deadline_s: float = TENSOR_S) -> None:
        """Put one batch of inputs where the forward pass reads it, and prove that it arrived whole.

        Raises:
            RuntimeCallError: The runtime received other bytes than were sent.
        """
        # Types are checked before the call: an error inside a request iterator would reach nobody.
        requests = [wire.StageRequest(chunk=chunk) for chunk in chunks(inputs)]
        answer = self._ask("Stage", iter(requests), deadline_s)
        for name, tensor in inputs.items():
            if answer.sha256.get(name) != tensor_sha256(tensor):
                raise RuntimeCallError(
                    f"{self._name} received other bytes of input {name!r}", code="DATA_LOSS"
                )

    def check(self, *, deadline_s: float = LOAD_S) -> dict[str, Array]:
        """Return the outputs of one forward pass over the staged inputs, by name."""
        return dict(assemble(self._listen("Check", wire.CheckRequest(), deadline_s)))

    def run(
        self,
        *,
        keep_every: int = 0,
        keep_max: int = 0,
        cap_s: float = 0.0,
        max_iterations: int = 0,
        progress_s: float = 1.0,
        stall_s: float = STALL_S,
    ) -> RunStream:
        """Return a run over the staged inputs; it begins when entered and ends by `RunStream.stop`.

        Args:
            keep_every: Keep every k-th output on the device; 0 for none.
            keep_max: How many of the newest are held.
            cap_s: Ends by itself after so many seconds; 0 for no cap.
            max_iterations: Ends by itself after so many iterations; 0 for no cap.
            progress_s: Seconds between two messages of progress.
            stall_s: Longest silence, seconds, before it is taken for hung.
        """
        request = wire.RunRequest(
            cap_s=cap_s,
            max_iterations=max_iterations,
            keep_every=keep_every,
            keep_max=keep_max,
            progress_s=progress_s,
        )
        return RunStream(
            lambda: self._stub.Run(request),
            request_stop=lambda: bool(self._ask("Stop", wire.StopRequest(), QUICK_S).running),
            errors=self._errors,
            stall_s=stall_s,
        )

    def kept(self, *, deadline_s: float = TENSOR_S) -> list[KeptOutput]:
        """Return the outputs that the last run kept, oldest first."""
        received = self._listen("Kept", wire.KeptRequest(), deadline_s)
        return [
            KeptOutput(iteration=iteration, outputs=dict(assemble(part.chunk for part in parts)))
            for iteration, parts in groupby(received, key=lambda part: part.iteration)
        ]

    def unload(self, *, deadline_s: float = TENSOR_S) -> bool:
        """Free everything that Load and Stage took; return whether there was anything."""
        return bool(self._ask("Unload", wire.UnloadRequest(), deadline_s).unloaded)

    def _ask(self, call: str, request: Any, deadline_s: float) -> Any:
        try:
            return self._method(call)(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise self._errors.translate(error, call=call, deadline_s=deadline_s) from error

    def _listen(self, call: str, request: Any, deadline_s: float) -> Iterator[Any]:
        try:
            yield from self._method(call)(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise self._errors.translate(error, call=call, deadline_s=deadline_s) from error

    def _method(self, call: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._stub, call)
        return method
