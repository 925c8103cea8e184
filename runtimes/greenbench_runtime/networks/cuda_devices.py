"""The CUDA driver's own list of devices, for frameworks that name a GPU by number only.

Read through ``libcuda``, so that numbers are those of this process: ``CUDA_VISIBLE_DEVICES`` and a
container's device list are already applied, which NVML's numbers would not be.
"""

import ctypes
import os
import uuid
from collections.abc import Callable, Sequence

from greenbench_runtime.engine import DeviceFacts, UnsupportedError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


def cuda_devices() -> tuple[DeviceFacts, ...]:
    """Return the GPUs that this process can use, in CUDA's order; empty without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_facts(driver, ordinal) for ordinal in range(count.value))


def ordinal_of(device_uuid: str) -> int:
    """Return the number that CUDA gives a GPU in this process.

    Args:
        device_uuid: As NVML writes it, ``GPU-...``; empty takes the first.

    Raises:
        UnsupportedError: No such GPU; names those that are visible.
    """
    uuids = [device.uuid for device in cuda_devices()]
    if not uuids:
        raise UnsupportedError(
            "no CUDA device is visible here; check the NVIDIA driver and CUDA_VISIBLE_DEVICES"
        )
    return place_of(device_uuid, uuids)


def place_of(device_uuid: str, uuids: Sequence[str]) -> int:
    """Return where a GPU stands among those that are visible.

    Args:
        device_uuid: As NVML writes it; empty takes the first.
        uuids: Of the visible ones, in CUDA's order; at least one. Of a GPU that MIG splits CUDA shows one
            instance, under a UUID of its own: it is the GPU's where this process is shown that GPU alone.

    Raises:
        UnsupportedError: No such GPU; names those that are visible.
    """
    if not device_uuid:
        return 0
    if device_uuid in uuids:
        return uuids.index(device_uuid)
    if len(uuids) == 1 and os.environ.get("CUDA_VISIBLE_DEVICES") == device_uuid:
        return 0
    raise UnsupportedError(f"GPU {device_uuid} is not visible here; visible are {', '.join(uuids)}")


def memory_gauge(ordinal: int) -> Callable[[], int]:
    """Return a function that reads the bytes in use on a GPU, by all processes.

    It retains the GPU's primary context first, so that the difference of two readings holds none of it.
    """
    driver = ctypes.CDLL("libcuda.so.1")
    context = ctypes.c_void_p()
    driver.cuInit(0)
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), ordinal):
        raise UnsupportedError(
            f"CUDA device {ordinal} gives no context; another process may hold it exclusively"
        )

    def used_bytes() -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        driver.cuCtxPushCurrent_v2(context)
        driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        return total.value - free.value

    return used_bytes


def _facts(driver: ctypes.CDLL, ordinal: int) -> DeviceFacts:
    identity, name = (ctypes.c_ubyte * 16)(), ctypes.create_string_buffer(128)
    memory, major, minor = ctypes.c_size_t(), ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGetUuid_v2(identity, ordinal)
    driver.cuDeviceGetName(name, len(name), ordinal)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), ordinal)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, ordinal)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, ordinal)
    return DeviceFacts(
        kind="cuda",
        uuid=f"GPU-{uuid.UUID(bytes=bytes(identity))}",
        name=name.value.decode(),
        compute_capability=f"{major.value}.{minor.value}",
        memory_bytes=memory.value,
    )
