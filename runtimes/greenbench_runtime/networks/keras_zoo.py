"""TensorFlow's own networks: ``keras.applications``, with their logits as output; images are NHWC."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from greenbench_runtime.engine import Array, InvalidRequestError, PreparedWeights
from greenbench_runtime.networks.flops import PER_MULTIPLY_ADD
from greenbench_runtime.networks.native import (
    RESIDUAL_SCALE,
    Drawn,
    draw,
    network_name,
    prove_natural,
    read_native,
    write_native,
)
from greenbench_runtime.networks.tf_devices import set_threads
from greenbench_runtime.networks.zoo_names import KERAS_ABSENT, KERAS_NETWORKS


def build(model: str, precision: str = "float32") -> keras.Model:
    """Return a network that takes [n, 224, 224, 3] and gives logits, its weights not yet meaningful.

    Raises:
        UnsupportedError: Keras has no such network.
    """
    name = network_name(model, KERAS_NETWORKS, KERAS_ABSENT).rpartition(".")[2]
    with _computing_in(precision):
        keras.backend.clear_session()  # names begin anew with each network
        make: Callable[..., keras.Model] = getattr(keras.applications, name)
        return make(weights=None, classifier_activation=None, input_shape=(224, 224, 3))


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def load(model: str, path: Path, precision: str = "float32") -> keras.Model:
    """Return a network with the weights of a file.

    Raises:
        UnsupportedError: Keras has no such network.
        InvalidRequestError: The file can't be read or does not fit.
    """
    network = build(model, precision)
    shapes = {variable.path: tuple(variable.shape) for variable in network.variables}
    fill(network, read_native(path, shapes, network=KERAS_NETWORKS[model]))
    return network


def fill(network: keras.Model, tensors: Mapping[str, Array]) -> None:
    """Assign every variable of a network."""
    for variable in network.variables:
        variable.assign(tensors[variable.path])


def parameters(network: keras.Model) -> int:
    """Return the number of scalar weights, BatchNorm statistics not counted."""
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def flops(network: keras.Model) -> int:
    """Return the operations of one sample, by the rule of `networks.flops`."""
    kernels = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    total = 0
    for layer in network.layers:
        if isinstance(layer, kernels):
            size = layer.output.shape[1:-1]  # none for a dense layer
            total += PER_MULTIPLY_ADD * int(np.prod(layer.kernel.shape)) * int(np.prod(size))
    return total


class KerasWeightsMaker:
    """Makes files of native weights: seeded, or taken from a file of Keras or of our own."""

    def prepare(
        self, *, model: str, seed: int | None, weights_file: Path | None,
        calibration: Mapping[str, Array], outbox: Path, threads: int,
    ) -> PreparedWeights:  # fmt: skip
        """Write a model's native weights into `outbox`; arguments are those of `WeightsMaker`.

        Raises:
            UnsupportedError: Keras has no such network.
            InvalidRequestError: A file that does not fit, or weights whose outputs are not natural.
        """
        set_threads(threads)
        network = build(model)
        images = np.ascontiguousarray(calibration["input"].transpose(0, 2, 3, 1))
        if weights_file is not None:
            network = _from_file(network, model, weights_file)
        elif seed is not None:
            fill(network, draw(_plan(network), seed))
            _calibrate(network, images)
        else:
            raise InvalidRequestError("neither a seed nor a weights file was given; give one")
        origin = weights_file.name if weights_file else f"seed {seed}"
        prove_natural(network(images, training=False).numpy(), origin=origin)
        path = outbox / f"{model}.safetensors"
        tensors = {variable.path: variable.numpy() for variable in network.variables}
        write_native(tensors, path, network=KERAS_NETWORKS[model])
        return PreparedWeights(path=path, parameters=parameters(network))


def _from_file(network: keras.Model, model: str, path: Path) -> keras.Model:
    if path.suffix == ".safetensors":
        return load(model, path)
    if path.suffix not in {".h5", ".keras"}:
        raise InvalidRequestError(f"weights file {path.name} is neither .safetensors nor Keras' .h5")
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError) as err:
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise InvalidRequestError(f"{path.name} does not fit {KERAS_NETWORKS[model]}: {reason}") from err
    return network


def _plan(network: keras.Model) -> dict[str, Drawn]:
    """Return how each variable is drawn: kernels by He, the last norm of a residual branch damped."""
    damped = _last_norms(network)
    plan = {}
    for layer in network.layers:
        for variable in layer.variables:
            shape, kind = tuple(variable.shape), variable.path.rpartition("/")[2]
            if kind == "kernel":
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                inputs = int(np.prod(shape[:2] if depthwise else shape[:-1]))
                plan[variable.path] = Drawn(shape=shape, inputs=inputs)
            else:
                scale = RESIDUAL_SCALE if layer.name in damped else 1.0
                filled = {"gamma": scale, "moving_variance": 1.0}.get(kind, 0.0)
                plan[variable.path] = Drawn(shape=shape, constant=filled)
    return plan


def _last_norms(network: keras.Model) -> frozenset[str]:
    """Return the names of the BatchNorms that feed an addition last in their branch."""
    found = set()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Add):
            before: list[Any] = [
                tensor._keras_history.operation  # noqa: SLF001 - Keras tells it nowhere else
                for tensor in layer.input
            ]
            found.add(_branch_end(before))
    return frozenset(found)


def _branch_end(before: list[Any]) -> str:
    # The shortcut is a norm of its own (ends in 0) where the width changes, else no norm at all.
    norms: list[str] = [layer.name for layer in before if isinstance(layer, keras.layers.BatchNormalization)]
    return next(name for name in norms if not name.endswith("_0_bn"))


def _calibrate(network: keras.Model, images: Array) -> None:
    """Set every BatchNorm's statistics to those of `images` in one pass, each after the one before it."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)
