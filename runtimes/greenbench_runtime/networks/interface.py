"""What every model takes and gives, in every runtime. Imports no framework."""

from greenbench_runtime.engine import (
    InvalidRequestError,
    LoadOrder,
    TensorSpec,
    UnknownModelError,
    UnsupportedError,
)

VISION_MODELS = ("resnet50", "mobilenet_v2")
TEXT_MODELS = ("bert_base",)
MODELS = VISION_MODELS + TEXT_MODELS

IMAGE_SIZE_PX = 224
CLASSES = 1000
VOCABULARY = 30522
HIDDEN = 768
LONGEST_SEQUENCE = 512

OUTPUT = "output"
"""Name of every model's only output."""

PARAMETERS_KEY = "greenbench.parameters"
"""Metadata key under which a converted model carries its number of scalar weights."""

FLOPS_KEY = "greenbench.flops"
"""Metadata key under which it carries the operations of one sample."""

BATCH_DIMENSION = "batch"
"""Name of the dynamic dimension of a converted model."""


def check_model(model: str) -> None:
    """Refuse a model that is not known.

    Raises:
        UnknownModelError: Names those that are.
    """
    if model not in MODELS:
        raise UnknownModelError(f"model {model!r} is not known; known are {', '.join(MODELS)}")


def input_specs(model: str, batch_size: int, sequence_length: int) -> tuple[TensorSpec, ...]:
    """Return the inputs of one iteration.

    Args:
        model: One of `MODELS`.
        batch_size: Samples, at least 1.
        sequence_length: Tokens per sample for text models, 1 to 512; 0 for vision models.

    Raises:
        UnknownModelError: `model` is not known.
        InvalidRequestError: A size that can never work.
    """
    check_model(model)
    if batch_size < 1:
        raise InvalidRequestError(f"batch_size {batch_size} is below 1")
    if model in VISION_MODELS:
        if sequence_length:
            raise InvalidRequestError(f"sequence_length {sequence_length} was given for {model}; leave it 0")
        shape: tuple[int, ...] = (batch_size, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)
        return (TensorSpec(name="input", datatype="FP32", shape=shape),)
    if not 1 <= sequence_length <= LONGEST_SEQUENCE:
        raise InvalidRequestError(
            f"sequence_length {sequence_length} is not in 1 to {LONGEST_SEQUENCE} for {model}"
        )
    shape = (batch_size, sequence_length)
    return tuple(
        TensorSpec(name=name, datatype="INT64", shape=shape) for name in ("input_ids", "attention_mask")
    )


def output_specs(model: str, batch_size: int, sequence_length: int) -> tuple[TensorSpec, ...]:
    """Return the outputs of one iteration: logits, or BERT's last hidden state."""
    shape = (batch_size, CLASSES) if model in VISION_MODELS else (batch_size, sequence_length, HIDDEN)
    return (TensorSpec(name=OUTPUT, datatype="FP32", shape=shape),)


def check_order(order: LoadOrder, *, modes: tuple[str, ...], has_native: bool = False) -> None:
    """Refuse an order whose names an engine with these modes can't follow.

    Raises:
        UnsupportedError: The mode, device or kind of weights is not there.
        InvalidRequestError: `io` or `threads` can never work.
    """
    if order.mode not in modes:
        raise UnsupportedError(
            f"mode {order.mode!r} is not there on this machine; there are {', '.join(modes)}"
        )
    if order.weights != "matched" and not (has_native and order.weights == "native"):
        raise UnsupportedError(f"weights {order.weights!r} are not in this runtime; use weights = 'matched'")
    if order.io not in {"device", "host"}:
        raise InvalidRequestError(f"io {order.io!r} is neither 'device' nor 'host'")
    if order.threads < 1:
        raise InvalidRequestError(f"threads {order.threads} is below 1")


def check_inputs(specs: tuple[TensorSpec, ...], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse inputs that do not fit a loaded model.

    Raises:
        InvalidRequestError: Names the input, its shape and the one expected.
    """
    expected = {spec.name: spec.shape for spec in specs}
    if set(shapes) != set(expected):
        raise InvalidRequestError(f"inputs {sorted(shapes)} were given; the model takes {sorted(expected)}")
    for name, shape in shapes.items():
        if shape != expected[name]:
            raise InvalidRequestError(
                f"input {name} has shape {list(shape)}; loaded for {list(expected[name])}"
            )
