"""PyTorch's numeric switches: set explicitly for a precision, and read back."""

from collections.abc import Mapping

import torch

from greenbench_runtime.engine import InvalidRequestError, UnsupportedError

DTYPES: Mapping[str, torch.dtype] = {
    "fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16,
}  # fmt: skip
"""Of weights and floating-point inputs, by precision."""

_CPU_PRECISIONS = ("fp32", "fp16", "bf16")


def set_precision(precision: str, device: str) -> None:
    """Make a precision the one that is computed in.

    TF32 is switched for matrix products and convolutions alike, whose defaults differ. cuDNN may search
    for its fastest convolution during warm-up, as ONNX Runtime does too.

    Raises:
        InvalidRequestError: `precision` is not known.
        UnsupportedError: It does not exist on this kind of device.
    """
    if precision not in DTYPES:
        raise InvalidRequestError(f"precision {precision!r} is not known; known are {', '.join(DTYPES)}")
    if device == "cpu" and precision not in _CPU_PRECISIONS:
        raise UnsupportedError(f"precision {precision} is not on the CPU; use {' or '.join(_CPU_PRECISIONS)}")
    kind = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = kind
    # Of cuDNN's two switches this is the one that torch.export and torch.compile can still read afterwards:
    # they refuse to go on where its operators were set one by one.
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    torch.backends.mkldnn.conv.fp32_precision = "ieee"
    torch.backends.cudnn.benchmark = True
    torch.use_deterministic_algorithms(mode=False)


def flags(device: str) -> dict[str, str]:
    """Return the switches in force, as PyTorch reports them; those of TF32 have ``tf32`` in their names."""
    common = {
        "threads": str(torch.get_num_threads()),
        "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()),
    }
    if device == "cpu":
        mkldnn = torch.backends.mkldnn
        return common | {
            "mkldnn.matmul.fp32_precision": mkldnn.matmul.fp32_precision,
            "mkldnn.conv.fp32_precision": mkldnn.conv.fp32_precision,
        }
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return common | {
        "cuda.matmul.tf32": matmul.fp32_precision,
        "cudnn.conv.tf32": str(cudnn.allow_tf32),
        "cuda.matmul.fp16_reduced_precision_reduction": str(matmul.allow_fp16_reduced_precision_reduction),
        "cudnn.benchmark": str(cudnn.benchmark),
        "cudnn.deterministic": str(cudnn.deterministic),
    }
