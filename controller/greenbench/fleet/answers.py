"""What a runtime answers, in greenbench's own types: no protobuf leaves the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """One device that a runtime can use.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        uuid: ``GPU-...``; empty for the CPU.
        name: As its driver calls it.
        compute_capability: ``9.0``; empty for the CPU.
        memory_bytes: Its memory; 0 where the runtime does not tell.
    """

    kind: str
    uuid: str
    name: str
    compute_capability: str
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a runtime is and can do.

    Attributes:
        runtime: Name in the catalogue.
        versions: Of the framework and of what it computes with.
        devices: Devices it can use now.
        kernel_architectures: GPUs it ships kernels for, ``sm_80`` ...; empty on a CPU build.
        modes: Modes it can load.
        precisions: Precisions it can load.
        models: Models it knows.
        physical_cores: Physical cores it may use.
        python: Version of its Python.
        converts: Whether it serves Convert.
        prepares: Whether it serves Prepare.
    """

    runtime: str
    versions: Mapping[str, str]
    devices: tuple[DeviceDescription, ...]
    kernel_architectures: tuple[str, ...]
    modes: tuple[str, ...]
    precisions: tuple[str, ...]
    models: tuple[str, ...]
    physical_cores: int
    python: str
    converts: bool
    prepares: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A canonical weights file that a runtime left in its outbox.

    Attributes:
        path: Relative to the outbox.
        sha256: Of the file, hexadecimal.
        elapsed_s: What making it took, seconds.
        parameters: Number of scalar weights.
    """

    path: str
    sha256: str
    elapsed_s: float
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """A converted model that a runtime left in its outbox.

    Attributes:
        path: Relative to the outbox.
        sha256: Of the file, hexadecimal.
        opset: ONNX operator set.
        elapsed_s: What converting took, seconds.
        size_bytes: Size of the file.
        exporter: What made it, with its version.
    """

    path: str
    sha256: str
    opset: int
    elapsed_s: float
    size_bytes: int
    exporter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape:
    """One input or output: its name, Open Inference Protocol datatype and shape."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFacts:
    """What is true of a loaded model, as the framework reports it.

    Attributes:
        inputs: Inputs of one iteration.
        outputs: Outputs of one iteration.
        parameters: Number of scalar weights.
        flops: Floating-point operations of one sample; None where the runtime does not know.
        device_bytes: Device memory that the load took; 0 on the CPU.
        load_s: What loading took, seconds.
        build_s: What compiling took, seconds.
        nodes_per_provider: Graph nodes by execution provider; empty where there is none.
        flags: Numeric flags in force.
        dtypes: Of ``weights``, ``inputs`` and ``outputs``.
    """

    inputs: tuple[TensorShape, ...]
    outputs: tuple[TensorShape, ...]
    parameters: int
    flops: int | None
    device_bytes: int
    load_s: float
    build_s: float
    nodes_per_provider: Mapping[str, int]
    flags: Mapping[str, str]
    dtypes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run that ended.

    Attributes:
        started_ns: CLOCK_MONOTONIC of its begin, nanoseconds.
        finished_ns: CLOCK_MONOTONIC of its end, nanoseconds.
        iterations: Forward passes done.
        ends_ns: int64 [iterations], CLOCK_MONOTONIC at each one's end.
        reason: ``stopped`` or ``cap``.
    """

    started_ns: int
    finished_ns: int
    iterations: int
    ends_ns: NDArray[np.int64]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutput:
    """The outputs of one iteration of a run, copied after it.

    Attributes:
        iteration: Which, from 0.
        outputs: By name.
    """

    iteration: int
    outputs: Mapping[str, NDArray[Any]]
