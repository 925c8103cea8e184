"""`greenbench doctor`: what this host can measure and run, with the remedy for what it can't."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from greenbench.bench.context import Options, meters_for
from greenbench.bench.planning import covers
from greenbench.core.check import Check, Level
from greenbench.core.errors import ConfigurationError, GreenbenchError
from greenbench.core.runtime import RuntimeSpec
from greenbench.energy.calibrate import counter_period
from greenbench.energy.meter import MeterSet
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog
from greenbench.fleet.choice import choose
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.state import StateFolder

FREE_BYTES_NEEDED = 10 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What `doctor` looks at.

    Attributes:
        state: The state folder.
        assets: Dockerfiles and runtime code.
        catalogue: The runtimes there are.
        meters: Opened for the device that was asked for; None where that failed.
        meters_error: Why it failed.
        sensor_period_s: Calibrated; None where there is no counter.
        device: ``cpu`` or ``cuda``.
    """

    state: StateFolder
    assets: Path
    catalogue: Mapping[str, RuntimeSpec]
    meters: MeterSet | None
    meters_error: str
    sensor_period_s: float | None
    device: str


def examine_host(options: Options, *, calibrate: bool) -> tuple[Check, ...]:
    """Run every check on this host.

    Args:
        options: Device and state folder.
        calibrate: Measure the sensor's period anew, even where it is known.
    """
    state = StateFolder.at(options.state)
    state.create()
    assets = assets_root()
    bare = Patient(
        state=state,
        assets=assets,
        catalogue=read_catalog(assets / "runtimes" / "catalog.toml"),
        meters=None,
        meters_error="",
        sensor_period_s=None,
        device=options.device,
    )
    try:
        with meters_for(options) as meters:
            period = counter_period(meters, state.calibration, anew=calibrate)
            device = "cuda" if meters.facts.get("gpu") else "cpu"
            return examine(replace(bare, meters=meters, sensor_period_s=period, device=device))
    except ConfigurationError as err:
        return examine(replace(bare, meters_error=str(err)))


def examine(patient: Patient) -> tuple[Check, ...]:
    """Run every check.

    Args:
        patient: The host.

    Returns:
        The checks in the order in which a user mends them.
    """
    steps: tuple[Callable[[Patient], Iterator[Check]], ...] = (
        _launcher,
        _gpu,
        _kernels,
        _sensors,
        _cpu_meter,
        _processor,
        _steal,
        _disk,
        _state,
    )
    return tuple(check for step in steps for check in step(patient))


def _launcher(patient: Patient) -> Iterator[Check]:
    try:
        choice = choose("docker", LaunchSettings(state=patient.state, assets=patient.assets))
    except GreenbenchError as err:
        yield Check(
            name="docker engine",
            level=Level.WARN,
            figure=str(err),
            remedy="without one, `--launcher venv` runs every runtime in a virtual environment",
        )
        return
    yield Check(name="docker engine", level=Level.OK, figure=choice.sentence)
    if patient.device == "cuda" and shutil.which("nvidia-ctk") is None:
        yield Check(
            name="nvidia container toolkit",
            level=Level.FAIL,
            figure="nvidia-ctk is not on PATH",
            remedy="install it, then `sudo nvidia-ctk runtime configure --runtime=docker` "
            "and `sudo systemctl restart docker`",
        )


def _gpu(patient: Patient) -> Iterator[Check]:
    if patient.meters is None:
        yield Check(name="gpu", level=Level.FAIL, figure=patient.meters_error, remedy="or use --device cpu")
        return
    facts = patient.meters.facts.get("gpu")
    if not facts:
        reason = next(
            (item.reason for item in patient.meters.absent if item.domain == "gpu"), "none was asked for"
        )
        yield Check(
            name="gpu", level=Level.WARN, figure=reason, remedy="energy of a GPU can't be measured here"
        )
        return
    figure = f"{facts.get('name')} ({facts.get('uuid')}), driver {facts.get('driver')}"
    yield Check(name="gpu", level=Level.OK, figure=figure)


def _kernels(patient: Patient) -> Iterator[Check]:
    architecture = _architecture(patient)
    if not architecture:
        return
    for spec in patient.catalogue.values():
        build = spec.devices.get("cuda")
        if build is None:
            continue
        shipped = ", ".join(build.architectures)
        fits = covers(build.architectures, architecture)
        yield Check(
            name=f"kernels of {spec.name}",
            level=Level.OK if fits else Level.WARN,
            figure=f"{architecture} {'is' if fits else 'is not'} covered by {shipped}",
            remedy="" if fits else f"cells of {spec.name} are left out on this GPU",
        )


def _architecture(patient: Patient) -> str:
    facts = patient.meters.facts.get("gpu") if patient.meters else None
    return str(facts.get("architecture", "")) if facts else ""


def _sensors(patient: Patient) -> Iterator[Check]:
    if patient.sensor_period_s:
        yield Check(
            name="gpu energy counter",
            level=Level.OK,
            figure=f"changes every {patient.sensor_period_s * 1000:.1f} ms",
        )


def _cpu_meter(patient: Patient) -> Iterator[Check]:
    if patient.meters is None:
        return
    reason = next((item.reason for item in patient.meters.absent if item.domain == "cpu"), None)
    if reason:
        yield Check(
            name="cpu energy",
            level=Level.WARN,
            figure=reason,
            remedy="energy_cpu_j stays null; --estimate-cpu fills a column of its own by a model",
        )
    else:
        yield Check(name="cpu energy", level=Level.OK, figure=f"scope {patient.meters.scope}")


def _processor(_: Patient) -> Iterator[Check]:
    cores = psutil.cpu_count(logical=False) or 1
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    text = governor.read_text().strip() if governor.exists() else ""
    slow = text not in {"", "performance"}
    yield Check(
        name="processor",
        level=Level.WARN if slow else Level.OK,
        figure=f"{cores} physical cores"
        + (f", governor {text}" if text else ", no frequency control visible"),
        remedy="`sudo cpupower frequency-set -g performance` steadies CPU figures" if slow else "",
    )
    busy = psutil.cpu_percent(interval=0.5) / 100 * (psutil.cpu_count() or 1)
    yield Check(
        name="busy host",
        level=Level.WARN if busy > 0.1 else Level.OK,  # noqa: PLR2004 - the validity table's limit, in cores
        figure=f"{busy:.2f} cores in use by others",
        remedy="stop other work before measuring" if busy > 0.1 else "",  # noqa: PLR2004
    )


def _steal(_: Patient) -> Iterator[Check]:
    times = psutil.cpu_times()
    share = getattr(times, "steal", 0.0) / max(sum(times), 1e-9)
    yield Check(
        name="steal",
        level=Level.WARN if share > 0.01 else Level.OK,  # noqa: PLR2004 - the validity table's limit
        figure=f"{share:.2%} of CPU time since boot went to other guests",
        remedy="other guests share this machine; prefer a dedicated one" if share > 0.01 else "",  # noqa: PLR2004
    )


def _disk(patient: Patient) -> Iterator[Check]:
    free = shutil.disk_usage(patient.state.root).free
    short = free < FREE_BYTES_NEEDED
    yield Check(
        name="disk",
        level=Level.WARN if short else Level.OK,
        figure=f"{free / 1024**3:.1f} GiB free at {patient.state.root}",
        remedy="images and models take about 10 GiB; free some or move GREENBENCH_STATE" if short else "",
    )


def _state(patient: Patient) -> Iterator[Check]:
    root = patient.state.root
    writable = os.access(root, os.W_OK)
    yield Check(
        name="state folder",
        level=Level.OK if writable else Level.FAIL,
        figure=str(root),
        remedy="" if writable else f"{root} is not writable; set GREENBENCH_STATE to a folder of yours",
    )
