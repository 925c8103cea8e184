"""The catalogue of runtimes: ``runtimes/catalog.toml``, read and checked."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from greenbench.core.errors import ConfigurationError
from greenbench.core.runtime import DeviceBuild, RuntimeSpec

Device = Literal["cpu", "cuda"]


class _DeviceEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    requirements: str = ""
    extra_index_url: str | None = None
    architectures: tuple[str, ...] = ()
    cuda: int = 0
    precisions: tuple[str, ...] = ()
    brought: str = ""

    @model_validator(mode="after")
    def _made_or_brought(self) -> Self:
        if bool(self.requirements) == bool(self.brought):
            raise ValueError("either 'requirements' or 'brought' is needed, and not both")
        return self


class _BuildEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    modes: tuple[str, ...]
    devices: dict[Device, _DeviceEntry]


class _RuntimeEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    engine: str
    title: str
    precisions: tuple[str, ...]
    modes: dict[str, tuple[Device, ...]]
    devices: dict[Device, _DeviceEntry]
    sources: tuple[str, ...] = ()
    owns_reference: bool = False
    converts: bool = False
    native: dict[str, str] = {}
    native_absent: dict[str, str] = {}
    builds: dict[str, _BuildEntry] = {}


def read_catalog(path: Path) -> Mapping[str, RuntimeSpec]:
    """Return every runtime of a catalogue file by its name, in the file's order.

    Raises:
        ConfigurationError: The file is missing or holds a key or value that is not allowed.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the catalogue {path} cannot be read: {error}") from error
    return {name: _spec(name, table, path) for name, table in tables.items()}


def select(
    catalog: Mapping[str, RuntimeSpec], names: Iterable[str], *, builds: bool = False
) -> tuple[RuntimeSpec, ...]:
    """Return the named runtimes; all of them where no name is given.

    Args:
        catalog: Runtimes by name.
        names: Which.
        builds: Whether other builds of a runtime can be named too.

    Raises:
        ConfigurationError: A name is not in the catalogue; the message lists those that are.
    """
    known = dict(catalog)
    if builds:
        known = {spec.name: spec for usual in catalog.values() for spec in (usual, *usual.builds)}
    wanted = tuple(names) or tuple(catalog)
    for name in wanted:
        if name not in known:
            raise ConfigurationError(f"unknown runtime {name!r}; known are {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def _spec(name: str, table: object, path: Path) -> RuntimeSpec:
    try:
        entry = _RuntimeEntry.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([name, *(str(part) for part in first["loc"])])
        raise ConfigurationError(f"{path}: {place}: {first['msg']}") from error
    usual = RuntimeSpec(
        name=name,
        engine=entry.engine,
        title=entry.title,
        modes=entry.modes,
        precisions=entry.precisions,
        devices=_devices(entry.devices),
        sources=entry.sources,
        owns_reference=entry.owns_reference,
        converts=entry.converts,
        native=entry.native,
        native_absent=entry.native_absent,
    )
    return replace(usual, builds=tuple(_other_build(usual, *item, path) for item in entry.builds.items()))


def _devices(entries: Mapping[Device, _DeviceEntry]) -> dict[str, DeviceBuild]:
    return {device: DeviceBuild(**entry.model_dump()) for device, entry in entries.items()}


def _other_build(usual: RuntimeSpec, name: str, entry: _BuildEntry, path: Path) -> RuntimeSpec:
    """Another build differs from the usual one in its packages and in the modes that it alone runs."""
    for mode in entry.modes:
        if mode not in usual.modes:
            known = ", ".join(usual.modes)
            place = f"{path}: {usual.name}.builds.{name}"
            raise ConfigurationError(f"{place}: {mode!r} is no mode of {usual.name}; it has {known}")
    return replace(
        usual,
        name=f"{usual.name}-{name}",
        modes={mode: usual.modes[mode] for mode in entry.modes},
        devices=_devices(entry.devices),
        build_of=usual.name,
    )


def device_build(spec: RuntimeSpec, device: str) -> DeviceBuild:
    """Return how `spec` is built for `device`.

    Raises:
        ConfigurationError: The runtime has no build for that device.
    """
    if device not in spec.devices:
        known = ", ".join(spec.devices)
        raise ConfigurationError(f"{spec.name} has no build for device {device!r}; it has {known}")
    return spec.devices[device]
