"""MXNet's symbolic operators as the layers of the measured networks; images are NCHW."""

from collections.abc import Mapping
from itertools import count

import mxnet as mx
import numpy as np

from greenbench_runtime.engine import Array, TensorSpec
from greenbench_runtime.networks.canonical import BERT_EPSILON, BERT_HEADS, NORM_EPSILON
from greenbench_runtime.networks.graph import network_of
from greenbench_runtime.networks.interface import HIDDEN, OUTPUT

_LOWEST = float(np.finfo(np.float32).min)


def network(
    model: str, tensors: Mapping[str, Array], specs: tuple[TensorSpec, ...]
) -> tuple[mx.sym.Symbol, tuple[mx.sym.Symbol, ...]]:
    """Return a model's graph, whose weights are variables of the canonical names, and its inputs."""
    kinds = {"FP32": "float32", "INT64": "int64"}
    inputs = tuple(mx.sym.var(spec.name, dtype=kinds[spec.datatype]) for spec in specs)
    layers = MXNetLayers({name: value.shape for name, value in tensors.items()}, specs[0].shape[1])
    with mx.name.NameManager():  # names of operators begin anew with each graph
        output = network_of(model, layers)(*inputs)
        return mx.sym.identity(output, name=OUTPUT), inputs


class MXNetLayers:
    """Layers that name their weights; the values come with the graph that is made of them."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], length: int) -> None:
        """Hold what the operators want to know beforehand.

        Args:
            shapes: Of the canonical tensors, by name.
            length: Tokens per sample; of no meaning for a vision model.
        """
        self._shapes, self._length = shapes, length
        self._variables: dict[str, mx.sym.Symbol] = {}
        self._unseen: mx.sym.Symbol | None = None
        self._numbers = count()

    def _weight(self, name: str) -> mx.sym.Symbol:
        if name not in self._variables:
            self._variables[name] = mx.sym.var(name, shape=self._shapes[name], dtype="float32")
        return self._variables[name]

    def convolution(
        self, x: mx.sym.Symbol, name: str, norm: str, activation: str = "", *, stride: int = 1
    ) -> mx.sym.Symbol:
        """Convolve, normalise, activate."""
        width, width_in, height, _ = self._shapes[f"{name}.weight"]
        y = mx.sym.Convolution(
            x, weight=self._weight(f"{name}.weight"), no_bias=True, kernel=(height, height),
            stride=(stride, stride), pad=(height // 2, height // 2), num_filter=width,
            num_group=width if width_in == 1 else 1,
        )  # fmt: skip
        return self.activate(self._batch_norm(y, norm), activation)

    def _batch_norm(self, x: mx.sym.Symbol, name: str) -> mx.sym.Symbol:
        kinds = ("weight", "bias", "running_mean", "running_var")
        scale, offset, mean, variance = (self._weight(f"{name}.{kind}") for kind in kinds)
        return mx.sym.BatchNorm(
            x, gamma=scale, beta=offset, moving_mean=mean, moving_var=variance, eps=NORM_EPSILON,
            fix_gamma=False, use_global_stats=True,
        )  # fmt: skip

    def activate(self, x: mx.sym.Symbol, activation: str) -> mx.sym.Symbol:
        """Apply an activation; MXNet's GELU is the exact one."""
        if activation == "relu":
            return mx.sym.Activation(x, act_type="relu")
        if activation == "relu6":
            return mx.sym.clip(x, 0.0, 6.0)
        return mx.sym.LeakyReLU(x, act_type="gelu") if activation else x

    def max_pool(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Pool 3x3, stride 2, padded by 1 on each side."""
        return mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")

    def classify(self, x: mx.sym.Symbol, name: str) -> mx.sym.Symbol:
        """Take the mean over the image, then a linear layer."""
        mean = mx.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")
        return self.linear(mx.sym.Flatten(mean), name)

    def embed(self, ids: mx.sym.Symbol) -> mx.sym.Symbol:
        """Sum the embeddings of words, positions and token type 0."""
        words, positions, types = (
            f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")
        )
        rows, width = self._shapes[words]
        embedded = mx.sym.Embedding(ids, weight=self._weight(words), input_dim=rows, output_dim=width)
        for name, end in ((positions, self._length), (types, 1)):
            rows = mx.sym.slice_axis(self._weight(name), axis=0, begin=0, end=end)
            embedded = mx.sym.broadcast_add(embedded, mx.sym.expand_dims(rows, axis=0))
        return embedded

    def linear(self, x: mx.sym.Symbol, name: str, activation: str = "") -> mx.sym.Symbol:
        """Multiply by a weight, add its bias, activate."""
        y = mx.sym.FullyConnected(
            x, weight=self._weight(f"{name}.weight"), bias=self._weight(f"{name}.bias"),
            num_hidden=self._shapes[f"{name}.weight"][0], flatten=False,
        )  # fmt: skip
        return self.activate(y, activation)

    def normalise(self, x: mx.sym.Symbol, name: str) -> mx.sym.Symbol:
        """Normalise over the last dimension."""
        scale, offset = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return mx.sym.LayerNorm(x, gamma=scale, beta=offset, axis=-1, eps=BERT_EPSILON)

    def attend(
        self, query: mx.sym.Symbol, key: mx.sym.Symbol, value: mx.sym.Symbol, mask: mx.sym.Symbol
    ) -> mx.sym.Symbol:
        """Attend in heads; what the mask leaves out gets the lowest score there is."""
        query, key, value = (_heads(x) for x in (query, key, value))
        scores = mx.sym.batch_dot(query * (HIDDEN // BERT_HEADS) ** -0.5, key, transpose_b=True)
        weights = mx.sym.softmax(mx.sym.broadcast_add(scores, self._lowest_where_unseen(mask)), axis=-1)
        together = mx.sym.transpose(mx.sym.batch_dot(weights, value), axes=(0, 2, 1, 3))
        return mx.sym.reshape(together, shape=(0, 0, HIDDEN))

    def _lowest_where_unseen(self, mask: mx.sym.Symbol) -> mx.sym.Symbol:
        """Return [n, 1, 1, l] to be added to scores, one for all layers."""
        if self._unseen is None:
            unseen = (1.0 - mx.sym.cast(mask, dtype="float32")) * _LOWEST
            self._unseen = mx.sym.reshape(unseen, shape=(0, 1, 1, -1))
        return self._unseen


def _heads(x: mx.sym.Symbol) -> mx.sym.Symbol:
    split = mx.sym.reshape(x, shape=(0, 0, BERT_HEADS, HIDDEN // BERT_HEADS))
    return mx.sym.transpose(split, axes=(0, 2, 1, 3))
