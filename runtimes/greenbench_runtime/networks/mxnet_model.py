"""One loaded model of MXNet: a hybridized block with its weights and inputs.

Imported after `mxnet_start.begin`: MXNet starts with this module's first line.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mxnet as mx
import numpy as np

from greenbench_runtime.engine import (
    Array,
    EngineError,
    InvalidRequestError,
    LoadFacts,
    LoadOrder,
    NothingLoadedError,
    OutOfMemoryError,
    TensorSpec,
    UnsupportedError,
)
from greenbench_runtime.machine import machine_code_runs
from greenbench_runtime.networks import interface, mxnet_start, mxnet_zoo
from greenbench_runtime.networks.canonical import parameters, read_canonical
from greenbench_runtime.networks.cuda_devices import memory_gauge, ordinal_of
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.mxnet_layers import network

_HYBRID = {"static_alloc": True, "static_shape": True}


class MXNetModel:
    """A hybridized block with its inputs."""

    def __init__(
        self, block: mx.gluon.SymbolBlock, facts: LoadFacts, order: LoadOrder, place: mx.Context
    ) -> None:
        self.facts = facts
        self._block, self._place, self._on_host = block, place, order.io == "host"
        self._inputs: tuple[mx.nd.NDArray | Array, ...] = ()

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch on the device; with ``io = host`` keep it in host memory."""
        interface.check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        given = tuple(inputs[spec.name] for spec in self.facts.inputs)
        with translated("staging the inputs"):
            self._inputs = given if self._on_host else self._placed(given)
            mx.nd.waitall()

    def _placed(self, values: tuple[Array, ...]) -> tuple[mx.nd.NDArray, ...]:
        return tuple(mx.nd.array(value, self._place, value.dtype) for value in values)

    def infer(self) -> mx.nd.NDArray | Array:
        """Enqueue one forward pass; its output is an array of its own."""
        if not self._inputs:
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        with translated("a forward pass"):
            if not self._on_host:
                return self._block(*self._inputs)
            return self._block(*self._placed(self._inputs)).asnumpy()

    def synchronize(self) -> None:
        """Wait for everything enqueued."""
        with translated("a forward pass"):
            mx.nd.waitall()

    def fetch(self, output: mx.nd.NDArray | Array) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        with translated("copying an output"):
            return {interface.OUTPUT: output if isinstance(output, np.ndarray) else output.asnumpy()}


def load(order: LoadOrder, path: Path) -> MXNetModel:
    """Put the weights on the device; the graph is planned at the first forward pass.

    Raises:
        UnsupportedError: The GPU or the zoo's network is not there.
        InvalidRequestError: The weights do not fit the network.
        OutOfMemoryError: The weights do not fit.
    """
    size = (order.model, order.batch_size, order.sequence_length)
    specs, ordinal = interface.input_specs(*size), _ordinal(order)
    place = mx.cpu() if ordinal is None else mx.gpu(ordinal)
    used_bytes: Callable[[], int] = memory_gauge(ordinal) if ordinal is not None else lambda: 0
    before = used_bytes()
    with translated(f"loading {order.model}"):
        output, inputs, tensors, (count, flops) = _graph(order, path, specs)
        block = _filled(mx.gluon.SymbolBlock([output], list(inputs)), tensors, place)
    kind = "float32" if specs[0].datatype == "FP32" else "int64"
    facts = LoadFacts(
        inputs=specs, outputs=interface.output_specs(*size), parameters=count, flops=flops,
        device_bytes=used_bytes() - before, flags=_flags(order.device),
        dtypes={"weights": "float32", "outputs": "float32", "inputs": kind},
    )  # fmt: skip
    return MXNetModel(block, facts, order, place)


def _graph(
    order: LoadOrder, path: Path, specs: tuple[TensorSpec, ...]
) -> tuple[mx.sym.Symbol, tuple[mx.sym.Symbol, ...], Mapping[str, Array], tuple[int, int]]:
    """Return the graph, matched or the zoo's own, its inputs, tensors, scalar weights and operations."""
    if order.weights == "native":
        output, inputs, own = mxnet_zoo.read(order.model, path)
        return output, inputs, own, (mxnet_zoo.parameters(own), mxnet_zoo.flops(output))
    tensors = read_canonical(order.model, path)
    output, inputs = network(order.model, tensors, specs)
    counts = parameters(order.model), matched_flops(order.model, order.sequence_length)
    return output, inputs, tensors, counts


def _ordinal(order: LoadOrder) -> int | None:
    if order.device == "cpu":
        return None
    ordinal = ordinal_of(order.device_uuid)
    if ordinal >= mx.context.num_gpus():
        text = "its CUDA 11 or cuDNN 8 libraries are missing, or the driver is too old for them"
        raise UnsupportedError(f"MXNet sees {mx.context.num_gpus()} GPUs, not number {ordinal}: {text}")
    capability = mxnet_start.devices()[1 + ordinal].compute_capability
    kernels = mxnet_start.kernel_architectures()
    if not machine_code_runs(kernels, capability):
        text = f"MXNet has no kernels for it, only for {', '.join(kernels)}"
        raise UnsupportedError(f"the GPU has compute capability {capability}: {text}")
    return ordinal


def _filled(
    block: mx.gluon.SymbolBlock, tensors: Mapping[str, Array], place: mx.Context
) -> mx.gluon.SymbolBlock:
    """Return the block with its weights, ready to be planned once; gradients would double its memory."""
    held = block.collect_params()
    held.setattr("grad_req", "null")
    for name, parameter in held.items():
        parameter.shape = tensors[name].shape
        parameter.initialize(mx.init.Zero(), ctx=place)
        parameter.set_data(mx.nd.array(tensors[name], dtype=np.float32))
    block.hybridize(**_HYBRID)
    mx.nd.waitall()
    return block


def _flags(device: str) -> dict[str, str]:
    shown = {name: str(value) for name, value in _HYBRID.items()}
    shown |= {"threads": str(mxnet_start.threads_in_force()), "image_layout": "NCHW"}
    return shown | ({"tf32.NVIDIA_TF32_OVERRIDE": mxnet_start.tf32_override()} if device == "cuda" else {})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn MXNet's errors into the engine's, in one line.

    Raises:
        OutOfMemoryError: The memory is too small.
        InvalidRequestError: Anything else that an operator refuses.
    """
    try:
        yield
    except mx.MXNetError as err:
        raise _error_for(str(err), doing) from err


def _error_for(said: str, doing: str) -> EngineError:
    """Return the error for what MXNet said; its own sentence comes last, below a trace of the stack."""
    text = f"{doing}: {said.strip().splitlines()[-1].strip()}"
    if "out of memory" in said or "Failed to allocate" in said:
        return OutOfMemoryError(f"{text}; take a smaller batch_size")
    return InvalidRequestError(text)
