"""CUDA libraries that lie in wheels beside a framework which does not look for them there."""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path


def load_from_wheels(name: str, places: Iterable[str] | None = None) -> Path | None:
    """Load a library of NVIDIA's wheels into this process: who asks for it by its name then has it.

    Args:
        name: Its file's name without the version, such as ``libcusolver``.
        places: Where packages lie; this process's own search path where none are given.

    Returns:
        What was loaded; None where no wheel brings it, as in a build for the CPU.

    Raises:
        OSError: It is there and can't be loaded.
    """
    for place in sys.path if places is None else places:
        for path in sorted(Path(place).glob(f"nvidia/*/lib/{name}.so*")):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            return path
    return None
