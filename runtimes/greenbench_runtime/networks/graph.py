"""The measured networks as walks over layers, which each framework provides in its own operators.

One walk for all of them keeps the graphs matched: the same layers in the same order, with the stride where
torchvision has it. A framework whose own library holds the network (PyTorch) doesn't need it.
"""

from collections.abc import Callable
from typing import Any, Protocol

from greenbench_runtime.networks.canonical import BERT_LAYERS, MOBILENET_V2_STAGES, RESNET50_STAGES
from greenbench_runtime.networks.interface import check_model

Value = Any
"""A tensor of the framework; ``+`` adds."""

Activation = str
"""``relu``, ``relu6``, ``gelu`` (the exact one, by erf) or empty."""


class VisionLayers(Protocol):
    """Layers of the vision models. Names are those of canonical tensors, without their last part."""

    def convolution(
        self, x: Value, name: str, norm: str, activation: Activation = "", *, stride: int = 1
    ) -> Value:
        """Convolve without a bias, padded by half the kernel on each side, normalise, activate.

        A weight whose second dimension is 1 is a depthwise one.
        """

    def activate(self, x: Value, activation: Activation) -> Value:
        """Apply an activation."""

    def max_pool(self, x: Value) -> Value:
        """Pool 3x3 with stride 2, padded by 1 on each side."""

    def classify(self, x: Value, name: str) -> Value:
        """Take the mean over the image, then a linear layer: float [n, classes]."""


class TextLayers(Protocol):
    """Layers of BERT."""

    def embed(self, ids: Value) -> Value:
        """Sum the embeddings of words, positions and token type 0: [n, l] to [n, l, hidden]."""

    def linear(self, x: Value, name: str, activation: Activation = "") -> Value:
        """Multiply by a weight, add its bias, activate."""

    def normalise(self, x: Value, name: str) -> Value:
        """Normalise over the last dimension."""

    def attend(self, query: Value, key: Value, value: Value, mask: Value) -> Value:
        """Attend in heads: three of [n, l, hidden] and int [n, l] to [n, l, hidden]."""


Network = Callable[..., Value]
"""Inputs in the interface's order to the output."""


def network_of(model: str, layers: Any) -> Network:
    """Return a model's forward pass over a framework's layers.

    Args:
        model: Which.
        layers: `VisionLayers` and `TextLayers`, holding the model's weights.

    Raises:
        UnknownModelError: `model` is not known.
    """
    check_model(model)
    walks: dict[str, Callable[..., Value]] = {
        "resnet50": resnet50, "mobilenet_v2": mobilenet_v2, "bert_base": bert_base,
    }  # fmt: skip
    return lambda *inputs: walks[model](layers, *inputs)


def resnet50(layers: VisionLayers, x: Value) -> Value:
    """Return ResNet-50 v1.5's logits: a down-sampling block strides in its 3x3 convolution."""
    x = layers.max_pool(layers.convolution(x, "conv1", "bn1", "relu", stride=2))
    for stage, (_, blocks, first_stride) in enumerate(RESNET50_STAGES, start=1):
        for block in range(blocks):
            x = _bottleneck(layers, x, f"layer{stage}.{block}", first_stride if block == 0 else 1)
    return layers.classify(x, "fc")


def _bottleneck(layers: VisionLayers, x: Value, name: str, stride: int) -> Value:
    y = layers.convolution(x, f"{name}.conv1", f"{name}.bn1", "relu")
    y = layers.convolution(y, f"{name}.conv2", f"{name}.bn2", "relu", stride=stride)
    y = layers.convolution(y, f"{name}.conv3", f"{name}.bn3")
    if name.endswith(".0"):  # every stage begins with a change of width
        x = layers.convolution(x, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)
    return layers.activate(y + x, "relu")


def mobilenet_v2(layers: VisionLayers, x: Value) -> Value:
    """Return MobileNetV2's logits."""
    x = layers.convolution(x, "features.0.0", "features.0.1", "relu6", stride=2)
    number = 1
    for expansion, _, blocks, first_stride in MOBILENET_V2_STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            y = _inverted_residual(layers, x, f"features.{number}.conv", expansion, stride)
            x, number = (y if block == 0 else x + y), number + 1
    x = layers.convolution(x, "features.18.0", "features.18.1", "relu6")
    return layers.classify(x, "classifier.1")


def _inverted_residual(layers: VisionLayers, x: Value, name: str, expansion: int, stride: int) -> Value:
    part = 0
    if expansion != 1:
        x = layers.convolution(x, f"{name}.0.0", f"{name}.0.1", "relu6")
        part = 1
    x = layers.convolution(x, f"{name}.{part}.0", f"{name}.{part}.1", "relu6", stride=stride)
    return layers.convolution(x, f"{name}.{part + 1}", f"{name}.{part + 2}")


def bert_base(layers: TextLayers, ids: Value, mask: Value) -> Value:
    """Return BERT-base's last hidden state."""
    x = layers.normalise(layers.embed(ids), "embeddings.LayerNorm")
    for number in range(BERT_LAYERS):
        name = f"encoder.layer.{number}"
        query, key, value = (
            layers.linear(x, f"{name}.attention.self.{kind}") for kind in ("query", "key", "value")
        )
        y = layers.linear(layers.attend(query, key, value, mask), f"{name}.attention.output.dense")
        x = layers.normalise(x + y, f"{name}.attention.output.LayerNorm")
        y = layers.linear(x, f"{name}.intermediate.dense", "gelu")
        x = layers.normalise(x + layers.linear(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return x
