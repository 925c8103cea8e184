from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TensorSpec(_message.Message):
    __slots__ = ("name", "datatype", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    datatype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., datatype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class TensorChunk(_message.Message):
    __slots__ = ("spec", "data", "last")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    spec: TensorSpec
    data: bytes
    last: bool
    def __init__(self, spec: _Optional[_Union[TensorSpec, _Mapping]] = ..., data: _Optional[bytes] = ..., last: bool = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Device(_message.Message):
    __slots__ = ("kind", "uuid", "name", "compute_capability", "memory_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    uuid: str
    name: str
    compute_capability: str
    memory_bytes: int
    def __init__(self, kind: _Optional[str] = ..., uuid: _Optional[str] = ..., name: _Optional[str] = ..., compute_capability: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("runtime", "versions", "devices", "kernel_architectures", "modes", "precisions", "models", "schema_fingerprint", "physical_cores", "python", "converts", "prepares")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    KERNEL_ARCHITECTURES_FIELD_NUMBER: _ClassVar[int]
    MODES_FIELD_NUMBER: _ClassVar[int]
    PRECISIONS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    PHYSICAL_CORES_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    CONVERTS_FIELD_NUMBER: _ClassVar[int]
    PREPARES_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    versions: _containers.ScalarMap[str, str]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    kernel_architectures: _containers.RepeatedScalarFieldContainer[str]
    modes: _containers.RepeatedScalarFieldContainer[str]
    precisions: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    schema_fingerprint: str
    physical_cores: int
    python: str
    converts: bool
    prepares: bool
    def __init__(self, runtime: _Optional[str] = ..., versions: _Optional[_Mapping[str, str]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., kernel_architectures: _Optional[_Iterable[str]] = ..., modes: _Optional[_Iterable[str]] = ..., precisions: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., schema_fingerprint: _Optional[str] = ..., physical_cores: _Optional[int] = ..., python: _Optional[str] = ..., converts: bool = ..., prepares: bool = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("model", "seed", "weights_file", "calibration_file", "threads")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FILE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FILE_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    model: str
    seed: int
    weights_file: str
    calibration_file: str
    threads: int
    def __init__(self, model: _Optional[str] = ..., seed: _Optional[int] = ..., weights_file: _Optional[str] = ..., calibration_file: _Optional[str] = ..., threads: _Optional[int] = ...) -> None: ...

class PrepareResponse(_message.Message):
    __slots__ = ("path", "sha256", "elapsed_s", "parameters")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_S_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    path: str
    sha256: str
    elapsed_s: float
    parameters: int
    def __init__(self, path: _Optional[str] = ..., sha256: _Optional[str] = ..., elapsed_s: _Optional[float] = ..., parameters: _Optional[int] = ...) -> None: ...

class ConvertRequest(_message.Message):
    __slots__ = ("model", "weights_file", "sequence_length", "opset", "threads")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FILE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    model: str
    weights_file: str
    sequence_length: int
    opset: int
    threads: int
    def __init__(self, model: _Optional[str] = ..., weights_file: _Optional[str] = ..., sequence_length: _Optional[int] = ..., opset: _Optional[int] = ..., threads: _Optional[int] = ...) -> None: ...

class ConvertResponse(_message.Message):
    __slots__ = ("path", "sha256", "opset", "elapsed_s", "size_bytes", "exporter")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_S_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPORTER_FIELD_NUMBER: _ClassVar[int]
    path: str
    sha256: str
    opset: int
    elapsed_s: float
    size_bytes: int
    exporter: str
    def __init__(self, path: _Optional[str] = ..., sha256: _Optional[str] = ..., opset: _Optional[int] = ..., elapsed_s: _Optional[float] = ..., size_bytes: _Optional[int] = ..., exporter: _Optional[str] = ...) -> None: ...

class LoadRequest(_message.Message):
    __slots__ = ("model", "batch_size", "sequence_length", "precision", "mode", "weights", "weights_file", "model_file", "device", "device_uuid", "threads", "io")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FILE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_UUID_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    model: str
    batch_size: int
    sequence_length: int
    precision: str
    mode: str
    weights: str
    weights_file: str
    model_file: str
    device: str
    device_uuid: str
    threads: int
    io: str
    def __init__(self, model: _Optional[str] = ..., batch_size: _Optional[int] = ..., sequence_length: _Optional[int] = ..., precision: _Optional[str] = ..., mode: _Optional[str] = ..., weights: _Optional[str] = ..., weights_file: _Optional[str] = ..., model_file: _Optional[str] = ..., device: _Optional[str] = ..., device_uuid: _Optional[str] = ..., threads: _Optional[int] = ..., io: _Optional[str] = ...) -> None: ...

class LoadResponse(_message.Message):
    __slots__ = ("inputs", "outputs", "parameters", "device_bytes", "load_s", "build_s", "nodes_per_provider", "flags", "dtypes", "flops")
    class NodesPerProviderEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class FlagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DtypesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_S_FIELD_NUMBER: _ClassVar[int]
    BUILD_S_FIELD_NUMBER: _ClassVar[int]
    NODES_PER_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    DTYPES_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    parameters: int
    device_bytes: int
    load_s: float
    build_s: float
    nodes_per_provider: _containers.ScalarMap[str, int]
    flags: _containers.ScalarMap[str, str]
    dtypes: _containers.ScalarMap[str, str]
    flops: int
    def __init__(self, inputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., parameters: _Optional[int] = ..., device_bytes: _Optional[int] = ..., load_s: _Optional[float] = ..., build_s: _Optional[float] = ..., nodes_per_provider: _Optional[_Mapping[str, int]] = ..., flags: _Optional[_Mapping[str, str]] = ..., dtypes: _Optional[_Mapping[str, str]] = ..., flops: _Optional[int] = ...) -> None: ...

class StageRequest(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: TensorChunk
    def __init__(self, chunk: _Optional[_Union[TensorChunk, _Mapping]] = ...) -> None: ...

class StageResponse(_message.Message):
    __slots__ = ("sha256", "bytes")
    class Sha256Entry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SHA256_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    sha256: _containers.ScalarMap[str, str]
    bytes: int
    def __init__(self, sha256: _Optional[_Mapping[str, str]] = ..., bytes: _Optional[int] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("cap_s", "max_iterations", "keep_every", "keep_max", "progress_s")
    CAP_S_FIELD_NUMBER: _ClassVar[int]
    MAX_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    KEEP_EVERY_FIELD_NUMBER: _ClassVar[int]
    KEEP_MAX_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_S_FIELD_NUMBER: _ClassVar[int]
    cap_s: float
    max_iterations: int
    keep_every: int
    keep_max: int
    progress_s: float
    def __init__(self, cap_s: _Optional[float] = ..., max_iterations: _Optional[int] = ..., keep_every: _Optional[int] = ..., keep_max: _Optional[int] = ..., progress_s: _Optional[float] = ...) -> None: ...

class RunStarted(_message.Message):
    __slots__ = ("monotonic_ns",)
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    monotonic_ns: int
    def __init__(self, monotonic_ns: _Optional[int] = ...) -> None: ...

class RunProgress(_message.Message):
    __slots__ = ("end_ns",)
    END_NS_FIELD_NUMBER: _ClassVar[int]
    end_ns: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, end_ns: _Optional[_Iterable[int]] = ...) -> None: ...

class RunFinished(_message.Message):
    __slots__ = ("monotonic_ns", "iterations", "end_ns", "reason")
    MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    monotonic_ns: int
    iterations: int
    end_ns: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    def __init__(self, monotonic_ns: _Optional[int] = ..., iterations: _Optional[int] = ..., end_ns: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ...) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("started", "progress", "finished")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    started: RunStarted
    progress: RunProgress
    finished: RunFinished
    def __init__(self, started: _Optional[_Union[RunStarted, _Mapping]] = ..., progress: _Optional[_Union[RunProgress, _Mapping]] = ..., finished: _Optional[_Union[RunFinished, _Mapping]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("running",)
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    running: bool
    def __init__(self, running: bool = ...) -> None: ...

class KeptRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeptChunk(_message.Message):
    __slots__ = ("iteration", "chunk")
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    chunk: TensorChunk
    def __init__(self, iteration: _Optional[int] = ..., chunk: _Optional[_Union[TensorChunk, _Mapping]] = ...) -> None: ...

class UnloadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnloadResponse(_message.Message):
    __slots__ = ("unloaded",)
    UNLOADED_FIELD_NUMBER: _ClassVar[int]
    unloaded: bool
    def __init__(self, unloaded: bool = ...) -> None: ...
