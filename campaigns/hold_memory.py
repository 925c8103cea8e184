"""Hold all free memory of the first visible GPU but some MiB until stdin is closed, by the driver's own API.

    python -m campaigns.hold_memory 1024

Prints the bytes held. A process of its own, so that its end gives everything back.
Source: CUDA driver API, `cuMemGetInfo` and `cuMemAlloc`.
"""

import ctypes
import sys

CHUNK = 256 << 20


class DriverError(RuntimeError):
    """A call of the CUDA driver failed."""


def _call(name: str, *arguments: object) -> int:
    status: int = getattr(ctypes.CDLL("libcuda.so.1"), name)(*arguments)
    return status


def _must(name: str, *arguments: object) -> None:
    if status := _call(name, *arguments):
        raise DriverError(f"{name}: CUDA error {status}")


def hold(left: int) -> int:
    """Allocate until `left` bytes or less than a chunk above them are free; return the bytes held."""
    _must("cuInit", 0)
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _must("cuDeviceGet", ctypes.byref(device), 0)
    _must("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    _must("cuCtxSetCurrent", context)
    held = 0
    while _free() - left >= CHUNK:
        at = ctypes.c_uint64()
        _must("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(CHUNK))
        held += CHUNK
    return held


def _free() -> int:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _must("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    return free.value


if __name__ == "__main__":
    sys.stdout.write(f"{hold(int(sys.argv[1]) << 20)}\n")
    sys.stdout.flush()
    sys.stdin.read()
