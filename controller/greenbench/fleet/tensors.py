"""Arrays as chunks on the wire, and back."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import ConfigurationError, RuntimeCallError
from greenbench_wire import benchmark_pb2 as wire

Array = NDArray[Any]
CHUNK_BYTES = 4 * 1024 * 1024 - 4096
"""Bytes of tensor in one message: below gRPC's own default limit of 4 MiB, with room for the rest."""
_DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "INT64": np.dtype("<i8"),
    "INT32": np.dtype("<i4"),
}


def tensor_sha256(array: Array) -> str:
    """Return the SHA-256 (hex) of an array's little-endian bytes in C order."""
    return hashlib.sha256(_bytes(array)).hexdigest()


def chunks(inputs: Mapping[str, Array]) -> Iterator[wire.TensorChunk]:
    """Cut arrays into chunks, one tensor after the other.

    Raises:
        ConfigurationError: An array has a type that the wire does not know.
    """
    for name, array in inputs.items():
        spec = wire.TensorSpec(name=name, datatype=datatype_of(name, array), shape=array.shape)
        data = _bytes(array)
        starts = range(0, max(len(data), 1), CHUNK_BYTES)
        for start in starts:
            yield wire.TensorChunk(
                spec=spec if start == 0 else None,
                data=bytes(data[start : start + CHUNK_BYTES]),
                last=start == starts[-1],
            )


def assemble(received: Iterable[wire.TensorChunk]) -> Iterator[tuple[str, Array]]:
    """Put chunks back together; yields each tensor when its last chunk has come.

    Raises:
        RuntimeCallError: The chunks do not add up to the shapes that they announce.
    """
    spec: wire.TensorSpec | None = None
    parts: list[bytes] = []
    for chunk in received:
        if chunk.HasField("spec"):
            spec, parts = chunk.spec, []
        if spec is None:
            raise RuntimeCallError("the runtime sent a tensor without its shape", code="DATA_LOSS")
        parts.append(chunk.data)
        if chunk.last:
            yield spec.name, _array(spec, b"".join(parts))
            spec = None
    if spec is not None:
        raise RuntimeCallError(f"the runtime sent only a part of tensor {spec.name!r}", code="DATA_LOSS")


def output_of(outputs: Mapping[str, Array]) -> Array:
    """Return the network's output among what a runtime answered.

    Raises:
        RuntimeCallError: It is not there.
    """
    if "output" not in outputs:
        named = ", ".join(repr(name) for name in sorted(outputs)) or "no tensor"
        raise RuntimeCallError(f"the runtime answered {named} where 'output' was asked for", code="DATA_LOSS")
    return outputs["output"]


def datatype_of(name: str, array: Array) -> str:
    """Return the Open Inference Protocol datatype of an array.

    Raises:
        ConfigurationError: There is none.
    """
    for datatype, dtype in _DATATYPES.items():
        if array.dtype == dtype:
            return datatype
    known = ", ".join(str(dtype) for dtype in _DATATYPES.values())
    raise ConfigurationError(f"input {name!r} has type {array.dtype}, the wire knows {known}")


def _array(spec: wire.TensorSpec, data: bytes) -> Array:
    dtype, shape = _DATATYPES.get(spec.datatype), tuple(spec.shape)
    whole = min(shape, default=0) >= 0 and dtype and len(data) == dtype.itemsize * math.prod(shape)
    if dtype is None or not whole:
        raise RuntimeCallError(
            f"the runtime sent {len(data)} bytes for tensor {spec.name!r} ({spec.datatype}, {list(shape)})",
            code="DATA_LOSS",
        )
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _bytes(array: Array) -> memoryview:
    # A view, not a copy, where the array lies in C order already.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
