"""ONNX Runtime: a converted model on one execution provider, inputs and outputs bound where it computes.

On the CPU ``io = host`` and ``io = device`` are the same place, so nothing is copied in either.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import ref

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
from greenbench_runtime.networks.onnx_session import ORT_ERRORS, facts_of, open_session, translated


class Output:
    """One pass's output, where it was computed."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: ort.OrtValue) -> None:
        self.value = value


@dataclass(slots=True, kw_only=True)
class _Slot:
    """A binding whose output has a place of its own, bound once.

    Attributes:
        binding: Of inputs and output.
        value: The output's place.
        holder: Whoever got the newest output of this place; it is free when that is gone.
    """

    binding: ort.IOBinding
    value: ort.OrtValue
    holder: Callable[[], Output | None] = lambda: None


class OnnxModel:
    """A session with its bindings.

    An output of its own for each pass would cost a pass of MobileNetV2 half a percent on a CPU, so places are
    used again once nobody holds what was computed there: two, where the loop keeps nothing.
    """

    def __init__(
        self, session: ort.InferenceSession, facts: LoadFacts, order: LoadOrder, ordinal: int
    ) -> None:
        self.facts = facts
        self._session, self._device, self._ordinal = session, order.device, ordinal
        self._on_host = order.device == "cuda" and order.io == "host"
        self._outputs_on = ("cpu", 0) if self._on_host else (order.device, ordinal)
        self._host_inputs: dict[str, Array] = {}
        # On the CPU a bound value is the array's own memory, which older versions let go of.
        self._bound: dict[str, ort.OrtValue] = {}
        self._slots: list[_Slot] = []
        self._newest: _Slot | None = None

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch on the device, to be bound; with ``io = host`` keep it in host memory."""
        check_inputs(self.facts.inputs, {name: value.shape for name, value in inputs.items()})
        self._slots, self._newest = [], None
        for spec in self.facts.inputs:
            value = np.array(inputs[spec.name], dtype=NUMPY_DATATYPES[spec.datatype], order="C")
            if self._on_host:
                self._host_inputs[spec.name] = value
                continue
            try:
                self._bound[spec.name] = ort.OrtValue.ortvalue_from_numpy(value, self._device, self._ordinal)
            except ORT_ERRORS as err:
                raise translated(err, f"staging {spec.name}") from err

    def infer(self) -> Output:
        """Run once, into a place whose output nobody holds."""
        if not (self._bound or self._host_inputs):
            raise NothingLoadedError("no inputs are staged; stage one batch first")
        try:
            slot = next((slot for slot in self._slots if slot.holder() is None), None) or self._new_slot()
            for name, value in self._host_inputs.items():
                slot.binding.bind_cpu_input(name, value)  # copies to the device here
            self._session.run_with_iobinding(slot.binding)
            if self._host_inputs:
                slot.binding.clear_binding_inputs()  # their copies, which no other place needs
        except ORT_ERRORS as err:
            raise translated(err, "a forward pass") from err
        output = Output(slot.value)
        slot.holder, self._newest = ref(output), slot
        return output

    def synchronize(self) -> None:
        """Wait for the device."""
        if self._newest:
            self._newest.binding.synchronize_outputs()

    def fetch(self, output: Output) -> Mapping[str, Array]:
        """Return the output in host memory as float32, a copy."""
        return {OUTPUT: np.array(output.value.numpy(), dtype=np.float32)}

    def _new_slot(self) -> _Slot:
        shape = self.facts.outputs[0].shape
        value = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, *self._outputs_on)
        binding = self._session.io_binding()
        for name, staged in self._bound.items():
            binding.bind_ortvalue_input(name, staged)
        binding.bind_ortvalue_output(OUTPUT, value)
        slot = _Slot(binding=binding, value=value)
        self._slots.append(slot)
        return slot


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
