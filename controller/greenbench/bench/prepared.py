"""Whether all that a plan needs is there: runtimes built, model files made and unchanged."""

from collections.abc import Mapping

from greenbench.bench.house import House
from greenbench.bench.library import onnx_key, reference_key, weights_key
from greenbench.core.errors import NotBuiltError
from greenbench.core.plan import Plan
from greenbench.core.runtime import RuntimeSpec


def need_models(house: House, plan: Plan) -> None:
    """Check that runtimes are built and every model file of a plan is there, with its bytes unchanged.

    Raises:
        NotBuiltError: Something is missing; names `greenbench up` with what it takes.
        ConfigurationError: A file is damaged.
    """
    for spec in builds_of(plan, house.catalogue):
        if house.launcher.built(spec, house.device) is None:
            raise NotBuiltError(
                f"{spec.name} is not built for {house.device}; run `greenbench up {spec.family}`"
            )
    asked = {(c.workload, c.weights_from, c.weights_origin, c.source) for c in plan.cells}
    seen: set[str] = set()
    for load, weights_from, origin, source in sorted(asked, key=str):
        model, length = load.model, load.sequence_length
        remedy = f"greenbench up --set models.weights_from={weights_from} --set model={model}"
        remedy += f" --set sequence_length={length}" if length else ""
        remedy += f" --set weights={load.weights}" if load.weights != "matched" else ""
        weights = house.library.need(weights_key(model, origin), remedy=remedy)
        keys = [reference_key(model, weights.sha256, length)]
        keys += [onnx_key(model, source, weights.sha256, length)] if source else []
        for key in keys:
            if key not in seen:
                house.library.need(key, remedy=remedy)
            seen.add(key)


def builds_of(plan: Plan, catalogue: Mapping[str, RuntimeSpec]) -> tuple[RuntimeSpec, ...]:
    """Return the builds of runtimes that a plan's cells run in, each once."""
    builds = (catalogue[cell.runtime].build_for(cell.mode) for cell in plan.cells)
    return tuple({build.name: build for build in builds}.values())
