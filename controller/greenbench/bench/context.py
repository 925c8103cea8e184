"""From options to objects: everything that commands share, opened once and handed down."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from greenbench.bench.house import House
from greenbench.bench.library import ModelLibrary
from greenbench.bench.planning import HostView
from greenbench.core.errors import ConfigurationError, SensorAbsentError
from greenbench.core.runtime import RuntimeSpec
from greenbench.energy.meter import MeterSet, open_meters
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog
from greenbench.fleet.choice import Choice, choose
from greenbench.fleet.exchange import NO_EXCHANGE, Exchange, ImageList
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, LaunchSettings
from greenbench.fleet.state import StateFolder

BASE_IMAGE_FILE = "base-image"
DEVICES = ("auto", "cuda", "cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line and environment decide, before anything is looked at.

    Attributes:
        state: State folder; None for the host's default.
        launcher: ``auto``, ``docker`` or ``venv``.
        device: ``auto``, ``cuda`` or ``cpu``.
        gpu: Index or UUID of the GPU.
        base_image: Image that runtime images start from; None for the one `up` used last, or the default.
        environments: Runtime -> Python of an adopted environment.
        cpu_meter: ``powercap`` or ``pyrapl``.
        gpu_energy: ``counter`` or ``polled``.
        exchange: Images that are pushed, or pulled instead of built.
    """

    state: Path | None = None
    launcher: str = "auto"
    device: str = "auto"
    gpu: str | int = 0
    base_image: str | None = None
    environments: Mapping[str, Path] = field(default_factory=dict)
    cpu_meter: str = "powercap"
    gpu_energy: str = "counter"
    exchange: Exchange = NO_EXCHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What commands work with.

    Attributes:
        options: As given.
        state: The state folder, made.
        catalogue: The runtimes there are.
        meters: Sensors and domains; closed with the context.
        house: Starts runtimes on the device that was decided.
        view: What planning needs to know of the host.
        choice: Which launcher was taken, and why.
    """

    options: Options
    state: StateFolder
    catalogue: Mapping[str, RuntimeSpec]
    meters: MeterSet
    house: House
    view: HostView
    choice: Choice


def physical_cores() -> int:
    """Return the physical cores of this host, which is what ``threads = 0`` means."""
    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1


@contextmanager
def open_context(options: Options) -> Iterator[Context]:
    """Decide the device, open the meters, take a launcher.

    Args:
        options: From the command line.

    Raises:
        ConfigurationError: An option that cannot be used here.
        EngineUnavailableError: ``--launcher docker`` where no engine answers.
    """
    state = StateFolder.at(options.state)
    state.create()
    assets = assets_root()
    catalogue = read_catalog(assets / "runtimes" / "catalog.toml")
    builds = [build.name for spec in catalogue.values() for build in (spec, *spec.builds)]
    for name in options.environments:
        if name not in builds:
            raise ConfigurationError(f"--env names the unknown runtime {name!r}; known: {', '.join(builds)}")
    with meters_for(options) as meters:
        gpu = meters.facts.get("gpu") or {}
        device = "cuda" if gpu else "cpu"
        settings = LaunchSettings(
            state=state,
            assets=assets,
            base_image=base_image_of(options, state),
            gpu_uuid=str(gpu.get("uuid", "")),
            environments=options.environments,
            exchange=options.exchange,
        )
        choice = choose(options.launcher, settings)
        house = House(
            launcher=choice.launcher,
            catalogue=catalogue,
            library=ModelLibrary(state.models),
            device=device,
            gpu_uuid=gpu.get("uuid"),
            gpu_name=str(gpu.get("name", "")),
            architecture=gpu.get("architecture"),
        )
        view = HostView(
            device=device,
            architecture=gpu.get("architecture"),
            gpu_name=gpu.get("name"),
            cuda_driver=gpu.get("cuda_driver"),
            physical_cores=physical_cores(),
            adopted=frozenset(options.environments),
            refused=house.library.refusals(),
        )
        yield Context(
            options=options,
            state=state,
            catalogue=catalogue,
            meters=meters,
            house=house,
            view=view,
            choice=choice,
        )


def base_image_of(options: Options, state: StateFolder) -> str:
    """Return the base image: as named, else of the list to pull, else the last one used, else the default."""
    pulled = options.exchange.pull
    listed = pulled.base_image if isinstance(pulled, ImageList) else None
    return options.base_image or listed or remembered_base_image(state)


def remembered_base_image(state: StateFolder) -> str:
    """Return the base image that `greenbench up` built on last in this state folder, else the default."""
    path = state.builds / BASE_IMAGE_FILE
    return path.read_text().strip() if path.exists() else DEFAULT_BASE_IMAGE


def remember_base_image(state: StateFolder, base_image: str) -> None:
    """Keep the base image that was built on: later commands look for images made from it."""
    (state.builds / BASE_IMAGE_FILE).write_text(base_image + "\n")


@contextmanager
def meters_for(options: Options) -> Iterator[MeterSet]:
    """Open the meters of the device that `options` ask for; ``auto`` takes a GPU where one answers.

    Raises:
        ConfigurationError: An unknown device, or ``cuda`` where no NVIDIA GPU answers.
    """
    if options.device not in DEVICES:
        raise ConfigurationError(f"unknown device {options.device!r}; allowed: {', '.join(DEVICES)}")
    device = options.device
    if device in {"auto", "cuda"}:
        try:
            meters = open_meters(
                device="cuda", gpu=options.gpu, cpu_meter=options.cpu_meter, gpu_energy=options.gpu_energy
            )
        except SensorAbsentError as err:
            if device == "cuda":
                raise ConfigurationError(
                    f"--device cuda: {err}; use --device cpu, or see `greenbench doctor`"
                ) from err
            meters = open_meters(device="cpu", gpu=options.gpu, cpu_meter=options.cpu_meter, no_gpu=str(err))
    else:
        meters = open_meters(device="cpu", gpu=options.gpu, cpu_meter=options.cpu_meter)
    with meters:
        yield meters
