"""PyTorch, eager or compiled.

Images and the weights of their convolutions are ``channels_last``, as PyTorch's documentation advises, on the
CPU, and on a GPU in half precision or compiled. On a GPU in mode ``eager`` in fp32 and TF32, where that is
slower or mixed, they stay contiguous (``networks.torch_layout``). A batch is brought into its format once,
while it is staged, outside what is timed.
"""

import gc
from collections.abc import Callable, Mapping

import torch
import transformers
from torch import Tensor

from greenbench_runtime import engine as contract
from greenbench_runtime.engine import Array, LoadFacts, LoadOrder
from greenbench_runtime.networks import interface, torch_devices
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.torch_compile import CUDA_GRAPHS, CompiledNetwork
from greenbench_runtime.networks.torch_export import TorchConverter
from greenbench_runtime.networks.torch_layout import format_flag, formatted, image_format
from greenbench_runtime.networks.torch_networks import load_network, parameters
from greenbench_runtime.networks.torch_numerics import DTYPES, flags, set_precision
from greenbench_runtime.networks.torch_weights import TorchWeightsMaker


class PyTorchModel:
    """A network on its device."""

    def __init__(
        self, network: Callable[..., Tensor], facts: LoadFacts, device: torch.device, order: LoadOrder
    ) -> None:
        self.facts = facts
        self._network, self._device = network, device
        self._dtype, self._on_host = DTYPES[order.precision], order.io == "host"
        self._format = image_format(order)
        self._inputs: tuple[Tensor, ...] = ()

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch on the device, or with ``io = host`` into (page-locked) host memory."""
        interface.check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        with torch_devices.memory_errors("staging the inputs"):
            self._inputs = tuple(self._staged(inputs[spec.name]) for spec in self.facts.inputs)
            self.synchronize()

    def _staged(self, value: Array) -> Tensor:
        tensor = torch.from_numpy(value.copy(order="C"))  # what arrives is read-only
        tensor = tensor.to(self._dtype) if tensor.is_floating_point() else tensor
        tensor = formatted(tensor, self._format)  # kept by every copy from here on
        if not self._on_host:
            return tensor.to(self._device)
        return tensor.pin_memory() if self._device.type == "cuda" else tensor

    def infer(self) -> Tensor:
        """Enqueue one forward pass; its output is a tensor of its own."""
        if not self._inputs:
            raise contract.NothingLoadedError("no inputs are staged; stage one batch first")
        try:
            with torch.inference_mode():
                if not self._on_host:
                    return self._network(*self._inputs)
                inputs = [tensor.to(self._device, non_blocking=True) for tensor in self._inputs]
                return self._network(*inputs).cpu()
        except RuntimeError as err:
            raise torch_devices.translated(err, "a forward pass") from err

    def synchronize(self) -> None:
        """Wait for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def fetch(self, output: Tensor) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        return {interface.OUTPUT: output.float().cpu().numpy()}


class PyTorch:
    """The framework: modes ``eager`` and, on a GPU where a C compiler is installed, ``compile``."""

    def facts(self) -> contract.EngineFacts:
        """Return versions, devices and kernels."""
        versions = {"pytorch": torch.__version__, "transformers": transformers.__version__}
        if torch.version.cuda:
            versions |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
        return contract.EngineFacts(
            runtime="pytorch", versions=versions, devices=torch_devices.devices(),
            modes=torch_devices.modes(), precisions=tuple(DTYPES), models=interface.MODELS,
            kernel_architectures=tuple(torch.cuda.get_arch_list()),
        )  # fmt: skip

    def load(self, order: LoadOrder) -> contract.LoadedModel:
        """Build the network, fill it, move it; ``compile`` compiles at the first forward pass."""
        # PyTorch's own networks are those that the others are matched with: native weights are the same file.
        interface.check_order(order, modes=torch_devices.modes(), has_native=True)
        if order.weights_file is None:
            raise contract.InvalidRequestError("weights_file is missing; PyTorch loads a safetensors file")
        size = (order.model, order.batch_size, order.sequence_length)
        specs = interface.input_specs(*size)
        device = torch_devices.torch_device(order.device, order.device_uuid)
        set_precision(order.precision, order.device)
        torch.set_num_threads(order.threads)
        network, dtype = load_network(order.model, order.weights_file), DTYPES[order.precision]
        gc.collect()
        torch.cuda.empty_cache()
        before = torch_devices.reserved_bytes(device)
        with torch_devices.memory_errors(f"loading {order.model}"):
            # In host memory, so that the GPU holds no tensor twice.
            network.to(dtype=dtype, memory_format=image_format(order))
            network.to(device)
        name = str(dtype).removeprefix("torch.")
        compiled = {"cuda_graphs": str(CUDA_GRAPHS)} if order.mode == "compile" else {}
        staged = name if specs[0].datatype == "FP32" else "int64"
        facts = LoadFacts(
            inputs=specs, outputs=interface.output_specs(*size), parameters=parameters(network),
            flops=matched_flops(order.model, order.sequence_length),
            flags=flags(order.device) | format_flag(network) | compiled,
            device_bytes=torch_devices.reserved_bytes(device) - before,
            dtypes={"weights": name, "inputs": staged, "outputs": name},
        )  # fmt: skip
        run = CompiledNetwork(network) if order.mode == "compile" else network
        return PyTorchModel(run, facts, device, order)


def engine() -> contract.Engine:
    """Return the engine."""
    return PyTorch()


def weights_maker() -> contract.WeightsMaker:
    """Return the maker of canonical weights."""
    return TorchWeightsMaker()


def converter() -> contract.Converter:
    """Return the converter to ONNX."""
    return TorchConverter()
