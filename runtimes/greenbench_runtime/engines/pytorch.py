"""PyTorch, eager or compiled. Tensors stay contiguous (NCHW), as in the frameworks compared with."""

import gc
import shutil
from collections.abc import Callable, Mapping

import torch
import transformers
from torch import Tensor

from greenbench_runtime.engine import (
    Array, Engine, EngineFacts, InvalidRequestError, LoadedModel, LoadFacts, LoadOrder, NothingLoadedError,
    WeightsMaker, Converter,
)  # fmt: skip
from greenbench_runtime.networks.interface import (
    MODELS, OUTPUT, check_inputs, check_order, input_specs, output_specs,
)  # fmt: skip
from greenbench_runtime.networks.torch_devices import devices, memory_errors, torch_device, translated
from greenbench_runtime.networks.torch_export import TorchConverter
from greenbench_runtime.networks.torch_naming import canonical_names
from greenbench_runtime.networks.torch_networks import build, fill, parameters, read_tensors
from greenbench_runtime.networks.torch_numerics import DTYPES, flags, set_precision
from greenbench_runtime.networks.torch_weights import TorchWeightsMaker


class PyTorchModel:
    """A network on its device."""

    def __init__(
        self, network: Callable[..., Tensor], facts: LoadFacts, device: torch.device, dtype: torch.dtype, *, on_host: bool
    ) -> None:
        self.facts = facts
        self._network, self._device, self._dtype, self._on_host = network, device, dtype, on_host
        self._inputs: tuple[Tensor, ...] = ()

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch on the device, or with ``io = host`` into (page-locked) host memory."""
        check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        with memory_errors("staging the inputs"):
            self._inputs = tuple(self._staged(inputs[spec.name]) for spec in self.facts.inputs)
            self.synchronize()

    def _staged(self, value: Array) -> Tensor:
        tensor = torch.tensor(value)  # copies: what arrives is read-only
        tensor = tensor.to(self._dtype) if tensor.is_floating_point() else tensor
        if not self._on_host:
            return tensor.to(self._device)
        return tensor.pin_memory() if self._device.type == "cuda" else tensor

    def infer(self) -> Tensor:
        """Enqueue one forward pass; its output is a tensor of its own."""
        if not self._inputs:
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        try:
            with torch.inference_mode():
                if not self._on_host:
                    return self._network(*self._inputs)
                inputs = [tensor.to(self._device, non_blocking=True) for tensor in self._inputs]
                return self._network(*inputs).cpu()
        except RuntimeError as err:
            raise translated(err, "a forward pass") from err

    def synchronize(self) -> None:
        """Wait for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def fetch(self, output: Tensor) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        return {OUTPUT: output.float().cpu().numpy()}


class PyTorch:
    """The framework: modes ``eager`` and, on a GPU where a C compiler is installed, ``compile``."""

    def facts(self) -> EngineFacts:
        """Return versions, devices and kernels."""
        versions = {"pytorch": torch.__version__, "transformers": transformers.__version__}
        if torch.version.cuda:
            versions |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
        return EngineFacts(
            runtime="pytorch", versions=versions, devices=devices(), modes=_modes(), precisions=tuple(DTYPES),
            kernel_architectures=tuple(torch.cuda.get_arch_list()), models=MODELS,
        )  # fmt: skip

    def load(self, order: LoadOrder) -> LoadedModel:
        """Build the network, fill it, move it; with ``compile`` run it once, which compiles it."""
        check_order(order, modes=_modes())
        if order.weights_file is None:
            raise InvalidRequestError("weights_file is missing; PyTorch loads a canonical safetensors file")
        size = (order.model, order.batch_size, order.sequence_length)
        specs, device = input_specs(*size), torch_device(order.device, order.device_uuid)
        set_precision(order.precision, order.device)
        torch.set_num_threads(order.threads)
        network, dtype = build(order.model), DTYPES[order.precision]
        fill(network, canonical_names(order.model, read_tensors(order.weights_file)), origin=order.weights_file.name)
        gc.collect()
        torch.cuda.empty_cache()
        before = _reserved(device)
        with memory_errors(f"loading {order.model}"):
            network.to(device, dtype)
        name, inputs = str(dtype).removeprefix("torch."), "int64" if specs[0].datatype == "INT64" else None
        facts = LoadFacts(
            inputs=specs, outputs=output_specs(*size), parameters=parameters(network), flags=flags(order.device),
            device_bytes=_reserved(device) - before,
            dtypes={"weights": name, "inputs": inputs or name, "outputs": name},
        )  # fmt: skip
        run = torch.compile(network, dynamic=False) if order.mode == "compile" else network
        return PyTorchModel(run, facts, device, dtype, on_host=order.io == "host")


def _modes() -> tuple[str, ...]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return ("eager", "compile") if torch.cuda.is_available() and compiler else ("eager",)


def _reserved(device: torch.device) -> int:
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def engine() -> Engine:
    """Return the engine."""
    return PyTorch()


def weights_maker() -> WeightsMaker:
    """Return the maker of canonical weights."""
    return TorchWeightsMaker()


def converter() -> Converter:
    """Return the converter to ONNX."""
    return TorchConverter()
