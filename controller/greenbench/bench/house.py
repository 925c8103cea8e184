"""One runtime at a time, opened and closed: the launcher, the catalogue and the model library together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from greenbench.bench.library import ModelLibrary, onnx_key, weights_key
from greenbench.core.architecture import lacks_kernels
from greenbench.core.errors import RuntimeCallError
from greenbench.core.plan import Cell
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet.answers import Description, LoadedFacts
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.launcher import Instance, Launcher
from greenbench.fleet.readiness import wait_ready

UP = "greenbench up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A runtime that answers.

    Attributes:
        spec: What it is, as the catalogue describes the runtime, whichever build of it runs.
        instance: Its process or container.
        client: The wire to it.
        description: What it says of itself.
    """

    spec: RuntimeSpec
    instance: Instance
    client: RuntimeClient
    description: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What it takes to run any runtime of the catalogue on this host.

    Attributes:
        launcher: Starts runtimes as containers or processes.
        catalogue: The runtimes there are, by name.
        library: Model files.
        device: ``cpu`` or ``cuda``.
        gpu_uuid: Which GPU; None on the CPU.
        gpu_name: As people call it.
        architecture: The GPU's ``sm_NN``; None on the CPU.
    """

    launcher: Launcher
    catalogue: Mapping[str, RuntimeSpec]
    library: ModelLibrary
    device: str
    gpu_uuid: str | None = None
    gpu_name: str = ""
    architecture: str | None = None

    @property
    def reference(self) -> RuntimeSpec:
        """The runtime that makes canonical weights and reference outputs."""
        return next(spec for spec in self.catalogue.values() if spec.owns_reference)

    @contextmanager
    def running(self, name: str, mode: str | None = None) -> Iterator[Running]:
        """Start a runtime, wait until it serves, and stop it at the end.

        Args:
            name: In the catalogue.
            mode: Starts the build that runs this mode; None for the usual one.

        Raises:
            FleetError: It could not be started, died, or did not answer in time.
        """
        spec = self.catalogue[name]
        build = spec.build_for(mode) if mode else spec
        with self.launcher.start(build, self.device) as instance:
            wait_ready(instance)
            with RuntimeClient(instance.address, instance=instance) as client:
                yield Running(spec=spec, instance=instance, client=client, description=client.describe())

    def load(self, running: Running, cell: Cell, *, device: str | None = None) -> LoadedFacts:
        """Load a cell's model into a running runtime.

        Args:
            running: The cell's runtime.
            cell: What to load.
            device: Overrides the cell's device (the reference is computed on the CPU).

        Raises:
            NotBuiltError: Weights or conversion are not in the library.
            RuntimeCallError: It ships no kernels for this GPU: an adopted environment, which no plan knows.
            FleetError: The runtime refused or died.
        """
        workload = cell.workload
        weights = self.library.need(weights_key(workload.model, cell.weights_origin), remedy=UP)
        model_file = ""
        if cell.source:
            key = onnx_key(workload.model, cell.source, weights.sha256, workload.sequence_length)
            model_file = self.library.need(key, remedy=UP).path
        target = device or cell.device
        if target == "cuda":
            self._need_kernels(running)
        return running.client.load(
            model=workload.model,
            batch_size=workload.batch_size,
            sequence_length=workload.sequence_length or 0,
            precision=workload.precision,
            mode=cell.mode,
            weights=workload.weights,
            weights_file=weights.path,
            model_file=model_file,
            device=target,
            device_uuid=(self.gpu_uuid or "") if target == "cuda" else "",
            threads=cell.threads,
            io=cell.io,
        )

    def _need_kernels(self, running: Running) -> None:
        shipped = running.description.kernel_architectures
        if reason := lacks_kernels(running.spec.title, shipped, self.gpu_name, self.architecture):
            raise RuntimeCallError(reason, code="UNIMPLEMENTED")
