"""Outputs of every runtime and conversion, compared with the reference's and with those before converting."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from greenbench.bench.conversions import Conversion, conversions, is_converted, refuse
from greenbench.bench.house import House, Running
from greenbench.bench.making import Needs, golden_cell, golden_outputs, reference_outputs
from greenbench.bench.parity import compare
from greenbench.core.errors import RuntimeCallError
from greenbench.core.parity import Parity, Proof
from greenbench.core.plan import Cell
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.workload import Workload

UNAVAILABLE_MODE = "FAILED_PRECONDITION"
REJECTIONS = ("INVALID_ARGUMENT", "UNIMPLEMENTED")
"""Statuses with which a runtime says that a converted model is not one it can run."""

Outputs = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Proves runtimes one after the other, and remembers what each network gave before it was converted.

    Attributes:
        house: Runs them.
        needs: Which models.
        observer: Hears what is being proven.
        before: Outputs of frameworks' own networks, by framework and what was loaded; filled while proving.
        failed: Builds that did not run a conversion; filled while proving.
    """

    house: House
    needs: Needs
    observer: Observer
    before: dict[tuple[str, Workload], Outputs] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def prove(self, spec: RuntimeSpec) -> Iterator[Proof]:
        """Prove one build of a runtime, in its first mode: its own networks, or the conversions it runs.

        Raises:
            FleetError: It died, or refused a network of its own.
        """
        mode = spec.own_modes_on(self.house.device)[0]
        with self.house.running(spec.family, mode) as running:
            if not spec.sources:
                for load in (*self.needs.workloads(), *self.needs.native_workloads(spec)):
                    yield self._proof(running, load, None, mode)
            for source in spec.sources:
                for conversion in conversions(self.needs, self.house.catalogue[source]):
                    if is_converted(self.house, conversion):
                        yield from self._conversion_proof(running, conversion, mode)

    def _conversion_proof(self, running: Running, conversion: Conversion, mode: str) -> Iterator[Proof]:
        """Prove a conversion equal to its origin; one that the runtime rejects is kept as refused.

        Of another build a rejection is told and settles nothing: the usual one may run the conversion. Nor
        does a mode that this environment lacks the libraries or the version for.
        """
        load, source = conversion.load, conversion.source
        try:
            proof = self._proof(running, load, source, mode)
        except RuntimeCallError as err:
            if err.code not in (*REJECTIONS, UNAVAILABLE_MODE):
                raise
            build = running.instance.build.runtime
            self.failed.add(build)
            if build != running.spec.name or err.code == UNAVAILABLE_MODE:
                self.observer.note(f"{load.model} from {source} does not run in mode {mode}: {err}")
                return
            refuse(
                self.house, conversion, f"{running.spec.title} rejected the conversion: {err}", self.observer
            )
            return
        self.house.library.allow(conversion.question)
        yield proof

    def _proof(self, running: Running, load: Workload, source: str | None, mode: str) -> Proof:
        name = running.spec.name
        self.observer.step(f"proving {name} {mode} {load.model}{f' from {source}' if source else ''}")
        cell = golden_cell(name, mode, source, load, self.needs, device=self.house.device)
        outputs = golden_outputs(self.house, running, cell)
        reference = reference_outputs(self.house, cell)
        if source is None:
            self.before[name, load] = outputs
        return Proof(
            runtime=cell.runtime,
            mode=cell.mode,
            source=cell.source,
            model=load.model,
            sequence_length=load.sequence_length,
            precision=load.precision,
            weights=load.weights,
            parity=compare(outputs, reference, precision=load.precision),
            conversion=self._conversion(cell, outputs, reference),
        )

    def _conversion(self, cell: Cell, outputs: Outputs, reference: Outputs) -> Parity | None:
        """Compare outputs after a conversion with those before it; None where neither is at hand."""
        if cell.source is None:
            return None
        before = self.before.get((cell.source, cell.workload))
        # The reference is what the framework that owns it, or a native network's own, gave on the CPU.
        if before is None and (cell.workload.weights == "native" or cell.source == self.house.reference.name):
            before = reference
        return None if before is None else compare(outputs, before, precision=cell.workload.precision)
