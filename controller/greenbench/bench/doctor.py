"""`greenbench doctor`: what this host can measure and run, with the remedy for what it can't."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from greenbench.bench.context import Context, Options, meters_for
from greenbench.bench.gpu_checks import (
    check_cuda,
    check_foreign_processes,
    check_gpu,
    check_gpu_limits,
    check_gpu_sensors,
    check_kernels,
    check_toolkit,
)
from greenbench.bench.host_checks import (
    check_cpu_meter,
    check_disk,
    check_other_work,
    check_pace,
    check_processor,
    check_state,
)
from greenbench.bench.patient import Patient
from greenbench.core.check import Check, Level
from greenbench.core.doubt import Limits, Rule
from greenbench.core.errors import ConfigurationError, GreenbenchError, MeterError
from greenbench.core.progress import Observer
from greenbench.energy.calibrate import counter_calibration
from greenbench.energy.meter import MeterSet
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.fleet import docker_engine
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog
from greenbench.fleet.state import StateFolder

Checker = Callable[[Patient], Iterator[Check]]


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
        device=options.device,
        limits=DEFAULT_LIMITS,
    )
    try:
        with meters_for(options) as meters:
            return examine(_opened(bare, meters, calibrate=calibrate))
    except ConfigurationError as err:
        return examine(replace(bare, meters_error=str(err)))


def _opened(bare: Patient, meters: MeterSet, *, calibrate: bool) -> Patient:
    device = "cuda" if meters.facts.get("gpu") else "cpu"
    opened = replace(bare, meters=meters, device=device)
    try:
        known = counter_calibration(meters, bare.state.calibration, anew=calibrate)
    except MeterError as err:
        return replace(opened, calibration_error=str(err))
    return replace(opened, calibration=known)


def examine(patient: Patient) -> tuple[Check, ...]:
    """Run every check.

    Args:
        patient: The host.

    Returns:
        The checks in the order in which a user mends them.
    """
    steps: tuple[Checker, ...] = (
        check_engine,
        check_toolkit,
        check_gpu,
        check_cuda,
        check_kernels,
        check_gpu_sensors,
        check_gpu_limits,
        check_foreign_processes,
        check_cpu_meter,
        check_processor,
        check_pace,
        check_other_work,
        check_disk,
        check_state,
    )
    return tuple(check for step in steps for check in step(patient))


def check_engine(_: Patient) -> Iterator[Check]:
    """Look for a Docker Engine."""
    try:
        engine = docker_engine.connect()
    except GreenbenchError as err:
        yield Check(
            name="docker engine",
            level=Level.WARN,
            figure=str(err),
            remedy="without one, `--launcher venv` runs every runtime in a virtual environment",
        )
        return
    version = engine.client.version().get("Version", "of unknown version")
    engine.client.close()
    yield Check(
        name="docker engine", level=Level.OK, figure=f"{version}{', rootless' if engine.rootless else ''}"
    )


BEFORE_A_RUN: tuple[Checker, ...] = (
    check_gpu_limits,
    check_foreign_processes,
    check_processor,
    check_other_work,
    check_disk,
)
"""What decides whether a run's figures will stand."""


def fit_to_run(
    context: Context,
    limits: Mapping[Rule, Limits],
    observer: Observer,
    checks: tuple[Checker, ...] = BEFORE_A_RUN,
) -> tuple[Check, ...]:
    """Check what matters before a run; return what is amiss, for its event log.

    Args:
        context: The host, its meters opened.
        limits: The validity table in force, the suite's own limits included.
        observer: Hears what is amiss.
        checks: Which.

    Raises:
        ConfigurationError: Every trial would be invalid or could not be kept; says the remedy.
    """
    patient = Patient(
        state=context.state,
        assets=assets_root(),
        catalogue=context.catalogue,
        device=context.house.device,
        meters=context.meters,
        limits=limits,
    )
    amiss = tuple(check for step in checks for check in step(patient) if check.level is not Level.OK)
    for check in amiss:
        if check.level is Level.FAIL:
            raise ConfigurationError(f"{check.name}: {check.figure}; {check.remedy}")
        observer.note(f"{check.name}: {check.figure} ({check.remedy})")
    return amiss
