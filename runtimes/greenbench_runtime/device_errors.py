"""What a framework's error says of the GPU: its memory is full, or its context is lost.

Every framework wraps CUDA's errors in classes of its own, so they are told by CUDA's own words and names.
Lost contexts are those errors after which CUDA's manual has the process terminated and relaunched, and a
memory or link that has failed: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html.
"""

import re
from collections.abc import Iterator

from greenbench_runtime.engine import EngineError

_LOST = re.compile(
    r"illegal memory access|device-side assert|unspecified launch failure|illegal instruction"
    r"|misaligned address|invalid program counter|hardware stack error|launch timed out"
    r"|operation not supported on global/shared address space|uncorrectable (ECC|NVLink) error"
    r"|context is destroyed|cudaError(IllegalAddress|Assert|LaunchFailure|IllegalInstruction"
    r"|MisalignedAddress|InvalidPc|HardwareStackError|LaunchTimeout|InvalidAddressSpace"
    r"|ECCUncorrectable|NvlinkUncorrectable|ContextIsDestroyed)"
    r"|CUDA_ERROR_(ILLEGAL_ADDRESS|ASSERT|LAUNCH_FAILED|ILLEGAL_INSTRUCTION|MISALIGNED_ADDRESS"
    r"|INVALID_PC|HARDWARE_STACK_ERROR|LAUNCH_TIMEOUT|INVALID_ADDRESS_SPACE|ECC_UNCORRECTABLE"
    r"|NVLINK_UNCORRECTABLE|CONTEXT_IS_DESTROYED)",
    re.IGNORECASE,
)
_CUDA = re.compile(r"cuda|cudnn|cublas|\bgpu\b", re.IGNORECASE)
_FULL = re.compile(
    r"\bout of memory\b|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED"
    r"|RESOURCE_EXHAUSTED|Failed to allocate memory|can't allocate memory",
    re.IGNORECASE,
)
_FULL_CLASSES = frozenset({"OutOfMemoryError", "ResourceExhaustedError"})


def lost_context(error: BaseException) -> str | None:
    """Return what CUDA said where no later call of this process can succeed; None for any other error."""
    for framework_error in _framework_errors(error):
        text = _line(framework_error)
        if _LOST.search(text) and _CUDA.search(text):
            return text
    return None


def full_memory(error: BaseException) -> str | None:
    """Return what a framework said of an allocation that failed; None for any other error."""
    for framework_error in _framework_errors(error):
        text = _line(framework_error)
        if type(framework_error).__name__ in _FULL_CLASSES or _FULL.search(text):
            return text or type(framework_error).__name__
    return None


def _framework_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, less greenbench's own sentences, which may quote what a user wrote."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if not isinstance(at, EngineError):
            yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
