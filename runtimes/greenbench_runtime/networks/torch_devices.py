"""The devices that PyTorch can use, and its memory errors as the engine's."""

import contextlib
import re
import shutil
from collections.abc import Iterator

import torch

from greenbench_runtime.engine import DeviceFacts, InvalidRequestError, OutOfMemoryError, UnsupportedError
from greenbench_runtime.networks.cuda_devices import place_of

_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ \w+)")


def devices() -> tuple[DeviceFacts, ...]:
    """Return the CPU, and the GPUs in CUDA's order."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return (DeviceFacts(kind="cpu"), *(_gpu(ordinal) for ordinal in range(count)))


def _gpu(ordinal: int) -> DeviceFacts:
    properties = torch.cuda.get_device_properties(ordinal)
    return DeviceFacts(
        kind="cuda",
        uuid=f"GPU-{properties.uuid}",
        name=properties.name,
        compute_capability=f"{properties.major}.{properties.minor}",
        memory_bytes=properties.total_memory,
    )


def torch_device(kind: str, device_uuid: str) -> torch.device:
    """Return the device of a kind and UUID; an empty UUID takes the first GPU.

    Raises:
        InvalidRequestError: `kind` is neither ``cpu`` nor ``cuda``.
        UnsupportedError: The GPU is not there; names those that are.
    """
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise InvalidRequestError(f"device {kind!r} is neither 'cpu' nor 'cuda'")
    uuids = [device.uuid for device in devices() if device.kind == "cuda"]
    if not uuids:
        build = (
            "this build of PyTorch is for the CPU" if torch.version.cuda is None else "no GPU is visible here"
        )
        raise UnsupportedError(f"device 'cuda' can't be used: {build}")
    return torch.device("cuda", place_of(device_uuid, uuids))


@contextlib.contextmanager
def memory_errors(doing: str) -> Iterator[None]:
    """Turn PyTorch's memory errors into `OutOfMemoryError` with the size that was asked for."""
    try:
        yield
    except RuntimeError as err:  # torch.OutOfMemoryError is one
        raise translated(err, doing) from err


def translated(err: RuntimeError, doing: str) -> Exception:
    """Return the engine's error for a memory error, any other error as it is."""
    asked = _ASKED.search(str(err))
    if not isinstance(err, torch.OutOfMemoryError) and not asked:
        return err
    size = asked[1] if asked else "an unknown size"
    return OutOfMemoryError(f"{doing}: an allocation of {size} failed; take a smaller batch_size")


def reserved_bytes(device: torch.device) -> int:
    """Return the bytes that PyTorch holds on a GPU; 0 for the CPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def modes() -> tuple[str, ...]:
    """Return the modes that work here; ``compile`` needs a compiler: of C for a GPU, of C++ for the CPU."""
    wanted = ("cc", "gcc", "clang") if torch.cuda.is_available() else ("c++", "g++", "clang++")
    return ("eager", "compile") if any(map(shutil.which, wanted)) else ("eager",)
