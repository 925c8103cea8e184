"""What is known, built, prepared and proven; and how to take it down."""

from typing import Any

from greenbench.bench.context import Options, open_context
from greenbench.bench.house import House
from greenbench.bench.library import ModelLibrary
from greenbench.bench.provision import read_proofs
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.workload import MODELS
from greenbench.fleet.assets import assets_root
from greenbench.fleet.choice import choose
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.state import StateFolder

Row = dict[str, Any]


def known_models(options: Options) -> list[Row]:
    """Return one row per prepared file of every model, and one for each model with none."""
    library = ModelLibrary(StateFolder.at(options.state).models)
    rows: list[Row] = []
    for model in MODELS:
        own = [(key, entry) for key, entry in sorted(library.entries().items()) if key.split("/")[1] == model]
        rows += [
            {
                "model": model,
                "file": key.split("/")[0],
                "what": key,
                "sha256": entry.sha256[:16],
                "origin": entry.origin,
            }
            for key, entry in own
        ] or [
            {"model": model, "file": "-", "what": "not prepared: greenbench up", "sha256": "", "origin": ""}
        ]
    return rows


def known_runtimes(options: Options) -> list[Row]:
    """Return one row per runtime of the catalogue: built or not, with which modes, proven or not."""
    with open_context(options) as context:
        proofs = read_proofs(context.state)
        rows: list[Row] = []
        device = context.house.device
        builds = (build for spec in context.catalogue.values() for build in (spec, *spec.builds))
        for spec in builds:
            here = spec in context.catalogue[spec.family].builds_on(device, options.environments)
            build = context.house.launcher.built(spec, device) if here else None
            rows.append(
                {
                    "runtime": spec.name,
                    "launcher": context.house.launcher.name,
                    "device": device,
                    "modes": ", ".join(spec.own_modes_on(device)),
                    "built": build.identity[:24] if build else _how_to_have(spec, device),
                    "proven": _proven(spec, context.house, proofs),
                }
            )
    return rows


def _how_to_have(spec: RuntimeSpec, device: str) -> str:
    if device not in spec.devices:
        return f"not for {device}"
    brought = spec.devices[device].brought
    return f"no: adopt one with --env {spec.name}=PYTHON" if brought else "no: greenbench up"


def _proven(spec: RuntimeSpec, house: House, proofs: list[Row]) -> str:
    here = {"runtime": spec.family, "launcher": house.launcher.name, "device": house.device}
    modes = spec.own_modes_on(house.device)
    own = [
        proof["parity"]["passed"]
        for proof in proofs
        if here.items() <= proof.items() and proof["mode"] in modes
    ]
    return f"{sum(own)} of {len(own)} models" if own else "not yet"


def take_down(options: Options, *, images: bool) -> tuple[str, ...]:
    """Stop and remove what `greenbench up` made in this state folder; return a sentence for each thing."""
    state = StateFolder.at(options.state)
    settings = LaunchSettings(state=state, assets=assets_root())
    return choose(options.launcher, settings).launcher.down(images=images)
