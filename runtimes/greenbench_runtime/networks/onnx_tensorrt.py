"""TensorRT as ONNX Runtime's execution provider: precision, engine cache, libraries.

An engine is built for this GPU when the session opens, which takes from seconds to minutes and is part of
``load_s``; its cache lies in a folder of this process, so that it never depends on what was built before.
TensorRT's libraries come with an adopted environment only.
"""

import contextlib
import importlib
import os
from collections.abc import Mapping

import onnxruntime as ort

from greenbench_runtime.engine import LoadOrder, UnsupportedError
from greenbench_runtime.folders import own_folder

OVERRIDE = "NVIDIA_TF32_OVERRIDE"
"""TensorRT takes TF32 unless this says 0; the provider has no option, and a process reads it once."""

_decided: list[bool] = []


VERSION = tuple(int(part) for part in ort.__version__.split(".")[:2])
"""Of ONNX Runtime: an adopted environment holds the one that its TensorRT goes with; older ones lack some."""

HAS_BF16 = VERSION >= (1, 23)
"""Whether this provider can be asked for bfloat16."""


def settings(order: LoadOrder) -> dict[str, str]:
    """Return the provider's options; both reduced precisions explicitly."""
    return {
        "trt_fp16_enable": str(order.precision == "fp16"),  # True or False: 0 and 1 are refused
        **({"trt_bf16_enable": str(order.precision == "bf16")} if HAS_BF16 else {}),
        "trt_int8_enable": "False",
        "trt_cuda_graph_enable": "False",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(own_folder()),
        "trt_timing_cache_enable": "False",
    }


def flags(reported: Mapping[str, str]) -> dict[str, str]:
    """Return the switches in force: as the provider reports them, and TF32 as this process decided it."""
    shown = ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_cuda_graph_enable")
    return {name: reported[name] for name in shown if name in reported} | {
        "tensorrt.tf32": "on" if _decided and _decided[0] else "off"
    }


def prepare(order: LoadOrder) -> None:
    """Decide TF32 for this process and load TensorRT's libraries where a wheel brought them.

    Raises:
        UnsupportedError: An earlier session of this process decided otherwise.
    """
    wanted = order.precision == "tf32"
    if _decided and _decided[0] != wanted:
        raise UnsupportedError(
            f"precision {order.precision} in mode tensorrt needs a process of its own: TF32 was decided "
            "by the first session; start the runtime again"
        )
    if not _decided:
        _decided.append(wanted)
        if wanted:
            os.environ.pop(OVERRIDE, None)
        else:
            os.environ[OVERRIDE] = "0"
    # The wheels' packages load their own libraries, which no loader path names; up to TensorRT 8.6 the
    # bindings' package holds them.
    for package in ("tensorrt_libs", "tensorrt"):
        with contextlib.suppress(ImportError):
            importlib.import_module(package)
            break
