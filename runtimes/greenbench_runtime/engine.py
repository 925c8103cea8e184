"""The contract of an engine: what a framework adapter implements, and nothing else.

An adapter is one file in ``engines/`` that defines ``engine() -> Engine``. It imports its framework at
the top, holds no gRPC, takes no time stamps and prints nothing. All calls come from one thread.

EngineError                     one sentence that names the value and the remedy
├── InvalidRequestError         a value that can never work            -> INVALID_ARGUMENT
├── UnknownModelError           a model this runtime does not know     -> NOT_FOUND
├── NothingLoadedError          a call that needs a loaded model       -> FAILED_PRECONDITION
├── UnsupportedError            a mode, precision, device or kernel that is not there -> UNIMPLEMENTED
│   └── UnavailableError        a mode that this environment can't run -> FAILED_PRECONDITION
└── OutOfMemoryError            the device or host has too little      -> RESOURCE_EXHAUSTED
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class EngineError(Exception):
    """Base of the errors an engine raises on purpose; its text is one line for the user."""


class InvalidRequestError(EngineError):
    """A value that can never work here; names it and what is allowed."""


class UnknownModelError(EngineError):
    """A model this runtime does not know; names those it does."""


class NothingLoadedError(EngineError):
    """A call that needs a loaded model, staged inputs or an idle server."""


class UnsupportedError(EngineError):
    """A mode, precision, device, converter or kernel that is not in this runtime."""


class UnavailableError(UnsupportedError):
    """A mode whose libraries or version this environment lacks, whatever is loaded."""


class OutOfMemoryError(EngineError):
    """Too little memory; names the bytes where the framework tells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: As in the Open Inference Protocol side: ``input``, ``input_ids``, ``output`` ...
        datatype: Open Inference Protocol name: ``FP32``, ``INT64`` ...
        shape: With the loaded batch size as the first number.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """What to load and how.

    Attributes:
        model: ``resnet50``, ``mobilenet_v2`` or ``bert_base``.
        batch_size: Samples per iteration.
        sequence_length: Tokens per sample; 0 for vision models.
        precision: ``fp32`` (TF32 off), ``tf32``, ``fp16`` or ``bf16``.
        mode: One of the engine's modes.
        weights: ``matched`` or ``native``.
        weights_file: Canonical safetensors file; None where `model_file` carries the weights.
        model_file: Converted model; None where the engine builds its own network.
        device: ``cpu`` or ``cuda``.
        device_uuid: Which GPU; empty on the CPU.
        threads: Intra-operator threads, at least 1.
        io: ``device`` (staged inputs and outputs stay on the device) or ``host``
            (every iteration copies inputs in and outputs out).
    """

    model: str
    batch_size: int
    sequence_length: int = 0
    precision: str = "fp32"
    mode: str
    weights: str = "matched"
    weights_file: Path | None = None
    model_file: Path | None = None
    device: str = "cpu"
    device_uuid: str = ""
    threads: int = 1
    io: str = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFacts:
    """What is true of a loaded model, read back from the framework.

    Attributes:
        inputs: Inputs of one iteration.
        outputs: Outputs of one iteration.
        parameters: Number of scalar weights (BatchNorm statistics not counted).
        flops: Floating-point operations of one sample as `networks.flops` counts them; None where unknown.
        device_bytes: Device memory the load took; 0 on the CPU.
        nodes_per_provider: Graph nodes by execution provider; empty where there is none.
        flags: Numeric flags in force, as the framework reports them.
        dtypes: Of ``weights``, ``inputs`` and ``outputs``.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int
    flops: int | None = None
    device_bytes: int = 0
    nodes_per_provider: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One device that the framework can use here."""

    kind: str
    uuid: str = ""
    name: str = ""
    compute_capability: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine is and can do.

    Attributes:
        runtime: Name in the catalogue.
        versions: Of the framework and of what it computes with.
        devices: Devices it can use now.
        kernel_architectures: ``sm_80`` ...: GPUs that the build ships kernels for; empty for a CPU build.
        modes: Modes that `LoadOrder.mode` may name.
        precisions: Precisions it can be asked for.
        models: Models it knows.
    """

    runtime: str
    versions: Mapping[str, str]
    devices: tuple[DeviceFacts, ...]
    kernel_architectures: tuple[str, ...] = ()
    modes: tuple[str, ...]
    precisions: tuple[str, ...]
    models: tuple[str, ...]


class LoadedModel(Protocol):
    """One loaded model. `facts` says what is true of it."""

    facts: LoadFacts

    def stage(self, inputs: Mapping[str, Array]) -> None:
        """Put one batch of inputs where `infer` reads it (``io = host``: keep it in host memory)."""

    def infer(self) -> Any:
        """Enqueue one forward pass over the staged inputs; return its output, still on the device."""

    def synchronize(self) -> None:
        """Wait until everything enqueued is done."""

    def fetch(self, output: Any) -> Mapping[str, Array]:
        """Copy an output that `infer` returned to host memory, as float32 or its own integer type.

        The output may be from many iterations ago: `infer` must hand out memory that later
        iterations do not overwrite, unless the session asked for none to be kept.
        """


class Engine(Protocol):
    """One framework."""

    def facts(self) -> EngineFacts:
        """Return what this engine is and can do; needs nothing loaded."""

    def load(self, order: LoadOrder) -> LoadedModel:
        """Load a model; the session has freed the one before.

        Raises:
            EngineError: As in the module's tree.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedWeights:
    """A canonical weights file that was made."""

    path: Path
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """An ONNX file that was made."""

    path: Path
    opset: int
    exporter: str


class WeightsMaker(Protocol):
    """Makes canonical weights; an engine module may define ``weights_maker() -> WeightsMaker``."""

    def prepare(
        self,
        *,
        model: str,
        seed: int | None,
        weights_file: Path | None,
        calibration: Mapping[str, Array],
        outbox: Path,
        threads: int,
    ) -> PreparedWeights:
        """Write a model's canonical safetensors file into `outbox`, from a seed or another file."""


class Converter(Protocol):
    """Converts to ONNX; an engine module may define ``converter() -> Converter``."""

    def convert(
        self,
        *,
        model: str,
        weights_file: Path,
        sequence_length: int,
        opset: int,
        outbox: Path,
        threads: int,
    ) -> ConvertedModel:
        """Write a model's ONNX file into `outbox`, with a dynamic batch dimension."""


NUMPY_DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "INT64": np.dtype("<i8"),
    "INT32": np.dtype("<i4"),
}
"""Open Inference Protocol datatypes that greenbench moves, as NumPy sees them."""
