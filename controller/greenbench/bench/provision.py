"""`greenbench up`: images or environments built, weights and conversions made, parity proven."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from greenbench.bench.context import Context, base_image_of, remember_base_image
from greenbench.bench.conversions import conversions_settled, convert_models
from greenbench.bench.cpu_route import build_sidecar
from greenbench.bench.house import House
from greenbench.bench.making import Needs, make_models, models_made
from greenbench.bench.planning import HostView
from greenbench.bench.proving import Prover
from greenbench.core.errors import ConfigurationError
from greenbench.core.parity import Proof
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.suite import Suite
from greenbench.core.workload import MODELS
from greenbench.fleet.catalog import select
from greenbench.fleet.launcher import Build
from greenbench.fleet.lease import StateLease
from greenbench.fleet.state import StateFolder

PROOFS = "parity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpReport:
    """What `greenbench up` made or found.

    Attributes:
        builds: By runtime; another build of a runtime by its own name.
        proofs: Parity of every runtime, mode, source and model.
        unproven: Builds that ran none of what they were given.
    """

    builds: dict[str, Build]
    proofs: tuple[Proof, ...]
    unproven: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether every proof passed, and no build is left without one."""
        return not self.unproven and all(proof.parity.passed for proof in self.proofs)


def needs_of(suite: Suite, view: HostView, *, every_model: bool) -> Needs:
    """Return what a suite needs prepared.

    Args:
        suite: Names models, lengths and where weights come from.
        view: Of the host.
        every_model: Prepare all models that there are, not only the suite's.
    """
    return Needs(
        models=MODELS if every_model else suite.matrix.model,
        weights_from=suite.models.weights_from,
        sequence_lengths=suite.matrix.sequence_length,
        threads=suite.host.threads or view.physical_cores,
        weights=suite.matrix.weights,
        modes=() if every_model else suite.matrix.mode,
    )


def runtimes_of(suite: Suite, catalogue: Mapping[str, RuntimeSpec]) -> tuple[str, ...]:
    """Return the catalogue's runtimes that a suite measures, and those that convert for them."""
    named = [name for name in suite.matrix.runtime if name in catalogue]
    converters = suite.matrix.source if any(catalogue[name].sources for name in named) else ()
    return tuple(dict.fromkeys([*named, *(name for name in converters if name in catalogue)]))


def provision(context: Context, runtimes: Sequence[str], needs: Needs, observer: Observer) -> UpReport:
    """Build runtimes, make what their models need, and prove their outputs equal. Idempotent.

    Args:
        context: Launcher, catalogue, library and state.
        runtimes: Names of runtimes, or of single builds (``onnxruntime-openvino``); all of the catalogue
            where empty. The reference runtime is added where models have to be made.
        needs: Which models.
        observer: Hears what is being done.

    Raises:
        BuildError: An image or environment could not be made.
        ConfigurationError: Weights that can't be had, or that don't fit the model.
        FleetError: A runtime died or refused.
        StateLockedError: Another `up` or `run` works on this state folder.
    """
    with StateLease(context.state, purpose="greenbench up"):
        return _provision(context, runtimes, needs, observer)


def _provision(context: Context, runtimes: Sequence[str], needs: Needs, observer: Observer) -> UpReport:
    house, state = context.house, context.state
    adopted = context.options.environments
    specs = specs_of(house, runtimes, needs, adopted)
    wanted = list(dict.fromkeys(spec.family for spec in specs))
    observer.note(context.choice.sentence)
    if house.reference.name not in wanted and not _all_made(house, needs, wanted):
        observer.note(f"{house.reference.title} is built too: it makes the models' weights and conversions")
        wanted.insert(0, house.reference.name)
        specs = (*_builds(house, house.reference.name, needs, adopted), *specs)
    if house.launcher.name == "docker":
        base_image = base_image_of(context.options, state)
        observer.note(f"base image {base_image}")
        remember_base_image(state, base_image)
        build_sidecar(context, observer)
    builds = {}
    for spec in specs:
        doing = "fetching" if context.options.exchange.pull else "building"
        observer.step(f"{doing} {spec.name} ({house.launcher.name}, {house.device})")
        builds[spec.name] = house.launcher.build(spec, house.device, observer)
    if context.options.exchange.push:
        observer.note(
            f"pushed images are listed by digest in {state.images}: `greenbench up --pull images.json`"
        )
    make_models(house, state, needs, wanted, observer)
    convert_models(house, state, needs, wanted, observer)
    prover = Prover(house=house, needs=needs, observer=observer)
    # Conversions last: they are compared with what their origins gave, too.
    proofs = tuple(proof for spec in sorted(specs, key=_runs_conversions) for proof in prover.prove(spec))
    _keep(state, house, specs, proofs)
    proven = {(proof.runtime, proof.mode) for proof in proofs}
    unproven = [
        spec for spec in specs if spec.name in prover.failed and _proven_as(spec, house) not in proven
    ]
    for spec in unproven:
        observer.note(f"{spec.name} ran nothing that could be proven: see the lines above")
    return UpReport(builds=builds, proofs=proofs, unproven=tuple(spec.name for spec in unproven))


def specs_of(
    house: House, names: Sequence[str], needs: Needs, adopted: Container[str]
) -> tuple[RuntimeSpec, ...]:
    """Return the builds that are asked for.

    Args:
        house: Catalogue and device.
        names: Of runtimes, each with all its builds that the device and the needs have use for, or of
            single builds; all runtimes where empty.
        needs: Which modes.
        adopted: Builds whose environment the user gave.

    Raises:
        ConfigurationError: A name is not known, or that build can't be had here.
    """
    found: list[RuntimeSpec] = []
    for spec in select(house.catalogue, names, builds=True):
        if spec.build_of is None:
            found += _builds(house, spec.name, needs, adopted)
        else:
            _check_build(spec, house.device, adopted)
            found.append(spec)
    return tuple({build.name: build for build in found}.values())


def _builds(house: House, name: str, needs: Needs, adopted: Container[str]) -> tuple[RuntimeSpec, ...]:
    """Return the usual build of a runtime, and those others that run a mode which is needed."""
    return tuple(
        build
        for build in house.catalogue[name].builds_on(house.device, adopted)
        if build.build_of is None or not needs.modes or set(needs.modes) & set(build.modes)
    )


def _check_build(build: RuntimeSpec, device: str, adopted: Container[str]) -> None:
    there = build.devices.get(device)
    if there is None:
        text = f"is for {' or '.join(build.devices)}, and the device here is {device}"
        raise ConfigurationError(f"{build.name} {text}; leave it out")
    if there.brought and build.name not in adopted:
        text = f"say --launcher venv --env {build.name}=PYTHON, a Python that has {there.brought}"
        raise ConfigurationError(f"{build.name} can only be adopted; {text}")


def _runs_conversions(spec: RuntimeSpec) -> bool:
    return bool(spec.sources)


def _all_made(house: House, needs: Needs, wanted: Sequence[str]) -> bool:
    return models_made(house, needs, wanted) and conversions_settled(house, needs, wanted)


def _proven_as(spec: RuntimeSpec, house: House) -> tuple[str, str]:
    """Return the runtime and mode under which a build is proven."""
    return spec.family, spec.own_modes_on(house.device)[0]


def _keep(state: StateFolder, house: House, specs: Sequence[RuntimeSpec], proofs: tuple[Proof, ...]) -> None:
    """Keep these proofs beside those of other runtimes, modes, launchers and devices."""
    path = state.root / PROOFS
    here = {"launcher": house.launcher.name, "device": house.device}
    fresh = [asdict(proof) | here for proof in proofs]
    asked = {_proven_as(spec, house) for spec in specs}
    others = [
        row
        for row in read_proofs(state)
        if (row["runtime"], row["mode"]) not in asked or not here.items() <= row.items()
    ]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps([*others, *fresh], indent=1))
    partial.replace(path)


def read_proofs(state: StateFolder) -> list[dict[str, Any]]:
    """Return the parity results of every `greenbench up` in this state folder, the newest of each mode."""
    path = state.root / PROOFS
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows
