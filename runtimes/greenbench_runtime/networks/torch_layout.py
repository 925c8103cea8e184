"""The memory format in which PyTorch keeps images and the weights of their convolutions."""

import torch
from torch import Tensor, nn

from greenbench_runtime.engine import LoadOrder

_HALVES = ("fp16", "bf16")
_IMAGE_DIMENSIONS = 4
"""Of a batch of images, and of a convolution's weights."""


def image_format(order: LoadOrder) -> torch.memory_format:
    """Return the format in which a network with images is loaded.

    PyTorch's documentation advises ``channels_last`` for networks of convolutions, and it is faster on the
    CPU, and on a GPU in half precision or compiled. On a GPU in mode ``eager`` it is slower in fp32 and mixed
    in TF32: those stay contiguous, PyTorch's default. The rule knows the order and nothing else, so that what
    is measured is known before anything is loaded (docs/decisions/0010-pytorch-memory-format.md).
    """
    faster = order.device == "cpu" or order.mode == "compile" or order.precision in _HALVES
    return torch.channels_last if faster else torch.contiguous_format


def formatted(tensor: Tensor, memory_format: torch.memory_format) -> Tensor:
    """Return a batch of images in a format, and any other tensor as it is."""
    return tensor.contiguous(memory_format=memory_format) if tensor.dim() == _IMAGE_DIMENSIONS else tensor


def format_flag(network: nn.Module) -> dict[str, str]:
    """Return the format that a network's convolutions have, read back; nothing where there are none."""
    weights = [weight for weight in network.parameters() if weight.dim() == _IMAGE_DIMENSIONS]
    if not weights:
        return {}
    last = all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    return {"memory_format": "channels_last" if last else "contiguous_format"}
