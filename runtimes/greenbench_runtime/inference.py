"""The Open Inference Protocol (KServe v2) over the loaded model, for any client that speaks it."""

# The generated base class sets the names and the arguments.
# ruff: noqa: N802, ARG002

from typing import Any

import grpc

from greenbench_runtime.engine import Array, InvalidRequestError, TensorSpec, UnknownModelError
from greenbench_runtime.session import Session
from greenbench_runtime.specs import datatype_of
from greenbench_runtime.tensors import from_raw, from_typed, raw_bytes, spec_messages
from greenbench_wire import inference_pb2 as wire
from greenbench_wire import inference_pb2_grpc

VERSION = "1"
"""The only version of every model; a request may name it or none."""

MOST_DIMENSIONS = 8
EXTENSIONS = ("greenbench.v1.Benchmark",)


class InferenceServicer(inference_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Serves the model that the session has loaded."""

    def __init__(self, session: Session) -> None:
        """Remember the session."""
        self._session = session

    def ServerLive(
        self, request: wire.ServerLiveRequest, context: grpc.ServicerContext
    ) -> wire.ServerLiveResponse:
        """Say that the server lives."""
        return wire.ServerLiveResponse(live=True)

    def ServerReady(
        self, request: wire.ServerReadyRequest, context: grpc.ServicerContext
    ) -> wire.ServerReadyResponse:
        """Say that the server takes calls."""
        return wire.ServerReadyResponse(ready=True)

    def ModelReady(
        self, request: wire.ModelReadyRequest, context: grpc.ServicerContext
    ) -> wire.ModelReadyResponse:
        """Say whether a known model is the loaded one."""
        self._require_known(request.name, request.version)
        return wire.ModelReadyResponse(ready=request.name == self._session.model_name)

    def ServerMetadata(
        self, request: wire.ServerMetadataRequest, context: grpc.ServicerContext
    ) -> wire.ServerMetadataResponse:
        """Name the server, its framework's version and what else it serves."""
        facts = self._session.facts
        version = facts.versions.get(facts.runtime, "")
        return wire.ServerMetadataResponse(name=self._name, version=version, extensions=EXTENSIONS)

    def ModelMetadata(
        self, request: wire.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> wire.ModelMetadataResponse:
        """Describe the loaded model's inputs and outputs."""
        self._require_known(request.name, request.version)
        facts = self._session.loaded_facts()
        self._require_loaded(request.name)
        tensor = wire.ModelMetadataResponse.TensorMetadata
        return wire.ModelMetadataResponse(
            name=request.name,
            versions=[VERSION],
            platform=self._name,
            inputs=spec_messages(facts.inputs, tensor),
            outputs=spec_messages(facts.outputs, tensor),
        )

    def ModelInfer(
        self, request: wire.ModelInferRequest, context: grpc.ServicerContext
    ) -> wire.ModelInferResponse:
        """Run one batch through the loaded model; inputs raw or typed, outputs raw."""
        self._require_known(request.model_name, request.model_version)
        self._session.loaded_facts()
        outputs = self._session.infer(request.model_name, _inputs(request))
        chosen = _chosen(request, outputs)
        return wire.ModelInferResponse(
            model_name=request.model_name,
            model_version=VERSION,
            id=request.id,
            outputs=[_output(name, array) for name, array in chosen.items()],
            raw_output_contents=[raw_bytes(array) for array in chosen.values()],
        )

    @property
    def _name(self) -> str:
        return f"greenbench-{self._session.facts.runtime}"

    def _require_known(self, name: str, version: str) -> None:
        known = self._session.facts.models
        if name not in known:
            raise UnknownModelError(f"model {name[:100]!r} is not known; known are {', '.join(known)}")
        if version not in ("", VERSION):
            raise UnknownModelError(f"version {version[:100]!r} of {name} is not there; there is {VERSION!r}")

    def _require_loaded(self, name: str) -> None:
        loaded = self._session.model_name
        if name != loaded:
            raise UnknownModelError(f"model {name!r} is not loaded; {loaded} is")


def _inputs(request: wire.ModelInferRequest) -> dict[str, Array]:
    raw, given = request.raw_input_contents, request.inputs
    if raw and len(raw) != len(given):
        raise InvalidRequestError(
            f"{len(raw)} raw_input_contents came for {len(given)} inputs; send one for each"
        )
    inputs = {
        tensor.name: _input(tensor, raw[position] if raw else None) for position, tensor in enumerate(given)
    }
    if len(inputs) != len(given):
        raise InvalidRequestError("an input came twice; send each input once")
    return inputs


def _input(tensor: Any, raw: bytes | None) -> Array:
    spec = TensorSpec(name=tensor.name[:100], datatype=tensor.datatype, shape=tuple(tensor.shape))
    if len(spec.shape) > MOST_DIMENSIONS or any(length < 0 for length in spec.shape):
        shown = list(spec.shape[:MOST_DIMENSIONS])
        raise InvalidRequestError(
            f"tensor {spec.name!r} has {len(spec.shape)} dimensions, {shown} first; "
            f"at most {MOST_DIMENSIONS} are taken, none negative"
        )
    if raw is None:
        return from_typed(spec, tensor.contents)
    if tensor.HasField("contents"):
        raise InvalidRequestError(f"tensor {spec.name!r} came raw and typed; send it in one of the two")
    return from_raw(spec, raw)


def _chosen(request: wire.ModelInferRequest, outputs: Any) -> dict[str, Array]:
    wanted = [output.name for output in request.outputs] or list(outputs)
    unknown = [name for name in wanted if name not in outputs]
    if unknown:
        raise InvalidRequestError(f"output {unknown[0][:100]!r} is not there; there are {', '.join(outputs)}")
    return {name: outputs[name] for name in wanted}


def _output(name: str, array: Array) -> wire.ModelInferResponse.InferOutputTensor:
    return wire.ModelInferResponse.InferOutputTensor(
        name=name, datatype=datatype_of(array), shape=array.shape
    )
