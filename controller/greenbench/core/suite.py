"""The suite file as one typed, inert object: what is asked for, before any host is looked at."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from greenbench.core.doubt import Rule
from greenbench.core.errors import ConfigurationError
from greenbench.core.refusal import is_not_one_of, refused_by
from greenbench.core.workload import MODELS, PRECISIONS

RUNTIMES = ("pytorch", "tensorflow", "mxnet", "onnxruntime", "jax")
SOURCES = ("pytorch", "tensorflow", "mxnet")
MODES = (
    "default", "eager", "compile", "graph", "xla", "hybrid", "jit", "cpu", "cuda", "tensorrt", "openvino",
)  # fmt: skip
WEIGHTS = ("matched", "native")
PATHS = ("loop", "served")
IO = ("device", "host")
DEVICES = ("auto", "cuda", "cpu")
ORDERS = ("shuffled", "fixed")
GPU_ENERGY = ("counter", "polled")
CPU_METERS = ("powercap", "pyrapl")
WEIGHTS_FROM = ("seeded", "pretrained")


def _one_of(*allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in allowed:
            raise PydanticCustomError("refused", "{text}", {"text": is_not_one_of(value, allowed)})
        return value

    return AfterValidator(check)


def _refuse_served(value: str) -> str:
    if value == "served":
        raise PydanticCustomError("refused", "is reserved and not built yet; allowed now: loop")
    return value


def _origin_of_weights(value: str) -> str:
    # A folder is told from a misspelt word by its slash, so that "pretraind" is not looked for on disk.
    if value not in WEIGHTS_FROM and "/" not in value:
        text = is_not_one_of(value, (*WEIGHTS_FROM, "a folder written with a / such as ./weights"))
        raise PydanticCustomError("refused", "{text}", {"text": text})
    return value


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise PydanticCustomError("refused", "is empty; name at least one value")
    return tuple(dict.fromkeys(values))


_AsTuple = BeforeValidator(_as_tuple)
_Distinct = AfterValidator(_distinct)

RuntimeName = Annotated[str, _one_of(*RUNTIMES)]
ModeName = Annotated[str, _one_of(*MODES)]
SourceName = Annotated[str, _one_of(*SOURCES)]
ModelName = Annotated[str, _one_of(*MODELS)]
PrecisionName = Annotated[str, _one_of(*PRECISIONS)]
WeightsName = Annotated[str, _one_of(*WEIGHTS)]
PathName = Annotated[str, _one_of(*PATHS), AfterValidator(_refuse_served)]
IoName = Annotated[str, _one_of(*IO)]
BatchSize = Annotated[int, Field(ge=1, le=65536)]
SequenceLength = Annotated[int, Field(ge=1, le=512)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
TargetShare = Annotated[float, Field(gt=0, lt=1)]
Limit = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Matrix(_Table):
    """What is crossed with what; every key is a list without repeats."""

    runtime: Annotated[tuple[RuntimeName, ...], _AsTuple, _Distinct] = ("pytorch", "onnxruntime")
    mode: Annotated[tuple[ModeName, ...], _AsTuple, _Distinct] = ("default",)
    source: Annotated[tuple[SourceName, ...], _AsTuple, _Distinct] = ("pytorch",)
    model: Annotated[tuple[ModelName, ...], _AsTuple, _Distinct] = MODELS
    precision: Annotated[tuple[PrecisionName, ...], _AsTuple, _Distinct] = ("fp32",)
    batch_size: Annotated[tuple[BatchSize, ...], _AsTuple, _Distinct] = (1, 64)
    sequence_length: Annotated[tuple[SequenceLength, ...], _AsTuple, _Distinct] = (128,)
    weights: Annotated[tuple[WeightsName, ...], _AsTuple, _Distinct] = ("matched",)
    path: Annotated[tuple[PathName, ...], _AsTuple, _Distinct] = ("loop",)
    io: Annotated[tuple[IoName, ...], _AsTuple, _Distinct] = ("device",)


class Exclusion(_Table):
    """One ``[[exclude]]``: cells that match every key given are left out."""

    runtime: RuntimeName | None = None
    mode: ModeName | None = None
    source: SourceName | None = None
    model: ModelName | None = None
    precision: PrecisionName | None = None
    batch_size: BatchSize | None = None
    sequence_length: SequenceLength | None = None
    weights: WeightsName | None = None
    path: PathName | None = None
    io: IoName | None = None


class Models(_Table):
    """Where weights come from: ``seeded``, ``pretrained`` or a folder; never switched silently."""

    weights_from: Annotated[str, AfterValidator(_origin_of_weights)] = "seeded"


class ProtocolKeys(_Table):
    """How a cell is measured; keys as in `greenbench.core.plan.Protocol`, lengths in seconds."""

    window_s: Length = 10.0
    windows: Count = 2
    rounds: Count = 10
    baseline_host_s: Seconds = 60.0
    baseline_loaded_s: Seconds = 10.0
    warmup_cap_s: Length = 60.0
    rest_cap_s: Seconds = 120.0
    rigorous: bool = False
    target_u: TargetShare | None = None
    order: Annotated[str, _one_of(*ORDERS)] = "shuffled"
    baseline_every_s: Seconds = 3600.0
    gpu_energy: Annotated[str, _one_of(*GPU_ENERGY)] = "counter"
    cpu_meter: Annotated[str, _one_of(*CPU_METERS)] = "powercap"


class HostKeys(_Table):
    """What of the host is used; ``threads = 0`` means all physical cores."""

    device: Annotated[str, _one_of(*DEVICES)] = "auto"
    gpu: Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    env: dict[RuntimeName, Annotated[str, Field(min_length=1)]] = {}


class RuleLimits(_Table):
    """The user's own limits of one rule; a limit that is not given stays as it is built in."""

    doubtful: Limit | None = None
    invalid: Limit | None = None


RuleName = Annotated[str, _one_of(*Rule)]


def _names_something(exclusions: tuple[Exclusion, ...]) -> tuple[Exclusion, ...]:
    if any(not rule.model_fields_set for rule in exclusions):
        raise PydanticCustomError("refused", "has a table without a key, which would exclude everything")
    return exclusions


class Suite(_Table):
    """A suite file, with its defaults filled in."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    matrix: Matrix = Matrix()
    exclude: Annotated[tuple[Exclusion, ...], _AsTuple, AfterValidator(_names_something)] = ()
    models: Models = Models()
    protocol: ProtocolKeys = ProtocolKeys()
    host: HostKeys = HostKeys()
    validity: dict[RuleName, RuleLimits] = {}

    @property
    def exclusions(self) -> tuple[dict[str, str | int], ...]:
        """The exclusions, each with the keys it names and nothing else."""
        return tuple(rule.model_dump(exclude_none=True) for rule in self.exclude)

    def as_mapping(self) -> dict[str, Any]:
        """Return the suite as plain values, as `parse_suite` takes them."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def canonical_json(self) -> str:
        """The suite as resolved: sorted keys, no spaces, defaults written out."""
        return json.dumps(self.as_mapping(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def sha256(self) -> str:
        """SHA-256 of `canonical_json`, hexadecimal."""
        return hashlib.sha256(self.canonical_json.encode()).hexdigest()


TABLES: Mapping[str, tuple[str, ...]] = {
    "": tuple(Suite.model_fields),
    "matrix": tuple(Matrix.model_fields),
    "exclude": tuple(Exclusion.model_fields),
    "models": tuple(Models.model_fields),
    "protocol": tuple(ProtocolKeys.model_fields),
    "host": tuple(HostKeys.model_fields),
    "validity": tuple(RuleLimits.model_fields),
}
"""Keys by table, for messages and for short names of settings."""


def parse_suite(text_or_mapping: str | Mapping[str, Any], origin: str) -> Suite:
    """Read a suite.

    Args:
        text_or_mapping: TOML, or the values that TOML gives.
        origin: Where it comes from, for messages: a file's path or an option.

    Returns:
        The suite with its defaults.

    Raises:
        ConfigurationError: One line that names the key, the value and what is allowed.
    """
    values = _values_of(text_or_mapping, origin) if isinstance(text_or_mapping, str) else text_or_mapping
    try:
        return Suite.model_validate(dict(values))
    except ValidationError as err:
        raise ConfigurationError(f"{origin}: {refused_by(err, TABLES)}") from None


def _values_of(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ConfigurationError(f"{origin}: not valid TOML: {' '.join(str(err).split())}") from None
