"""JAX: one function, compiled by XLA (``jit``).

Images are NHWC: a batch is turned round once, while it is staged, outside what is timed. Token ids are
int32, JAX's own integers.
"""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from greenbench_runtime.engine import (
    Array,
    Engine,
    EngineFacts,
    InvalidRequestError,
    LoadedModel,
    LoadFacts,
    LoadOrder,
    NothingLoadedError,
)
from greenbench_runtime.networks import interface, jax_devices
from greenbench_runtime.networks.canonical import parameters, read_canonical
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.graph import network_of
from greenbench_runtime.networks.jax_layers import JaxLayers, arranged

MODES = ("jit",)


class JaxModel:
    """A compiled function with its weights and inputs."""

    def __init__(
        self, run: Callable[..., jax.Array], facts: LoadFacts, order: LoadOrder, device: jax.Device
    ) -> None:
        self.facts = facts
        self._run, self._device, self._on_host = run, device, order.io == "host"
        self._dtype = jax_devices.DTYPES[order.precision]
        self._inputs: tuple[Array | jax.Array, ...] = ()
        self._last: jax.Array | Array | None = None

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch, NHWC, on the device; with ``io = host`` keep it in host memory."""
        interface.check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        turned = tuple(self._turned(inputs[spec.name]) for spec in self.facts.inputs)
        with jax_devices.translated("staging the inputs"):
            placed = turned if self._on_host else jax.device_put(turned, self._device)
            self._inputs = jax.block_until_ready(placed)

    def _turned(self, value: Array) -> Array:
        if value.dtype != np.float32:
            return value.astype(np.int32)
        return np.ascontiguousarray(value.transpose(0, 2, 3, 1)).astype(self._dtype)

    def infer(self) -> jax.Array | Array:
        """Enqueue one forward pass; its output is an array of its own."""
        if not self._inputs:
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        with jax_devices.translated("a forward pass"):
            inputs = jax.device_put(self._inputs, self._device) if self._on_host else self._inputs
            output = self._run(*inputs)
            self._last = np.asarray(output) if self._on_host else output
        return self._last

    def synchronize(self) -> None:
        """Wait for the newest output: a device computes in the order of the calls."""
        with jax_devices.translated("a forward pass"):
            jax.block_until_ready(self._last)

    def fetch(self, output: jax.Array | Array) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        return {interface.OUTPUT: np.asarray(output).astype(np.float32, copy=False)}


class Jax:
    """The framework."""

    def facts(self) -> EngineFacts:
        """Return versions and devices; XLA compiles its kernels for the GPU at hand."""
        return EngineFacts(
            runtime="jax", versions={"jax": jax.__version__}, devices=jax_devices.devices(), modes=MODES,
            precisions=tuple(jax_devices.DTYPES), models=interface.MODELS,
        )  # fmt: skip

    def load(self, order: LoadOrder) -> LoadedModel:
        """Put the weights on the device; the function is compiled at the first forward pass."""
        interface.check_order(order, modes=MODES)
        size = (order.model, order.batch_size, order.sequence_length)
        specs = interface.input_specs(*size)
        device = jax_devices.configure(order)
        if order.weights_file is None:
            raise InvalidRequestError("weights_file is missing; JAX loads a safetensors file")
        tensors, dtype = read_canonical(order.model, order.weights_file), jax_devices.DTYPES[order.precision]
        before = jax_devices.used_bytes(device)
        with jax_devices.translated(f"loading {order.model}"):
            weights = jax.block_until_ready(arranged(tensors, dtype, device))
        compiled = jax.jit(lambda held, *inputs: network_of(order.model, JaxLayers(held))(*inputs))
        facts = LoadFacts(
            inputs=specs, outputs=interface.output_specs(*size), parameters=parameters(order.model),
            flops=matched_flops(order.model, order.sequence_length),
            device_bytes=jax_devices.used_bytes(device) - before, flags=jax_devices.flags(order.device),
            dtypes={
                "weights": dtype.name, "outputs": dtype.name,
                "inputs": dtype.name if specs[0].datatype == "FP32" else "int32",
            },
        )  # fmt: skip
        return JaxModel(lambda *inputs: compiled(weights, *inputs), facts, order, device)


def engine() -> Engine:
    """Return the engine."""
    return Jax()
