"""TensorFlow: one graph (``graph``), or that graph compiled by XLA (``xla``).

Images are NHWC, TensorFlow's own layout: a batch is turned round once, while it is staged, outside what is
timed. On a GPU TensorFlow turns inner tensors to the layout its kernels like, in both modes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from greenbench_runtime.engine import (
    Array,
    Converter,
    Engine,
    EngineFacts,
    InvalidRequestError,
    LoadedModel,
    LoadFacts,
    LoadOrder,
    NothingLoadedError,
    WeightsMaker,
)
from greenbench_runtime.networks import interface, keras_zoo, tf_devices
from greenbench_runtime.networks.canonical import parameters, read_canonical
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.graph import network_of
from greenbench_runtime.networks.tf_export import TensorFlowConverter
from greenbench_runtime.networks.tf_layers import TensorFlowLayers

MODES = ("graph", "xla")


class TensorFlowModel:
    """A traced network with its inputs."""

    def __init__(self, run: Callable[..., tf.Tensor], facts: LoadFacts, order: LoadOrder, place: str) -> None:
        self.facts = facts
        self._run, self._place, self._on_host = run, place, order.io == "host"
        self._dtype = tf_devices.DTYPES[order.precision]
        self._inputs: tuple[tf.Tensor, ...] = ()

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch, NHWC, on the device; with ``io = host`` keep it in host memory."""
        interface.check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        with (
            tf_devices.translated("staging the inputs"),
            tf.device("/CPU:0" if self._on_host else self._place),
        ):
            self._inputs = tuple(self._staged(inputs[spec.name]) for spec in self.facts.inputs)
        self.synchronize()

    def _staged(self, value: Array) -> tf.Tensor:
        if value.dtype != np.float32:
            return tf.constant(value)
        return tf.constant(np.ascontiguousarray(value.transpose(0, 2, 3, 1)), self._dtype)

    def infer(self) -> tf.Tensor:
        """Enqueue one forward pass; its output is a tensor of its own."""
        if not self._inputs:
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        with tf_devices.translated("a forward pass"), tf.device(self._place):
            if not self._on_host:
                return self._run(*self._inputs)
            output = self._run(*(tf.identity(value) for value in self._inputs))
        with tf.device("/CPU:0"):
            return tf.identity(output)

    def synchronize(self) -> None:
        """Wait for the device."""
        tf.test.experimental.sync_devices()

    def fetch(self, output: tf.Tensor) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        return {interface.OUTPUT: output.numpy().astype(np.float32, copy=False)}


class TensorFlow:
    """The framework."""

    def facts(self) -> EngineFacts:
        """Return versions, devices and kernels."""
        return EngineFacts(
            runtime="tensorflow", versions=tf_devices.versions(), devices=tf_devices.devices(), modes=MODES,
            precisions=tuple(tf_devices.DTYPES), models=interface.MODELS,
            kernel_architectures=tf_devices.kernel_architectures(),
        )  # fmt: skip

    def load(self, order: LoadOrder) -> LoadedModel:
        """Put the weights on the device; the graph is traced and compiled at the first forward pass."""
        interface.check_order(order, modes=MODES, has_native=True)
        size = (order.model, order.batch_size, order.sequence_length)
        specs = interface.input_specs(*size)
        place = tf_devices.configure(order)
        if order.weights_file is None:
            raise InvalidRequestError("weights_file is missing; TensorFlow loads a safetensors file")
        dtype = tf_devices.DTYPES[order.precision]
        before = tf_devices.used_bytes(order.device)
        with tf_devices.translated(f"loading {order.model}"), tf.device(place):
            network, (count, flops) = _network(order, order.weights_file, dtype)
        run = tf.function(network, jit_compile=order.mode == "xla", autograph=False)
        facts = LoadFacts(
            inputs=specs, outputs=interface.output_specs(*size), parameters=count, flops=flops,
            device_bytes=tf_devices.used_bytes(order.device) - before, flags=tf_devices.flags(order.device),
            dtypes={
                "weights": dtype.name, "outputs": dtype.name,
                "inputs": dtype.name if specs[0].datatype == "FP32" else "int64",
            },
        )  # fmt: skip
        return TensorFlowModel(run, facts, order, place)


def _network(
    order: LoadOrder, path: Path, dtype: tf.DType
) -> tuple[Callable[..., tf.Tensor], tuple[int, int]]:
    """Return the forward pass, matched or Keras' own, and its scalar weights and operations a sample."""
    if order.weights == "native":
        model = keras_zoo.load(order.model, path, dtype.name)
        return partial(model, training=False), (keras_zoo.parameters(model), keras_zoo.flops(model))
    layers = TensorFlowLayers(read_canonical(order.model, path), dtype, for_xla=order.mode == "xla")
    counts = parameters(order.model), matched_flops(order.model, order.sequence_length)
    return network_of(order.model, layers), counts


def engine() -> Engine:
    """Return the engine."""
    return TensorFlow()


def weights_maker() -> WeightsMaker:
    """Return the maker of Keras' own networks' weights."""
    return keras_zoo.KerasWeightsMaker()


def converter() -> Converter:
    """Return the converter to ONNX."""
    return TensorFlowConverter()
