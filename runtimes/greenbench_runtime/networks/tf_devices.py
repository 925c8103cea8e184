"""What TensorFlow is told before it computes, and what it says of that: devices, threads, TF32."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from greenbench_runtime.engine import (
    DeviceFacts,
    EngineError,
    InvalidRequestError,
    LoadOrder,
    OutOfMemoryError,
    UnsupportedError,
)
from greenbench_runtime.networks.cuda_devices import cuda_devices, ordinal_of
from greenbench_runtime.networks.cuda_libraries import load_from_wheels

DTYPES = {"fp32": tf.float32, "tf32": tf.float32, "fp16": tf.float16, "bf16": tf.bfloat16}
"""Of weights and floating-point inputs, by precision."""

_CPU_PRECISIONS = ("fp32", "bf16")

# TensorFlow 2.21 looks for every library of CUDA's wheels but this one, and then shows no GPU at all.
load_from_wheels("libcusolver")


def versions() -> dict[str, str]:
    """Return the versions of TensorFlow and of what it was built with."""
    build = tf.sysconfig.get_build_info()
    cuda = {name: build.get(f"{name}_version") for name in ("cuda", "cudnn")}
    return {"tensorflow": tf.__version__} | {name: str(value) for name, value in cuda.items() if value}


def kernel_architectures() -> tuple[str, ...]:
    """Return ``sm_80`` ...; ``compute_90`` is compiled by the driver, for that GPU or a newer one."""
    return tuple(tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ()))


def devices() -> tuple[DeviceFacts, ...]:
    """Return the CPU and, in a build for CUDA, the GPUs that the driver shows."""
    gpus = cuda_devices() if tf.test.is_built_with_cuda() else ()
    return (DeviceFacts(kind="cpu"), *gpus)


def configure(order: LoadOrder) -> str:
    """Set threads, visible GPU and TF32 as the order says; return TensorFlow's name of the device.

    Raises:
        InvalidRequestError: The precision is not known.
        UnsupportedError: It is not on this device, or threads or GPU differ from those of an earlier load,
            which TensorFlow can't change any more.
    """
    if order.precision not in DTYPES:
        known = ", ".join(DTYPES)
        raise InvalidRequestError(f"precision {order.precision!r} is not known; known are {known}")
    if order.device == "cpu" and order.precision not in _CPU_PRECISIONS:
        known = " or ".join(_CPU_PRECISIONS)
        raise UnsupportedError(f"precision {order.precision} is not on the CPU; use {known}")
    set_threads(order.threads)
    tf.config.experimental.enable_tensor_float_32_execution(order.precision == "tf32")
    if order.device == "cpu":
        return "/CPU:0"
    _show_only(order.device_uuid)
    return "/GPU:0"


def set_threads(threads: int) -> None:
    """Set the threads of an operator, and one operator at a time as in the other runtimes.

    Raises:
        UnsupportedError: An earlier load took another number.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as err:
        before = tf.config.threading.get_intra_op_parallelism_threads()
        text = f"TensorFlow keeps the {before} it began with; start the runtime anew"
        raise UnsupportedError(f"threads {threads} can't be set: {text}") from err


def _show_only(device_uuid: str) -> None:
    ordinal, gpus = ordinal_of(device_uuid), tf.config.list_physical_devices("GPU")
    if ordinal >= len(gpus):
        text = "its CUDA or cuDNN libraries are missing, or the driver is too old for them"
        raise UnsupportedError(f"TensorFlow sees {len(gpus)} GPUs, not number {ordinal}: {text}")
    try:
        tf.config.set_visible_devices(gpus[ordinal], "GPU")
        tf.config.experimental.set_memory_growth(gpus[ordinal], enable=True)
    except RuntimeError as err:
        text = "TensorFlow keeps the GPU it began with; start the runtime anew"
        raise UnsupportedError(f"GPU {device_uuid} can't be set: {text}") from err


def flags(device: str) -> dict[str, str]:
    """Return the switches in force, as TensorFlow reports them."""
    threading, enabled = tf.config.threading, tf.config.experimental.tensor_float_32_execution_enabled()
    shown = {
        "threads": str(threading.get_intra_op_parallelism_threads()),
        "inter_op_threads": str(threading.get_inter_op_parallelism_threads()),
        "image_layout": "NHWC",
    }
    return shown | ({"tf32.tensor_float_32_execution": str(enabled)} if device == "cuda" else {})


def used_bytes(device: str) -> int:
    """Return the bytes of device memory that tensors hold; 0 on the CPU, where it isn't known."""
    return tf.config.experimental.get_memory_info("GPU:0")["current"] if device == "cuda" else 0


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn TensorFlow's errors into the engine's, in one line.

    Raises:
        OutOfMemoryError: The memory is too small.
        UnsupportedError: An operator is not there for this type or compiler.
        InvalidRequestError: Anything else.
    """
    try:
        yield
    except tf.errors.OpError as err:
        raise _error_for(err, f"{doing}: {str(err).strip().splitlines()[0]}") from err


def _error_for(err: Exception, text: str) -> EngineError:
    if isinstance(err, tf.errors.ResourceExhaustedError):
        return OutOfMemoryError(f"{text}; take a smaller batch_size")
    if isinstance(err, tf.errors.UnimplementedError | tf.errors.NotFoundError):
        return UnsupportedError(f"{text}; take another mode or precision")
    return InvalidRequestError(text)
