"""An ONNX Runtime session on one execution provider, and what it says of itself."""

from collections import Counter
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as states

from greenbench_runtime.engine import (
    EngineError,
    InvalidRequestError,
    LoadFacts,
    LoadOrder,
    OutOfMemoryError,
    UnsupportedError,
)
from greenbench_runtime.networks.cuda_devices import ordinal_of
from greenbench_runtime.networks.interface import (
    BATCH_DIMENSION,
    OUTPUT,
    PARAMETERS_KEY,
    input_specs,
    output_specs,
)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Execution provider of each mode."""

ORT_ERRORS = (
    states.Fail, states.InvalidArgument, states.NoSuchFile, states.NoModel, states.EngineError,
    states.RuntimeException, states.InvalidProtobuf, states.ModelLoaded, states.NotImplemented,
    states.InvalidGraph, states.EPFail,
)  # fmt: skip
"""All that ONNX Runtime raises; they share no base of their own."""


def modes() -> tuple[str, ...]:
    """Return the modes whose execution provider this build has, a GPU's first."""
    available = ort.get_available_providers()
    return tuple(mode for mode in reversed(PROVIDERS) if PROVIDERS[mode] in available)


def open_session(order: LoadOrder, model_file: Path) -> ort.InferenceSession:
    """Return a session that computes on the provider of the order's mode.

    The batch is fixed to the order's before the graph is optimised, so that nothing about shapes is
    computed while measuring.

    Raises:
        InvalidRequestError: The file is no ONNX model, or not one of greenbench's.
        UnsupportedError: The provider did not come up; nothing else is used in its place.
        OutOfMemoryError: The model does not fit.
    """
    if not model_file.is_file():
        raise InvalidRequestError(f"model file {model_file.name} is not there; run `greenbench up`")
    if order.mode == "cuda":
        ort.preload_dlls()  # CUDA and cuDNN from their own wheels, which no loader path names
    provider = PROVIDERS[order.mode]
    try:
        session = ort.InferenceSession(
            model_file, _session_options(order), providers=[(provider, _provider_options(order))]
        )
    except ORT_ERRORS as err:
        raise translated(err, f"loading {model_file.name}") from err
    session.disable_fallback()
    if provider not in session.get_providers():
        text = "its CUDA or cuDNN libraries are missing, or the driver is too old for them"
        raise UnsupportedError(
            f"mode {order.mode} can't be used: ONNX Runtime could not start {provider}; {text}"
        )
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
    count = session.get_modelmeta().custom_metadata_map.get(PARAMETERS_KEY)
    if count is None:
        raise InvalidRequestError(
            f"the ONNX model carries no {PARAMETERS_KEY}; convert it with `greenbench up`"
        )
    return LoadFacts(
        inputs=wanted,
        outputs=outputs,
        parameters=int(count),
        device_bytes=device_bytes,
        nodes_per_provider=_nodes_per_provider(session),
        flags=_flags(session, PROVIDERS[order.mode]),
        dtypes={
            "weights": "float32",
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


def _session_options(order: LoadOrder) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = order.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name(BATCH_DIMENSION, order.batch_size)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _provider_options(order: LoadOrder) -> dict[str, str]:
    if order.mode == "cpu":
        return {}
    return {
        "device_id": str(ordinal_of(order.device_uuid)),
        "use_tf32": "1" if order.precision == "tf32" else "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
    }


def _nodes_per_provider(session: ort.InferenceSession) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for subgraph in session.get_provider_graph_assignment_info():
        counts[subgraph.ep_name] += len(subgraph.get_nodes())
    return dict(counts)


def _flags(session: ort.InferenceSession, provider: str) -> dict[str, str]:
    options = session.get_session_options()
    reported = session.get_provider_options()[provider]
    shown = ("use_tf32", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "enable_cuda_graph")
    return {
        "threads": str(options.intra_op_num_threads),
        "inter_op_threads": str(options.inter_op_num_threads),
        "execution_mode": options.execution_mode.name,
        "graph_optimization_level": options.graph_optimization_level.name,
    } | {name: reported[name] for name in shown if name in reported}


def _dtype(nodes: list[ort.NodeArg]) -> str:
    kinds = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}
    return kinds.get(nodes[0].type, str(nodes[0].type))
