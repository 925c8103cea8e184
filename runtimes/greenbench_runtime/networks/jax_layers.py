"""JAX's operators as the layers of the measured networks; images are NHWC."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from greenbench_runtime.engine import Array
from greenbench_runtime.networks.canonical import BERT_EPSILON, BERT_HEADS, NORM_EPSILON
from greenbench_runtime.networks.interface import HIDDEN

_ACTIVATIONS = {
    "relu": jax.nn.relu, "relu6": jax.nn.relu6, "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}  # fmt: skip


class JaxLayers:
    """Layers over weights that are arguments of the compiled function."""

    def __init__(self, weights: Mapping[str, jax.Array]) -> None:
        self._weights = weights

    def convolution(
        self, x: jax.Array, name: str, norm: str, activation: str = "", *, stride: int = 1
    ) -> jax.Array:
        """Convolve, normalise, activate."""
        weight = self._weights[f"{name}.weight"]
        height, _, width_in, _ = weight.shape
        y = jax.lax.conv_general_dilated(
            x, weight, (stride, stride), [(height // 2, height // 2)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1] // width_in,
        )  # fmt: skip
        return self.activate(self._batch_norm(y, norm), activation)

    def _batch_norm(self, x: jax.Array, name: str) -> jax.Array:
        """Normalise in float32, as other frameworks' kernels do; XLA fuses the casts."""
        kinds = ("weight", "bias", "running_mean", "running_var")
        scale, offset, mean, variance = (self._weights[f"{name}.{kind}"] for kind in kinds)
        factor = scale * jax.lax.rsqrt(variance + NORM_EPSILON)
        return ((x.astype(jnp.float32) - mean) * factor + offset).astype(x.dtype)

    def activate(self, x: jax.Array, activation: str) -> jax.Array:
        """Apply an activation."""
        return _ACTIVATIONS[activation](x) if activation else x

    def max_pool(self, x: jax.Array) -> jax.Array:
        """Pool 3x3, stride 2, padded by 1 on each side."""
        lowest = jnp.array(-jnp.inf, x.dtype)
        sides = ((0, 0), (1, 1), (1, 1), (0, 0))
        return jax.lax.reduce_window(x, lowest, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), sides)

    def classify(self, x: jax.Array, name: str) -> jax.Array:
        """Take the mean over the image, then a linear layer."""
        return self.linear(x.mean((1, 2)), name)

    def embed(self, ids: jax.Array) -> jax.Array:
        """Sum the embeddings of words, positions and token type 0."""
        words, positions, types = (
            self._weights[f"embeddings.{kind}_embeddings.weight"]
            for kind in ("word", "position", "token_type")
        )
        return words[ids] + positions[: ids.shape[1]] + types[0]

    def linear(self, x: jax.Array, name: str, activation: str = "") -> jax.Array:
        """Multiply by a weight, add its bias, activate."""
        y = x @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return self.activate(y, activation)

    def normalise(self, x: jax.Array, name: str) -> jax.Array:
        """Normalise over the last dimension."""
        y = jax.nn.standardize(x, epsilon=BERT_EPSILON)
        return y * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def attend(self, query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
        """Attend in heads, none of them to what the mask leaves out."""
        split = (*query.shape[:2], BERT_HEADS, HIDDEN // BERT_HEADS)
        seen = mask.astype(bool)[:, None, None, :]
        together = jax.nn.dot_product_attention(
            query.reshape(split), key.reshape(split), value.reshape(split), mask=seen
        )
        return together.reshape(query.shape)


def arranged(tensors: Mapping[str, Array], dtype: np.dtype, device: jax.Device) -> dict[str, jax.Array]:
    """Return canonical tensors on a device in JAX's layouts; those of a BatchNorm stay float32."""
    return {
        name: jax.device_put(
            _arranged(name, value).astype(np.float32 if _of_batch_norm(name, tensors) else dtype), device
        )
        for name, value in tensors.items()
    }


def _of_batch_norm(name: str, tensors: Mapping[str, Array]) -> bool:
    return f"{name.rpartition('.')[0]}.running_mean" in tensors


def _arranged(name: str, value: Array) -> Array:
    """Return [height, width, in, out] for a convolution, [in, out] for a linear layer."""
    if value.ndim == 4:  # noqa: PLR2004 - a convolution's
        return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
    if value.ndim == 2 and not name.endswith("embeddings.weight"):  # noqa: PLR2004 - a linear layer's
        return np.ascontiguousarray(value.T)
    return value
