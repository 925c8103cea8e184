"""Floating-point operations of one sample, by one rule in every framework; imports none of them.

Counted are the products and sums of convolutions and matrix products, two for each multiply-add. Biases,
normalisations, activations, pooling, softmax and embeddings are not: they are below 2% of these networks, and
frameworks that count them differ in which they do.
"""

# ruff: noqa: ARG002 - layers are given names and values that a count does not need

from dataclasses import dataclass
from math import prod
from typing import Any

from greenbench_runtime.networks.canonical import Shape, shapes
from greenbench_runtime.networks.graph import Activation, network_of
from greenbench_runtime.networks.interface import HIDDEN, TEXT_MODELS, input_specs

PER_MULTIPLY_ADD = 2
"""Operations of one multiplication whose product is added."""


def matched_flops(model: str, sequence_length: int) -> int:
    """Return the operations of one sample in the matched network, the same in every framework.

    Args:
        model: Which.
        sequence_length: Tokens of the sample for text models; 0 for vision models.

    Raises:
        UnknownModelError: `model` is not known.
    """
    specs = input_specs(model, 1, sequence_length)
    counter = _Counter(shapes(model), sequence_length)
    # A text model's ids and mask are given as they are; an image loses its batch dimension.
    inputs = [None for _ in specs] if model in TEXT_MODELS else [_Extent(shape=specs[0].shape[1:])]
    network_of(model, counter)(*inputs)
    return counter.flops


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """A tensor of which only the shape is known, without the batch."""

    shape: Shape

    def __add__(self, other: "_Extent") -> "_Extent":
        return self


class _Counter:
    """`VisionLayers` and `TextLayers` that compute nothing and count what would be."""

    def __init__(self, weights: dict[str, Shape], sequence_length: int) -> None:
        self.flops = 0
        self._weights, self._length = weights, sequence_length

    def convolution(
        self, x: _Extent, name: str, norm: str, activation: Activation = "", *, stride: int = 1
    ) -> _Extent:
        """Count each output's sum over the kernel and the channels that it reads."""
        weight = self._weights[f"{name}.weight"]
        size = tuple((side - 1) // stride + 1 for side in x.shape[1:])  # padded by half the kernel
        self.flops += PER_MULTIPLY_ADD * prod(weight) * prod(size)
        return _Extent(shape=(weight[0], *size))

    def activate(self, x: _Extent, activation: Activation) -> _Extent:
        """Count nothing."""
        return x

    def max_pool(self, x: _Extent) -> _Extent:
        """Count nothing; the image is halved."""
        return _Extent(shape=(x.shape[0], *((side - 1) // 2 + 1 for side in x.shape[1:])))

    def classify(self, x: _Extent, name: str) -> _Extent:
        """Count the linear layer."""
        return self.linear(_Extent(shape=(x.shape[0],)), name)

    def embed(self, ids: Any) -> _Extent:
        """Count nothing: rows are looked up."""
        return _Extent(shape=(self._length, HIDDEN))

    def linear(self, x: _Extent, name: str, activation: Activation = "") -> _Extent:
        """Count each output's sum over the inputs."""
        weight = self._weights[f"{name}.weight"]
        rows = x.shape[:-1]
        self.flops += PER_MULTIPLY_ADD * prod(weight) * prod(rows)
        return _Extent(shape=(*rows, weight[0]))

    def normalise(self, x: _Extent, name: str) -> _Extent:
        """Count nothing."""
        return x

    def attend(self, query: _Extent, key: _Extent, value: _Extent, mask: Any) -> _Extent:
        """Count the scores of each pair of tokens and the sums that they weigh."""
        self.flops += 2 * PER_MULTIPLY_ADD * self._length**2 * HIDDEN
        return query
