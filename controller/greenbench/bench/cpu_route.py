"""Where fleet's root sidecar becomes energy's CPU meter."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from greenbench.bench.context import Context, base_image_of
from greenbench.core.errors import FleetError, NotBuiltError
from greenbench.core.progress import Observer
from greenbench.energy.meter import MeterSet, with_cpu
from greenbench.energy.rapl import SIDECAR, RaplPlaces, open_rapl, sidecar_would_help
from greenbench.fleet import docker_engine
from greenbench.fleet.assets import assets_root
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.sidecar import POWERCAP_TREE, RaplSidecar


def needs_sidecar(context: Context, places: RaplPlaces | None = None) -> bool:
    """Tell whether RAPL is here, closed to this user, and containers are what runs."""
    by_docker = context.house.launcher.name == "docker"
    return by_docker and sidecar_would_help(context.meters.facts, places)


def build_sidecar(context: Context, observer: Observer) -> None:
    """Build the sidecar's image where a run on this host will need it.

    Raises:
        BuildError: Docker could not build it.
    """
    if not needs_sidecar(context):
        return
    observer.note("RAPL is readable by root only here: a read-only root sidecar will read it")
    with _sidecar(context) as sidecar:
        sidecar.build(observer)


@contextmanager
def cpu_by_sidecar(
    context: Context, observer: Observer, places: RaplPlaces | None = None, tree: Path = POWERCAP_TREE
) -> Iterator[Context]:
    """Yield the context with the sidecar as its CPU meter, where one is needed.

    A sidecar that does not start leaves the CPU without a meter; why is stored with the results.

    Args:
        context: Of the run.
        observer: Hears why there is no CPU energy.
        places: Where this host shows RAPL; other folders in tests.
        tree: What the sidecar sees of it.
    """
    if not needs_sidecar(context, places):
        yield context
        return
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(stack.enter_context(_sidecar(context, tree)).reading())
        except (FleetError, NotBuiltError) as err:
            observer.note(f"no CPU energy: {err}")
            meters = _refused(context.meters, str(err))
        else:
            meters = with_cpu(context.meters, open_rapl(places, sidecar=reader.read))
        yield replace(context, meters=meters)


@contextmanager
def _sidecar(context: Context, tree: Path = POWERCAP_TREE) -> Iterator[RaplSidecar]:
    engine = docker_engine.connect()
    settings = LaunchSettings(
        state=context.state,
        assets=assets_root(),
        base_image=base_image_of(context.options, context.state),
        exchange=context.options.exchange,
    )
    try:
        yield RaplSidecar(settings, engine, tree=tree)
    finally:
        engine.client.close()


def _refused(meters: MeterSet, reason: str) -> MeterSet:
    absent = (
        replace(item, reason=f"{item.reason}; {SIDECAR}: {reason}")
        if item.domain in {"cpu", "dram"}
        else item
        for item in meters.absent
    )
    refused = {**meters.facts.get("cpu_routes_refused", {}), SIDECAR: reason}
    return replace(meters, absent=tuple(absent), facts={**meters.facts, "cpu_routes_refused": refused})
