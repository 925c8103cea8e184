"""What is told from a framework's error: classes simulated by their real names, messages as they are."""

import grpc
import pytest

from greenbench_runtime.device_errors import full_memory, lost_context
from greenbench_runtime.engine import InvalidRequestError, OutOfMemoryError, UnknownModelError
from greenbench_runtime.statuses import LONGEST_MESSAGE, status_of

CODE = grpc.StatusCode


def framework_error(name: str, text: str, base: type[Exception] = RuntimeError) -> Exception:
    return type(name, (base,), {})(text)


LOST = [
    ("AcceleratorError", "CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_..."),
    ("AcceleratorError", "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported"),
    ("RuntimeError", "CUDA error: unspecified launch failure"),
    ("RuntimeError", "CUDA error: misaligned address"),
    ("RuntimeError", "CUDA error: uncorrectable ECC error encountered"),
    (
        "JaxRuntimeError",
        "INTERNAL: Failed to synchronize stream: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access",
    ),
    ("InternalError", "Failed to copy to host: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure"),
    (
        "Fail",
        "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered ; GPU=0",
    ),
]
FULL = [
    ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of"),
    ("AcceleratorError", "CUDA error: out of memory\nCUDA kernel errors might be reported"),
    ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1099511627776 bytes."),
    ("ResourceExhaustedError", "OOM when allocating tensor with shape[64,3,224,224]"),
    ("RuntimeException", "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"),
    ("RuntimeError", "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
]
NEITHER = [
    ("RuntimeError", "CUDA error: no kernel image is available for execution on the device"),
    ("RuntimeError", "CUDA error: invalid argument"),
    ("RuntimeError", "the kernel fell over"),
    ("ValueError", "misaligned address"),
]


@pytest.mark.parametrize(("name", "text"), LOST)
def test_a_lost_context_is_internal_and_says_what_to_do(name, text):
    error = framework_error(name, text)
    assert lost_context(error) is not None
    code, message = status_of(error)
    assert code is CODE.INTERNAL
    assert "context is lost" in message
    assert message.endswith("start it again")
    assert "\n" not in message


@pytest.mark.parametrize(("name", "text"), FULL)
def test_a_full_memory_is_exhausted_and_the_process_stays(name, text):
    error = framework_error(name, text)
    assert lost_context(error) is None
    code, message = status_of(error)
    assert code is CODE.RESOURCE_EXHAUSTED
    assert text.splitlines()[0][:40] in message
    assert message.endswith("take a smaller batch_size")


@pytest.mark.parametrize(("name", "text"), NEITHER)
def test_any_other_error_is_neither(name, text):
    error = framework_error(name, text)
    assert lost_context(error) is None
    assert full_memory(error) is None
    assert status_of(error)[0] is CODE.INTERNAL


def test_a_lost_context_shows_through_the_engines_own_error():
    translated = InvalidRequestError("a forward pass: an internal error")
    translated.__cause__ = framework_error(*LOST[5])
    code, message = status_of(translated)
    assert code is CODE.INTERNAL
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in message


def test_what_a_user_wrote_ends_nothing():
    named = UnknownModelError("model 'CUDA error: an illegal memory access' is not known; choose resnet50")
    assert lost_context(named) is None
    assert status_of(named) == (CODE.NOT_FOUND, str(named))


def test_the_engines_own_sentence_of_memory_is_kept():
    assert status_of(OutOfMemoryError("needs 8 bytes")) == (CODE.RESOURCE_EXHAUSTED, "needs 8 bytes")


def test_a_long_message_is_cut_before_the_remedy():
    message = status_of(RuntimeError("CUDA error: an illegal memory access " + "x" * 9000))[1]
    assert len(message) < LONGEST_MESSAGE + 200
    assert message.endswith("start it again")


def test_errors_that_cause_each_other_end():
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert lost_context(first) is None
