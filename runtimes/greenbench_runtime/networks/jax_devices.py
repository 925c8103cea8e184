"""What JAX is told before it computes, and what it says of that: devices, threads, TF32."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp

from greenbench_runtime.engine import (
    DeviceFacts,
    InvalidRequestError,
    LoadOrder,
    OutOfMemoryError,
    UnsupportedError,
)
from greenbench_runtime.networks.cuda_devices import cuda_devices, ordinal_of

DTYPES = {
    "fp32": jnp.dtype(jnp.float32), "tf32": jnp.dtype(jnp.float32), "fp16": jnp.dtype(jnp.float16),
    "bf16": jnp.dtype(jnp.bfloat16),
}  # fmt: skip
"""Of weights and floating-point inputs, by precision."""

_CPU_PRECISIONS = ("fp32", "bf16")

_POOL = "tf_XLAEigen"
"""Name of the threads that XLA computes with on the CPU."""


def devices() -> tuple[DeviceFacts, ...]:
    """Return the CPU and, in a build for CUDA, the GPUs that the driver shows."""
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin")
    gpus = cuda_devices() if any(importlib.util.find_spec(name) for name in plugins) else ()
    return (DeviceFacts(kind="cpu"), *gpus)


def configure(order: LoadOrder) -> jax.Device:
    """Set threads and TF32 as the order says; return the device.

    Raises:
        InvalidRequestError: The precision is not known.
        UnsupportedError: It is not on this device, or the device or number of threads can't be had.
    """
    if order.precision not in DTYPES:
        known = ", ".join(DTYPES)
        raise InvalidRequestError(f"precision {order.precision!r} is not known; known are {known}")
    if order.device == "cpu" and order.precision not in _CPU_PRECISIONS:
        known = " or ".join(_CPU_PRECISIONS)
        raise UnsupportedError(f"precision {order.precision} is not on the CPU; use {known}")
    # Read when the backend starts, at the first array: the size of XLA's pool, and no grab of all GPU memory.
    os.environ["NPROC"] = str(order.threads)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.config.update(
        "jax_default_matmul_precision", "tensorfloat32" if order.precision == "tf32" else "float32"
    )
    device = _device(order)
    if order.device == "cpu" and (there := _threads()) != order.threads:
        text = f"XLA keeps the {there} it began with; start the runtime anew"
        raise UnsupportedError(f"threads {order.threads} can't be set: {text}")
    return device


def _device(order: LoadOrder) -> jax.Device:
    try:
        if order.device == "cpu":
            return jax.devices("cpu")[0]
        return jax.devices("cuda")[ordinal_of(order.device_uuid)]
    except (RuntimeError, IndexError) as err:
        reason = str(err).strip().splitlines()[0]
        raise UnsupportedError(f"device {order.device} can't be used by JAX: {reason}") from err


def _threads() -> int:
    """Count the threads of XLA's pool, which JAX itself does not tell."""
    names = (path.read_text() for path in Path("/proc/self/task").glob("*/comm"))
    return sum(name.startswith(_POOL) for name in names)


def flags(device: str) -> dict[str, str]:
    """Return the switches in force, as read back."""
    precision = str(jax.config.jax_default_matmul_precision)
    shown = {"image_layout": "NHWC", "default_matmul_precision": precision}
    if device == "cpu":
        return shown | {"threads": str(_threads())}
    return shown | {"tf32.default_matmul_precision": str(precision == "tensorfloat32")}


def used_bytes(device: jax.Device) -> int:
    """Return the bytes of device memory that arrays hold; 0 on the CPU, where it isn't known."""
    return int((device.memory_stats() or {}).get("bytes_in_use", 0)) if device.platform != "cpu" else 0


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn JAX's errors into the engine's, in one line.

    Raises:
        OutOfMemoryError: The memory is too small.
        InvalidRequestError: Anything else that the compiler or a kernel refuses.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as err:
        text = f"{doing}: {str(err).strip().splitlines()[0]}"
        if "RESOURCE_EXHAUSTED" in text:
            raise OutOfMemoryError(f"{text}; take a smaller batch_size") from err
        raise InvalidRequestError(text) from err
