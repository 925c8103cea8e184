"""ONNX Runtime's execution providers: which one a mode is, what it computes in, and how it is asked to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnxruntime as ort

from greenbench_runtime.engine import LoadOrder, UnavailableError, UnsupportedError
from greenbench_runtime.machine import cpu_flags
from greenbench_runtime.networks import onnx_tensorrt
from greenbench_runtime.networks.cuda_devices import ordinal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One execution provider.

    Attributes:
        name: As ONNX Runtime names it.
        device: ``cpu`` or ``cuda``: where it computes, and where its inputs and outputs are bound.
        precisions: What it can be asked to compute in, from a model whose weights are float32.
        missing: Why it may not come up although the build has it.
    """

    name: str
    device: str
    precisions: tuple[str, ...]
    missing: str


PROVIDERS: Mapping[str, Provider] = {
    "cuda": Provider(
        name="CUDAExecutionProvider",
        device="cuda",
        precisions=("fp32", "tf32"),
        missing="its CUDA or cuDNN libraries are missing, or the driver is too old for them",
    ),
    "cpu": Provider(name="CPUExecutionProvider", device="cpu", precisions=("fp32",), missing="it always is"),
    "tensorrt": Provider(
        name="TensorrtExecutionProvider",
        device="cuda",
        precisions=("fp32", "tf32", "fp16", "bf16"),
        missing="TensorRT's libraries (libnvinfer, libnvonnxparser) are not there, or of another version",
    ),
    "openvino": Provider(
        name="OpenVINOExecutionProvider",
        device="cpu",
        precisions=("fp32", "fp16", "bf16"),
        missing="its libraries are missing, or it refused its options",
    ),
}
"""The provider of each mode."""

_HAS_TF32_SWITCH = onnx_tensorrt.VERSION >= (1, 18)
_HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_INSTRUCTIONS = {"fp16": ("avx512_fp16", "amx_fp16"), "bf16": ("avx512_bf16", "amx_bf16")}
"""CPU flags, one of which OpenVINO needs to compute in a precision; without, it stays in float32 unasked."""


def modes() -> tuple[str, ...]:
    """Return the modes whose execution provider this build has."""
    available = ort.get_available_providers()
    return tuple(mode for mode, provider in PROVIDERS.items() if provider.name in available)


def check_provider(order: LoadOrder) -> None:
    """Refuse what the order's provider does not do.

    Raises:
        UnavailableError: This version can't be asked for it.
        UnsupportedError: It computes elsewhere, not in this precision, or this CPU can't.
    """
    provider = PROVIDERS[order.mode]
    if order.device != provider.device:
        raise UnsupportedError(
            f"mode {order.mode} does not run on device {order.device!r}; use {provider.device!r}"
        )
    if order.precision not in provider.precisions:
        known = " or ".join(provider.precisions)
        raise UnsupportedError(f"precision {order.precision} is not in mode {order.mode}; use {known}")
    if (order.mode, order.precision) == ("tensorrt", "bf16") and not onnx_tensorrt.HAS_BF16:
        text = f"needs onnxruntime 1.23 or newer, and this is {ort.__version__}; use fp16"
        raise UnsupportedError(f"precision bf16 in mode tensorrt {text}")
    if order.mode == "cuda" and not _HAS_TF32_SWITCH:
        text = f"needs onnxruntime 1.18 or newer, and this is {ort.__version__}: before, TF32 had no switch"
        raise UnavailableError(f"mode cuda {text}")
    needed = _INSTRUCTIONS.get(order.precision, ()) if order.mode == "openvino" else ()
    if needed and not cpu_flags().intersection(needed):
        raise UnsupportedError(
            f"precision {order.precision} in mode {order.mode} needs a CPU with {' or '.join(needed)}, "
            "which this one lacks; use fp32"
        )


def provider_options(order: LoadOrder) -> dict[str, str]:
    """Return what the order's provider is asked for, every numeric switch explicitly."""
    if order.mode == "openvino":
        return {"device_type": "CPU", "load_config": json.dumps({"CPU": openvino_settings(order)})}
    if order.mode == "cuda":
        return {
            "device_id": str(ordinal_of(order.device_uuid)),
            **({"use_tf32": "1" if order.precision == "tf32" else "0"} if _HAS_TF32_SWITCH else {}),
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "enable_cuda_graph": "0",
        }
    if order.mode == "tensorrt":
        return {"device_id": str(ordinal_of(order.device_uuid)), **onnx_tensorrt.settings(order)}
    return {}


def chain(order: LoadOrder) -> list[tuple[str, dict[str, str]]]:
    """Return the providers of a session with their options: the mode's, and behind it what it needs alone.

    Nodes that TensorRT cannot build run on the same GPU by CUDA, and count as nodes elsewhere. Where CUDA's
    provider has no switch for TF32, the process's own, which TensorRT needs, is in force for both.
    """
    first = (PROVIDERS[order.mode].name, provider_options(order))
    if order.mode != "tensorrt":
        return [first]
    behind = replace(order, mode="cuda")
    return [first, (PROVIDERS["cuda"].name, provider_options(behind))]


def openvino_settings(order: LoadOrder) -> dict[str, str]:
    """Return OpenVINO's settings: one request at a time on the order's threads, as every runtime computes."""
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[order.precision],
        "INFERENCE_NUM_THREADS": str(order.threads),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
    }


def provider_flags(session: ort.InferenceSession, order: LoadOrder) -> dict[str, str]:
    """Return the provider's switches as it reports them; OpenVINO reports none, so those it accepted.

    It refuses a session over a setting that it does not know, and outputs tell whether a precision was used.
    """
    if order.mode == "openvino":
        return {f"openvino.asked.{name.lower()}": value for name, value in openvino_settings(order).items()}
    reported = session.get_provider_options()[PROVIDERS[order.mode].name]
    if order.mode == "tensorrt":
        return onnx_tensorrt.flags(reported)
    shown = ("use_tf32", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "enable_cuda_graph")
    return {name: reported[name] for name in shown if name in reported}


def weights_dtype(order: LoadOrder) -> dict[str, str]:
    """Return the weights' type where it is known: not every provider tells what it makes of float32 ones."""
    full = order.mode not in {"openvino", "tensorrt"} or order.precision in {"fp32", "tf32"}
    return {"weights": "float32"} if full else {}
