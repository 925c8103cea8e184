"""What a loaded model takes, against what a client gives. Knows no wire."""

from collections.abc import Mapping, Sequence

import numpy as np

from greenbench_runtime.engine import NUMPY_DATATYPES, Array, InvalidRequestError, TensorSpec


def require_match(given: TensorSpec, expected: Sequence[TensorSpec]) -> TensorSpec:
    """Return the expected tensor that `given` equals in name, datatype and shape.

    Raises:
        InvalidRequestError: Names what differs.
    """
    for spec in expected:
        if spec.name == given.name:
            _require_equal(given, spec)
            return spec
    known = ", ".join(spec.name for spec in expected)
    raise InvalidRequestError(
        f"tensor {given.name[:100]!r} is not an input of the loaded model; it takes {known}"
    )


def require_batch(inputs: Mapping[str, Array], expected: Sequence[TensorSpec]) -> None:
    """Refuse inputs that are not exactly one batch of the loaded model.

    Raises:
        InvalidRequestError: Names the tensor that is missing, unknown or different.
    """
    for name, array in inputs.items():
        require_match(TensorSpec(name=name, datatype=datatype_of(array), shape=array.shape), expected)
    missing = [spec.name for spec in expected if spec.name not in inputs]
    if missing:
        raise InvalidRequestError(
            f"input {missing[0]!r} is missing; one batch holds all inputs of the loaded model"
        )


def datatype_of(array: Array) -> str:
    """Return the Open Inference Protocol datatype of an array.

    Raises:
        InvalidRequestError: There is none.
    """
    for datatype, dtype in NUMPY_DATATYPES.items():
        if array.dtype == dtype:
            return datatype
    raise InvalidRequestError(
        f"an array of {array.dtype} cannot be sent; known are {', '.join(NUMPY_DATATYPES)}"
    )


def synthetic_batch(expected: Sequence[TensorSpec]) -> dict[str, Array]:
    """Return one batch of random inputs, by which lazy compilation is done before anything is timed."""
    generator = np.random.default_rng(0)
    return {spec.name: _random_tensor(spec, generator) for spec in expected}


def _random_tensor(spec: TensorSpec, generator: np.random.Generator) -> Array:
    dtype = NUMPY_DATATYPES[spec.datatype]
    if dtype.kind == "f":
        return generator.standard_normal(spec.shape, dtype=np.float32).astype(dtype)
    # 0 and 1 are good as token ids and as an attention mask; the first of each sample is never masked.
    drawn = generator.integers(0, 2, size=spec.shape).astype(dtype)
    drawn[..., :1] = 1
    return drawn


def _require_equal(given: TensorSpec, expected: TensorSpec) -> None:
    if given.datatype != expected.datatype:
        raise InvalidRequestError(
            f"tensor {given.name!r} is {given.datatype[:20]!r}, the loaded model takes {expected.datatype}"
        )
    if given.shape != expected.shape:
        shown = f"{list(given.shape[:8])}{'...' if len(given.shape) > 8 else ''}"  # noqa: PLR2004
        raise InvalidRequestError(
            f"tensor {given.name!r} has shape {shown}, the loaded model takes {list(expected.shape)}"
        )
