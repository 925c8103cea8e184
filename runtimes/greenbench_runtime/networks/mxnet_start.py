"""What MXNet is told before it starts, and what is known of it without starting it. Imports no MXNet.

MXNet and the libraries below it read their number of threads and TF32 from the environment, once, while they
are imported. So the import waits for the first load, which says them; a later one that says otherwise is
refused.
"""

import ctypes
import importlib
import os
from importlib import metadata
from pathlib import Path

from greenbench_runtime.engine import DeviceFacts, InvalidRequestError, UnsupportedError
from greenbench_runtime.networks.cuda_devices import cuda_devices

PRECISIONS = ("fp32",)

_LEFT_OUT = {
    "tf32": "nothing turns TF32 on in MXNet: NVIDIA_TF32_OVERRIDE only turns it off",
    "fp16": "no output of MXNet in fp16 has been proven",
    "bf16": "no output of MXNet in bf16 has been proven",
}

_CPU_PACKAGE, _CUDA_PACKAGE = "mxnet", "mxnet-cu112"
_CUDA_KERNELS = ("sm_50", "sm_60", "sm_70", "sm_80", "sm_86")
"""As cuobjdump lists them in libmxnet.so of mxnet-cu112 1.9.1, each for its major version from there up; the
library holds no PTX that a driver could compile for a newer major."""

_TF32_OFF = {"NVIDIA_TF32_OVERRIDE": "0"}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS", "OPENBLAS_NUM_THREADS")
_begun_with: list[int] = []


def _installed() -> dict[str, str]:
    """Return the one package of MXNet that is installed, with its version.

    Raises:
        PackageNotFoundError: None is; a ``ModuleNotFoundError`` that names it.
    """
    try:
        return {_CUDA_PACKAGE: metadata.version(_CUDA_PACKAGE)}
    except metadata.PackageNotFoundError:
        return {_CPU_PACKAGE: metadata.version(_CPU_PACKAGE)}


PACKAGE, VERSION = next(iter(_installed().items()))
"""Read from the installed package, since the library itself must not start yet."""


def kernel_architectures() -> tuple[str, ...]:
    """Return the GPUs that this build has kernels for; empty for a CPU build."""
    return _CUDA_KERNELS if PACKAGE == _CUDA_PACKAGE else ()


def devices() -> tuple[DeviceFacts, ...]:
    """Return the CPU and, in a build for CUDA, the GPUs that the driver shows."""
    return (DeviceFacts(kind="cpu"), *(cuda_devices() if PACKAGE == _CUDA_PACKAGE else ()))


def check_precision(precision: str) -> None:
    """Refuse a precision that isn't there.

    Raises:
        UnsupportedError: MXNet does not compute in it here; says why.
        InvalidRequestError: It is not known.
    """
    if precision in _LEFT_OUT:
        raise UnsupportedError(
            f"precision {precision} is not in this runtime ({_LEFT_OUT[precision]}); use fp32"
        )
    if precision not in PRECISIONS:
        known = ", ".join((*PRECISIONS, *_LEFT_OUT))
        raise InvalidRequestError(f"precision {precision!r} is not known; known are {known}")


def begin(threads: int) -> None:
    """Start MXNet with so many threads and TF32 off; later calls only check that it is so.

    Raises:
        UnsupportedError: It began with another number, or a library that it needs is not there.
    """
    if not _begun_with:
        os.environ |= dict.fromkeys(_THREAD_VARIABLES, str(threads)) | _TF32_OFF
        if PACKAGE == _CUDA_PACKAGE:
            load_cuda()
        _import_mxnet()
        _begun_with.append(threads)
    if (there := threads_in_force()) != threads:
        text = f"MXNet keeps the {there} it began with; start the runtime anew"
        raise UnsupportedError(f"threads {threads} can't be set: {text}")


def load_cuda() -> None:
    """Load CUDA from its own wheels, which no loader path names, so that MXNet finds it by name.

    One that needs another waits for it; one that can't be had at all is named by MXNet's own import.
    """
    folders = (Path(folder) for folder in importlib.import_module("nvidia").__path__)
    waiting = sorted(path for folder in folders for path in folder.glob("*/lib/*.so*"))
    before = -1
    while len(waiting) != before:
        before = len(waiting)
        waiting = [path for path in waiting if not _loads(path)]


def _loads(library: Path) -> bool:
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _import_mxnet() -> None:
    try:
        import mxnet  # noqa: F401, PLC0415 - it reads the environment now, and never again
    except OSError as err:
        reason = str(err).strip().splitlines()[0]
        remedy = "install it in the system or the base image (Debian: apt-get install libgomp1 libquadmath0)"
        raise UnsupportedError(f"MXNet lacks a library of the system ({reason}); {remedy}") from err


def threads_in_force() -> int:
    """Return how many threads OpenMP, which MXNet's kernels on the CPU compute with, gives an operator."""
    return int(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())


def tf32_override() -> str:
    """Return what NVIDIA's libraries were told of TF32 before they began: ``0`` keeps it off everywhere."""
    return os.environ["NVIDIA_TF32_OVERRIDE"]
