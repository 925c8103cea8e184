"""Tensors on the wire: chunks and Open Inference Protocol contents, to NumPy and back."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from greenbench_runtime.engine import NUMPY_DATATYPES, Array, InvalidRequestError, TensorSpec
from greenbench_runtime.specs import datatype_of, require_match
from greenbench_wire import benchmark_pb2 as wire

CHUNK_BYTES = 4 * 1024 * 1024

# Where InferTensorContents keeps the values of a datatype. FP16 travels raw only.
_TYPED_FIELDS: Mapping[str, str] = {
    "FP32": "fp32_contents",
    "INT64": "int64_contents",
    "INT32": "int_contents",
}


class BatchAssembler:
    """Puts the chunks of one batch together; holds no more bytes than the loaded model takes."""

    def __init__(self, expected: Sequence[TensorSpec]) -> None:
        """Start empty.

        Args:
            expected: Inputs of the loaded model.
        """
        self._expected = tuple(expected)
        self._current: TensorSpec | None = None
        self._data = bytearray()
        self._inputs: dict[str, Array] = {}
        self._sha256: dict[str, str] = {}

    def add(self, chunk: wire.TensorChunk) -> None:
        """Take the next chunk.

        Raises:
            InvalidRequestError: It is out of order, or its tensor isn't what the loaded model takes.
        """
        if chunk.HasField("spec"):
            self._begin(chunk.spec)
        if self._current is None:
            raise InvalidRequestError(
                "a chunk came without a tensor; the first chunk of a tensor carries its spec"
            )
        self._data += chunk.data
        if len(self._data) > _size_bytes(self._current):
            raise self._wrong_length(self._current, "at least ")
        if chunk.last:
            self._end(self._current)

    def finish(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the inputs and the SHA-256 (hex) of each one's bytes as received, by name.

        Raises:
            InvalidRequestError: A tensor is incomplete or missing.
        """
        if self._current is not None:
            raise self._unfinished(self._current)
        for spec in self._expected:
            if spec.name not in self._inputs:
                raise InvalidRequestError(f"input {spec.name!r} is missing; stage all inputs in one call")
        return self._inputs, self._sha256

    def _begin(self, spec: wire.TensorSpec) -> None:
        if self._current is not None:
            raise self._unfinished(self._current)
        given = TensorSpec(name=spec.name, datatype=spec.datatype, shape=tuple(spec.shape))
        self._current = require_match(given, self._expected)
        if given.name in self._inputs:
            raise InvalidRequestError(f"tensor {given.name!r} came twice; send each input once")
        self._data = bytearray()

    def _end(self, spec: TensorSpec) -> None:
        if len(self._data) != _size_bytes(spec):
            raise self._wrong_length(spec, "")
        self._sha256[spec.name] = hashlib.sha256(self._data).hexdigest()
        self._inputs[spec.name] = np.frombuffer(self._data, NUMPY_DATATYPES[spec.datatype]).reshape(
            spec.shape
        )
        self._current = None

    def _unfinished(self, spec: TensorSpec) -> InvalidRequestError:
        return InvalidRequestError(
            f"tensor {spec.name!r} ended after {len(self._data)} of {_size_bytes(spec)} bytes; "
            "its last chunk must say so"
        )

    def _wrong_length(self, spec: TensorSpec, how: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"tensor {spec.name!r} came with {how}{len(self._data)} bytes, "
            f"{spec.datatype} {list(spec.shape)} is {_size_bytes(spec)}"
        )


def chunks(outputs: Mapping[str, Array]) -> Iterator[wire.TensorChunk]:
    """Cut arrays into chunks of at most 4 MiB, one tensor after the other."""
    for name, array in outputs.items():
        spec = wire.TensorSpec(name=name, datatype=datatype_of(array), shape=array.shape)
        data = raw_bytes(array)
        starts = range(0, max(len(data), 1), CHUNK_BYTES)
        for start in starts:
            yield wire.TensorChunk(
                spec=spec if start == 0 else None,
                data=data[start : start + CHUNK_BYTES],
                last=start == starts[-1],
            )


def raw_bytes(array: Array) -> bytes:
    """Return an array's little-endian bytes in C order."""
    return np.ascontiguousarray(array, dtype=NUMPY_DATATYPES[datatype_of(array)]).tobytes()


def from_raw(spec: TensorSpec, data: bytes) -> Array:
    """Return the tensor that raw contents hold.

    Raises:
        InvalidRequestError: The length does not fit the shape, or the datatype is not known.
    """
    dtype = _dtype(spec)
    if len(data) != _size_bytes(spec):
        raise InvalidRequestError(
            f"tensor {spec.name!r} came with {len(data)} bytes, {spec.datatype} {list(spec.shape)} "
            f"is {_size_bytes(spec)}"
        )
    # Copied: frameworks want memory that may be written to.
    return np.frombuffer(data, dtype).reshape(spec.shape).copy()


def from_typed(spec: TensorSpec, contents: Any) -> Array:
    """Return the tensor that typed contents (``InferTensorContents``) hold.

    Raises:
        InvalidRequestError: The values are in another field than the datatype's, or too few or many.
    """
    dtype, field = _dtype(spec), _TYPED_FIELDS.get(spec.datatype)
    if field is None:
        raise InvalidRequestError(f"tensor {spec.name!r}: {spec.datatype} travels in raw_input_contents only")
    others = [other.name for other, _ in contents.ListFields() if other.name != field]
    if others:
        raise InvalidRequestError(
            f"tensor {spec.name!r} holds {others[0]}, {spec.datatype} goes into {field}"
        )
    values = getattr(contents, field)
    if len(values) != math.prod(spec.shape):
        raise InvalidRequestError(
            f"tensor {spec.name!r} came with {len(values)} values, shape {list(spec.shape)} "
            f"is {math.prod(spec.shape)}"
        )
    return np.fromiter(values, dtype, count=len(values)).reshape(spec.shape)


def spec_messages(specs: Iterable[TensorSpec], message: Any) -> list[Any]:
    """Return specs as messages of a type that has name, datatype and shape."""
    return [message(name=spec.name, datatype=spec.datatype, shape=spec.shape) for spec in specs]


def _dtype(spec: TensorSpec) -> "np.dtype[Any]":
    dtype = NUMPY_DATATYPES.get(spec.datatype)
    if dtype is None:
        known = ", ".join(NUMPY_DATATYPES)
        raise InvalidRequestError(f"tensor {spec.name!r} is {spec.datatype[:20]!r}; known are {known}")
    return dtype


def _size_bytes(spec: TensorSpec) -> int:
    # Python's integers do not overflow, whatever a client writes into a shape.
    return _dtype(spec).itemsize * math.prod(spec.shape)
