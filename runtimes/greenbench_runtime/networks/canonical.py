"""The canonical weights as NumPy arrays, every name and shape checked. Imports no framework.

Names and shapes are those of torchvision (ResNet-50 v1.5, MobileNetV2) and transformers (BERT-base).
"""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from greenbench_runtime.engine import Array, InvalidRequestError
from greenbench_runtime.networks.interface import CLASSES, HIDDEN, LONGEST_SEQUENCE, VOCABULARY, check_model

Shape = tuple[int, ...]

RESNET50_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks, stride of the first block."""

RESNET50_EXPANSION = 4
"""Channels out of a block over its width."""

MOBILENET_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride of the first block."""

BERT_LAYERS = 12
BERT_HEADS = 12
BERT_INTERMEDIATE = 3072
NORM_EPSILON = 1e-5
"""Of every BatchNorm."""
BERT_EPSILON = 1e-12
"""Of every LayerNorm."""

_STATISTICS = ("running_mean", "running_var")


def read_canonical(model: str, path: Path) -> dict[str, Array]:
    """Return a model's canonical tensors by name: float32.

    Raises:
        UnknownModelError: `model` is not known.
        InvalidRequestError: The file can't be read, lacks a tensor, or holds another or a misshapen one.
    """
    expected = shapes(model)
    if not path.is_file():
        raise InvalidRequestError(f"weights file {path.name} is not there")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as err:
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise InvalidRequestError(f"{path.name} is not a whole safetensors file ({reason})") from err
    check_fit(tensors, expected, file=path.name, network="the network")
    return tensors


def check_fit(
    tensors: Mapping[str, Array], expected: Mapping[str, Shape], *, file: str, network: str
) -> None:
    """Refuse tensors that are not a network's: one too few, one misshapen, one too many.

    Args:
        tensors: By name.
        expected: Shape of every tensor of the network.
        file: What to call their file in an error.
        network: What to call the network.

    Raises:
        InvalidRequestError: Names the tensor.
    """
    for name, shape in expected.items():
        if name not in tensors:
            raise InvalidRequestError(f"{file} lacks the tensor {name} of shape {list(shape)}")
        if tensors[name].shape != shape:
            found = f"{list(tensors[name].shape)}; {network} needs {list(shape)}"
            raise InvalidRequestError(f"{file} holds {name} with shape {found}")
    if strange := sorted(set(tensors) - set(expected)):
        raise InvalidRequestError(f"{file} holds tensors that {network} does not have, first {strange[0]}")


def parameters(model: str) -> int:
    """Return the number of scalar weights of a model, BatchNorm statistics not counted."""
    return sum(prod(shape) for name, shape in shapes(model).items() if not name.endswith(_STATISTICS))


def shapes(model: str) -> dict[str, Shape]:
    """Return the shape of each canonical tensor of a model.

    Raises:
        UnknownModelError: `model` is not known.
    """
    check_model(model)
    layouts = {"resnet50": _resnet50, "mobilenet_v2": _mobilenet_v2, "bert_base": _bert_base}
    return dict(layouts[model]())


def _resnet50() -> Iterator[tuple[str, Shape]]:
    yield from _normed("conv1", "bn1", (64, 3, 7, 7))
    channels = 64
    for stage, (width, blocks, _) in enumerate(RESNET50_STAGES, start=1):
        wide = width * RESNET50_EXPANSION
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            yield from _normed(f"{name}.conv1", f"{name}.bn1", (width, channels, 1, 1))
            yield from _normed(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3))
            yield from _normed(f"{name}.conv3", f"{name}.bn3", (wide, width, 1, 1))
            if block == 0:
                yield from _normed(f"{name}.downsample.0", f"{name}.downsample.1", (wide, channels, 1, 1))
            channels = wide
    yield from _linear("fc", channels, CLASSES)


def _mobilenet_v2() -> Iterator[tuple[str, Shape]]:
    yield from _normed("features.0.0", "features.0.1", (32, 3, 3, 3))
    channels, number = 32, 1
    for expansion, width, blocks, _ in MOBILENET_V2_STAGES:
        for _ in range(blocks):
            hidden, name, part = channels * expansion, f"features.{number}.conv", 0
            if expansion != 1:
                yield from _normed(f"{name}.0.0", f"{name}.0.1", (hidden, channels, 1, 1))
                part = 1
            yield from _normed(f"{name}.{part}.0", f"{name}.{part}.1", (hidden, 1, 3, 3))
            yield from _normed(f"{name}.{part + 1}", f"{name}.{part + 2}", (width, hidden, 1, 1))
            channels, number = width, number + 1
    yield from _normed("features.18.0", "features.18.1", (1280, channels, 1, 1))
    yield from _linear("classifier.1", 1280, CLASSES)


def _bert_base() -> Iterator[tuple[str, Shape]]:
    rows = {"word": VOCABULARY, "position": LONGEST_SEQUENCE, "token_type": 2}
    yield from ((f"embeddings.{kind}_embeddings.weight", (count, HIDDEN)) for kind, count in rows.items())
    yield from _scale_and_bias("embeddings.LayerNorm", HIDDEN)
    for number in range(BERT_LAYERS):
        layer = f"encoder.layer.{number}"
        for kind in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _linear(f"{layer}.attention.{kind}", HIDDEN, HIDDEN)
        yield from _scale_and_bias(f"{layer}.attention.output.LayerNorm", HIDDEN)
        yield from _linear(f"{layer}.intermediate.dense", HIDDEN, BERT_INTERMEDIATE)
        yield from _linear(f"{layer}.output.dense", BERT_INTERMEDIATE, HIDDEN)
        yield from _scale_and_bias(f"{layer}.output.LayerNorm", HIDDEN)


def _normed(convolution: str, norm: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    yield f"{convolution}.weight", shape
    yield from _scale_and_bias(norm, shape[0])
    yield from ((f"{norm}.{kind}", (shape[0],)) for kind in _STATISTICS)


def _scale_and_bias(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _linear(name: str, width_in: int, width_out: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width_out, width_in)
    yield f"{name}.bias", (width_out,)
