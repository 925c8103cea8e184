"""GPU architectures: on which of them kernels run."""

from collections.abc import Iterable

PTX = "compute_"


def covers(shipped: Iterable[str], wanted: str) -> bool:
    """Tell whether kernels run on a GPU.

    Machine code (``sm_80``) runs on GPUs of the same major version and the same or a newer minor version;
    PTX (``compute_80``) is compiled by the driver for any GPU of that version or a newer one.

    Args:
        shipped: Architectures of the kernels.
        wanted: The GPU's, ``sm_NN``.
    """
    return any(_runs(one, version(wanted)) for one in shipped)


def lacks_kernels(title: str, shipped: Iterable[str], gpu_name: str | None, wanted: str | None) -> str:
    """Return why a runtime cannot compute on a GPU; empty where it can, or where either is not told.

    Args:
        title: Of the runtime.
        shipped: Architectures of its kernels.
        gpu_name: As people call the GPU.
        wanted: Its architecture.
    """
    kernels = tuple(shipped)
    if not wanted or not kernels or covers(kernels, wanted):
        return ""
    return f"{title} ships kernels for {', '.join(kernels)}; {gpu_name} is {wanted}"


def version(architecture: str) -> tuple[int, int]:
    """Return major and minor version of an architecture such as ``sm_90`` or ``sm_90a``."""
    digits = architecture.removeprefix("sm_").removeprefix(PTX).rstrip("af")
    return int(digits[:-1]), int(digits[-1])


def _runs(kernel: str, gpu: tuple[int, int]) -> bool:
    major, minor = version(kernel)
    # `sm_90a` and `compute_90a` use what only that version has.
    if kernel.endswith("a"):
        return (major, minor) == gpu
    if kernel.startswith(PTX):
        return gpu >= (major, minor)
    return major == gpu[0] and gpu[1] >= minor
