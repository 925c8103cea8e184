"""Conversions to ONNX: made in the framework that owns the model, or refused for a reason that is kept."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenbench.bench.house import House, Running
from greenbench.bench.library import Question, Refusal, onnx_key, weights_key
from greenbench.bench.making import Needs
from greenbench.core.errors import RuntimeCallError
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.workload import Workload, weights_origin
from greenbench.fleet.outbox import take_made
from greenbench.fleet.state import StateFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """One model to be converted.

    Attributes:
        load: The model, and its sequence length.
        source: The framework that converts it.
        weights_from: Origin of the weights, as suites write it.
    """

    load: Workload
    source: str
    weights_from: str

    @property
    def question(self) -> Question:
        """How plans ask for it."""
        return (self.load.model, self.source, self.weights_origin, self.load.sequence_length)

    @property
    def weights_origin(self) -> str:
        """The name under which its weights are kept."""
        return weights_origin(self.load.weights, self.source, self.weights_from)

    def refused(self, reason: str) -> Refusal:
        """Return the refusal that is kept for it."""
        return Refusal(
            model=self.load.model,
            source=self.source,
            weights_from=self.weights_origin,
            sequence_length=self.load.sequence_length,
            reason=reason,
        )


def sources_of(house: House, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the frameworks whose conversions are made for these runtimes.

    They are those that some of them run, as far as they are wanted themselves; the reference always is.
    """
    named = {source for name in wanted for source in house.catalogue[name].sources}
    able = (spec for spec in house.catalogue.values() if spec.name in named and spec.converts)
    return tuple(spec.name for spec in able if spec.owns_reference or spec.name in wanted)


def conversions_settled(house: House, needs: Needs, wanted: Sequence[str]) -> bool:
    """Tell whether each conversion for these runtimes is there, or is known not to be had."""
    refused = house.library.refusals()
    return all(
        conversion.question in refused or is_converted(house, conversion)
        for source in sources_of(house, wanted)
        for conversion in conversions(needs, house.catalogue[source])
    )


def conversions(needs: Needs, source: RuntimeSpec) -> Iterator[Conversion]:
    """Return every conversion that one framework has to make."""
    for load in (*needs.workloads(), *needs.native_workloads(source)):
        yield Conversion(load=load, source=source.name, weights_from=needs.weights_from)


def is_converted(house: House, conversion: Conversion) -> bool:
    """Tell whether a conversion of today's weights is in the library, undamaged."""
    load = conversion.load
    weights = house.library.find(weights_key(load.model, conversion.weights_origin))
    return weights is not None and house.library.intact(
        onnx_key(load.model, conversion.source, weights.sha256, load.sequence_length)
    )


def convert_models(
    house: House, state: StateFolder, needs: Needs, wanted: Sequence[str], observer: Observer
) -> None:
    """Make the conversions that are not there, each in its own framework; weights have to be there.

    One that a converter refuses is kept with its reason and asked for again the next time; the rest goes on.

    Raises:
        FleetError: A runtime died.
    """
    for source in sources_of(house, wanted):
        missing = [
            found for found in conversions(needs, house.catalogue[source]) if not is_converted(house, found)
        ]
        if missing:
            with house.running(source) as running:
                for conversion in missing:
                    _convert(house, state, running, conversion, threads=needs.threads, observer=observer)


def _convert(
    house: House, state: StateFolder, running: Running, asked: Conversion, *, threads: int, observer: Observer
) -> None:
    load, library = asked.load, house.library
    weights = library.need(weights_key(load.model, asked.weights_origin), remedy="greenbench up")
    observer.step(f"converting {load.model} to ONNX ({asked.source})")
    try:
        made = running.client.convert(
            model=load.model,
            weights_file=weights.path,
            sequence_length=load.sequence_length or 0,
            threads=threads,
        )
    except RuntimeCallError as err:
        refuse(house, asked, f"{running.spec.title} did not convert it: {err}", observer)
        return
    with tempfile.TemporaryDirectory(dir=state.root) as scratch:
        library.adopt(
            onnx_key(load.model, asked.source, weights.sha256, load.sequence_length),
            take_made(state.outbox(asked.source), made.path, Path(scratch)),
            kind="onnx",
            origin=f"{made.exporter}, opset {made.opset}",
            maker=f"{asked.source} {running.description.versions.get(running.spec.engine, '')}".strip(),
            elapsed_s=made.elapsed_s,
        )


def refuse(house: House, conversion: Conversion, reason: str, observer: Observer) -> None:
    """Keep why a conversion can't be had, and say so; plans leave its cells out with that reason."""
    house.library.refuse(conversion.refused(reason))
    observer.note(f"{conversion.load.model} from {conversion.source} is left out: {reason}")
