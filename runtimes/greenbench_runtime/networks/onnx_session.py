"""An ONNX Runtime session on one execution provider, and what it says of itself."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as states

from greenbench_runtime.engine import (
    NUMPY_DATATYPES,
    EngineError,
    InvalidRequestError,
    LoadFacts,
    LoadOrder,
    OutOfMemoryError,
    TensorSpec,
    UnavailableError,
    UnsupportedError,
)
from greenbench_runtime.folders import own_folder
from greenbench_runtime.networks import onnx_tensorrt
from greenbench_runtime.networks.interface import (
    BATCH_DIMENSION,
    FLOPS_KEY,
    OUTPUT,
    PARAMETERS_KEY,
    input_specs,
    output_specs,
)
from greenbench_runtime.networks.onnx_providers import (
    PROVIDERS,
    chain,
    provider_flags,
    weights_dtype,
)

ORT_ERRORS = (
    states.Fail, states.InvalidArgument, states.NoSuchFile, states.NoModel, states.EngineError,
    states.RuntimeException, states.InvalidProtobuf, states.ModelLoaded, states.NotImplemented,
    states.InvalidGraph, states.EPFail,
)  # fmt: skip
"""All that ONNX Runtime raises; they share no base of their own."""


_TELLS_ASSIGNMENT = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
"""Whether a session can be asked which provider has which node."""


def open_session(order: LoadOrder, model_file: Path) -> ort.InferenceSession:
    """Return a session that computes on the provider of the order's mode.

    The batch is fixed to the order's before the graph is optimised, so that nothing about shapes is
    computed while measuring.

    Raises:
        InvalidRequestError: The file is no ONNX model, or not one of greenbench's.
        UnavailableError: The provider did not come up; nothing else is used in its place.
        OutOfMemoryError: The model does not fit.
    """
    if not model_file.is_file():
        raise InvalidRequestError(f"model file {model_file.name} is not there; run `greenbench up`")
    if order.device == "cuda" and hasattr(ort, "preload_dlls"):  # since 1.21; before, the loader path says
        ort.preload_dlls()  # CUDA and cuDNN from their own wheels, which no loader path names
    if order.mode == "tensorrt":
        onnx_tensorrt.prepare(order)
    provider = PROVIDERS[order.mode].name
    try:
        session = ort.InferenceSession(model_file, _session_options(order), providers=chain(order))
    except ORT_ERRORS as err:
        raise translated(err, f"loading {model_file.name}") from err
    session.disable_fallback()
    if provider not in session.get_providers():
        reason = f"ONNX Runtime could not start {provider}; {PROVIDERS[order.mode].missing}"
        raise UnavailableError(f"mode {order.mode} can't be used: {reason}")
    return session


def facts_of(session: ort.InferenceSession, order: LoadOrder, device_bytes: int) -> LoadFacts:
    """Return what a session says of itself.

    Raises:
        InvalidRequestError: Its inputs or outputs are not the model's, or it does not say how many
            weights it has.
    """
    size = (order.model, order.batch_size, order.sequence_length)
    wanted, outputs = input_specs(*size), output_specs(*size)
    found = {node.name: tuple(node.shape) for node in session.get_inputs()}
    if found != {spec.name: spec.shape for spec in wanted} or OUTPUT not in {
        o.name for o in session.get_outputs()
    }:
        text = f"takes {found}, not what {order.model} does at batch {order.batch_size}"
        raise InvalidRequestError(f"the ONNX model {text}; convert it with `greenbench up`")
    said = session.get_modelmeta().custom_metadata_map
    count, flops = said.get(PARAMETERS_KEY), said.get(FLOPS_KEY)
    if count is None:
        raise InvalidRequestError(
            f"the ONNX model carries no {PARAMETERS_KEY}; convert it with `greenbench up`"
        )
    return LoadFacts(
        inputs=wanted,
        outputs=outputs,
        parameters=int(count),
        flops=int(flops) if flops else None,  # conversions made before they were counted carry none
        device_bytes=device_bytes,
        nodes_per_provider=nodes_per_provider(session, wanted),
        flags=_flags(session) | provider_flags(session, order),
        dtypes=weights_dtype(order)
        | {
            "inputs": _dtype(session.get_inputs()),
            "outputs": _dtype(session.get_outputs()),
        },
    )


def translated(err: Exception, doing: str) -> EngineError:
    """Return the engine's error for one of ONNX Runtime's, in one line."""
    reason = str(err).splitlines()[0].removeprefix("[ONNXRuntimeError] : ")
    if "Failed to allocate memory" in str(err) or "out of memory" in str(err):
        return OutOfMemoryError(f"{doing}: {reason}; take a smaller batch_size")
    if isinstance(err, states.NotImplemented):
        return UnsupportedError(f"{doing}: {reason}; take another mode or opset")
    return InvalidRequestError(f"{doing}: {reason}; convert it again with `greenbench up`")


def nodes_per_provider(session: ort.InferenceSession, inputs: Sequence[TensorSpec]) -> dict[str, int]:
    """Return how many nodes of the graph each execution provider took, by the provider's name.

    An old session (1.17's) can't be asked for that: one pass over zeros tells which provider's kernels ran,
    fused ones counted once. That pass is part of the load, and the first of the loop no longer is the first.

    Raises:
        InvalidRequestError: That pass failed.
    """
    counts: Counter[str] = Counter()
    if not _TELLS_ASSIGNMENT:
        zeros = {spec.name: np.zeros(spec.shape, NUMPY_DATATYPES[spec.datatype]) for spec in inputs}
        try:
            session.run(None, zeros)
        except ORT_ERRORS as err:
            raise translated(err, "a first pass") from err
        profile = Path(session.end_profiling())
        kernels = {
            (event["name"], event["args"]["provider"])
            for event in json.loads(profile.read_text())
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        }
        profile.unlink()
        counts.update(provider for _, provider in kernels)
        return dict(counts)
    for subgraph in session.get_provider_graph_assignment_info():
        counts[subgraph.ep_name] += len(subgraph.get_nodes())
    return dict(counts)


def _session_options(order: LoadOrder) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = order.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name(BATCH_DIMENSION, order.batch_size)
    if _TELLS_ASSIGNMENT:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    else:
        options.enable_profiling = True  # until the nodes are counted
        options.profile_file_prefix = str(own_folder() / "profile")
    return options


def _flags(session: ort.InferenceSession) -> dict[str, str]:
    options = session.get_session_options()
    return {
        "threads": str(options.intra_op_num_threads),
        "inter_op_threads": str(options.inter_op_num_threads),
        "execution_mode": options.execution_mode.name,
        "graph_optimization_level": options.graph_optimization_level.name,
    }


def _dtype(nodes: list[ort.NodeArg]) -> str:
    kinds = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}
    return kinds.get(nodes[0].type, str(nodes[0].type))
