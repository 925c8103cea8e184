"""TensorFlow's operators as the layers of the measured networks; images are NHWC."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from greenbench_runtime.engine import Array
from greenbench_runtime.networks.canonical import BERT_EPSILON, BERT_HEADS, NORM_EPSILON
from greenbench_runtime.networks.interface import HIDDEN


def _gelu(x: tf.Tensor) -> tf.Tensor:
    """Return the exact GELU by erf: ``tf.nn.gelu`` takes erfc, which is in no ONNX operator."""
    return 0.5 * x * (1.0 + tf.math.erf(x * 0.5**0.5))


_ACTIVATIONS = {"relu": tf.nn.relu, "relu6": tf.nn.relu6, "gelu": _gelu}


class TensorFlowLayers:
    """Layers that hold a model's weights on the device on which they were made."""

    def __init__(self, tensors: Mapping[str, Array], dtype: tf.DType, *, for_xla: bool = False) -> None:
        """Move weights to the device, in TensorFlow's layouts.

        Args:
            tensors: Canonical, by name.
            dtype: To compute in. BatchNorm's four vectors stay float32, the only type it takes them in.
            for_xla: Whether XLA compiles it.
        """
        self._dtype, self._for_xla = dtype, for_xla
        self._weights = {
            name: tf.constant(_arranged(name, value), tf.float32 if _of_batch_norm(name, tensors) else dtype)
            for name, value in tensors.items()
        }

    def convolution(
        self, x: tf.Tensor, name: str, norm: str, activation: str = "", *, stride: int = 1
    ) -> tf.Tensor:
        """Convolve, normalise, activate. Padding is explicit: ``SAME`` would pad one side only."""
        weight = self._weights[f"{name}.weight"]
        height, _, _, width_out = weight.shape
        sides = [[0, 0], [height // 2] * 2, [height // 2] * 2, [0, 0]]
        padding = sides if height > 1 else "VALID"
        depthwise = width_out == 1
        convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        y = convolve(x, weight, strides=[1, stride, stride, 1], padding=padding)
        return self.activate(self._batch_norm(y, norm), activation)

    def _batch_norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        kinds = ("weight", "bias", "running_mean", "running_var")
        scale, offset, mean, variance = (self._weights[f"{name}.{kind}"] for kind in kinds)
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=mean, variance=variance,
            epsilon=NORM_EPSILON, is_training=False,
        ).y  # fmt: skip

    def activate(self, x: tf.Tensor, activation: str) -> tf.Tensor:
        """Apply an activation."""
        return _ACTIVATIONS[activation](x) if activation else x

    def max_pool(self, x: tf.Tensor) -> tf.Tensor:
        """Pool 3x3, stride 2, padded by 1 on each side."""
        sides = [[0, 0], [1, 1], [1, 1], [0, 0]]
        if self._for_xla:  # it has no pooling with padding; zeros are the least that comes after a ReLU
            return tf.nn.max_pool2d(tf.pad(x, sides), 3, 2, "VALID")
        return tf.nn.max_pool2d(x, 3, 2, sides)

    def classify(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Take the mean over the image, then a linear layer."""
        return self.linear(tf.reduce_mean(x, [1, 2]), name)

    def embed(self, ids: tf.Tensor) -> tf.Tensor:
        """Sum the embeddings of words, positions and token type 0."""
        words, positions, types = (
            self._weights[f"embeddings.{kind}_embeddings.weight"]
            for kind in ("word", "position", "token_type")
        )
        return tf.gather(words, ids) + positions[: ids.shape[1]] + types[0]

    def linear(self, x: tf.Tensor, name: str, activation: str = "") -> tf.Tensor:
        """Multiply by a weight, add its bias, activate; one product over all leading dimensions."""
        weight = self._weights[f"{name}.weight"]
        flat = tf.reshape(x, [-1, weight.shape[0]])
        y = self.activate(tf.nn.bias_add(tf.matmul(flat, weight), self._weights[f"{name}.bias"]), activation)
        return y if x.shape.rank == y.shape.rank else tf.reshape(y, [-1, *x.shape[1:-1], weight.shape[1]])

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Normalise over the last dimension."""
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        scale, offset = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        # bfloat16 rounds BERT's epsilon to something, float16 to nothing; the variance is never that small.
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, BERT_EPSILON)

    def attend(self, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Attend in heads; what the mask leaves out gets the lowest score there is."""
        query, key, value = (_heads(x) for x in (query, key, value))
        scores = tf.matmul(query, key, transpose_b=True) * (HIDDEN // BERT_HEADS) ** -0.5
        seen = tf.cast(mask, tf.bool)[:, None, None, :]
        weights = tf.nn.softmax(tf.where(seen, scores, self._dtype.min))
        together = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
        return tf.reshape(together, [-1, together.shape[1], HIDDEN])


def _heads(x: tf.Tensor) -> tf.Tensor:
    split = tf.reshape(x, [-1, x.shape[1], BERT_HEADS, HIDDEN // BERT_HEADS])
    return tf.transpose(split, [0, 2, 1, 3])


def _of_batch_norm(name: str, tensors: Mapping[str, Array]) -> bool:
    return f"{name.rpartition('.')[0]}.running_mean" in tensors


def _arranged(name: str, value: Array) -> Array:
    """Return [height, width, in, out] for a convolution, [.., in, 1] for a depthwise one, [in, out] else."""
    if value.ndim == 4:  # noqa: PLR2004 - a convolution's
        depthwise = value.shape[1] == 1
        return np.ascontiguousarray(value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)))
    if value.ndim == 2 and not name.endswith("embeddings.weight"):  # noqa: PLR2004 - a linear layer's
        return np.ascontiguousarray(value.T)
    return value
