"""ONNX Runtime: a converted model on one execution provider, inputs and outputs bound where it computes.

On the CPU ``io = host`` and ``io = device`` are the same place, so nothing is copied in either.
"""

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

from greenbench_runtime.engine import (
    NUMPY_DATATYPES,
    Array,
    DeviceFacts,
    Engine,
    EngineFacts,
    InvalidRequestError,
    LoadedModel,
    LoadFacts,
    LoadOrder,
    NothingLoadedError,
)
from greenbench_runtime.networks.cuda_devices import cuda_devices, memory_gauge, ordinal_of
from greenbench_runtime.networks.interface import MODELS, OUTPUT, check_inputs, check_order, input_specs
from greenbench_runtime.networks.onnx_providers import PROVIDERS, check_provider, modes
from greenbench_runtime.networks.onnx_session import ORT_ERRORS, facts_of, open_session, run_bound, translated


class OnnxModel:
    """A session with its binding."""

    def __init__(
        self, session: ort.InferenceSession, facts: LoadFacts, order: LoadOrder, ordinal: int
    ) -> None:
        self.facts = facts
        self._session, self._device, self._ordinal = session, order.device, ordinal
        self._on_host = order.device == "cuda" and order.io == "host"
        self._outputs_on = ("cpu", 0) if self._on_host else (order.device, ordinal)
        self._binding = session.io_binding()
        self._host_inputs: dict[str, Array] = {}
        # On the CPU a bound value is the array's own memory, which older versions let go of.
        self._bound: dict[str, ort.OrtValue] = {}

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch on the device and bind it; with ``io = host`` keep it in host memory."""
        check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        for spec in self.facts.inputs:
            value = np.array(inputs[spec.name], dtype=NUMPY_DATATYPES[spec.datatype], order="C")
            if self._on_host:
                self._host_inputs[spec.name] = value
            else:
                self._bind(spec.name, value)

    def _bind(self, name: str, value: Array) -> None:
        try:
            staged = ort.OrtValue.ortvalue_from_numpy(value, self._device, self._ordinal)
        except ORT_ERRORS as err:
            raise translated(err, f"staging {name}") from err
        self._binding.bind_ortvalue_input(name, staged)
        self._bound[name] = staged

    def infer(self) -> ort.OrtValue:
        """Run once, into an output of its own."""
        if not (self._bound or self._host_inputs):
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        binding = self._binding
        try:
            for name, value in self._host_inputs.items():
                binding.bind_cpu_input(name, value)  # copies to the device here
            return run_bound(self._session, binding, self.facts.outputs[0].shape, self._outputs_on)
        except ORT_ERRORS as err:
            raise translated(err, "a forward pass") from err

    def synchronize(self) -> None:
        """Wait for the device."""
        self._binding.synchronize_outputs()

    def fetch(self, output: ort.OrtValue) -> Mapping[str, Array]:
        """Return the output in host memory as float32."""
        return {OUTPUT: output.numpy().astype(np.float32, copy=False)}


class OnnxRuntime:
    """The runtime: a mode is an execution provider."""

    def facts(self) -> EngineFacts:
        """Return versions and devices; which kernels a build holds can't be read from it."""
        present = modes()
        versions = {"onnxruntime": ort.__version__} | (
            {"cuda": ort.cuda_version} if "cuda" in present else {}
        )
        gpus = cuda_devices() if "cuda" in present else ()
        precisions = tuple(dict.fromkeys(name for mode in present for name in PROVIDERS[mode].precisions))
        return EngineFacts(
            runtime="onnxruntime", versions=versions, devices=(DeviceFacts(kind="cpu"), *gpus), modes=present,
            precisions=precisions, models=MODELS,
        )  # fmt: skip

    def load(self, order: LoadOrder) -> LoadedModel:
        """Open a session on the mode's provider and nowhere else."""
        check_order(order, modes=modes(), has_native=True)
        input_specs(order.model, order.batch_size, order.sequence_length)
        check_provider(order)
        if order.model_file is None:
            raise InvalidRequestError("model_file is missing; ONNX Runtime loads a converted model")
        on_gpu = order.device == "cuda"
        ordinal = ordinal_of(order.device_uuid) if on_gpu else 0
        used_bytes = memory_gauge(ordinal) if on_gpu else lambda: 0
        before = used_bytes()
        session = open_session(order, order.model_file)
        facts = facts_of(session, order, used_bytes() - before)
        return OnnxModel(session, facts, order, ordinal)


def engine() -> Engine:
    """Return the engine."""
    return OnnxRuntime()
