"""Compiling a network by ``torch.compile``, cold at every load."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

CUDA_GRAPHS = False
"""Whether launches are replayed as CUDA graphs: said at every compiling, whatever the environment holds."""

_CACHES = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}


class CompiledNetwork:
    """A network that is compiled at its first forward pass, into a folder of its own.

    The folder is empty at first, so that what compiling took (``build_s``) never depends on what was
    compiled before, and goes with the object.
    """

    def __init__(self, network: Callable[..., Tensor]) -> None:
        """Point the compilers' caches to an empty folder; nothing is compiled yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="greenbench-compile-", ignore_cleanup_errors=True)
        for variable, name in _CACHES.items():
            os.environ[variable] = str(Path(self._folder.name) / name)
        torch.compiler.reset()
        self._network = torch.compile(network, dynamic=False, options={"triton.cudagraphs": CUDA_GRAPHS})

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the network's output."""
        output: Tensor = self._network(*inputs)
        return output
