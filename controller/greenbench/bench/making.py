"""Making what models need: canonical weights and reference outputs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenbench.bench import hub
from greenbench.bench.house import House, Running
from greenbench.bench.inputs import GOLDEN_ROWS, batch
from greenbench.bench.library import Entry, ModelLibrary, reference_key, sha256_of, weights_key
from greenbench.core.errors import ConfigurationError
from greenbench.core.plan import Cell
from greenbench.core.progress import Observer
from greenbench.core.workload import TEXT_MODELS, Workload
from greenbench.fleet.outbox import take_made
from greenbench.fleet.state import StateFolder

WEIGHTS_SEED = 20240221
"""Seed of ``weights_from = "seeded"``: the day the study appeared."""

SEEDED = f"seed {WEIGHTS_SEED}, scheme 2"
"""Origin of seeded weights; the scheme's number changes with how `Prepare` draws them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What models have to be ready.

    Attributes:
        models: Names.
        weights_from: ``seeded``, ``pretrained`` or a folder with ``<model>.safetensors``.
        sequence_lengths: For text models.
        threads: Intra-operator threads to work with.
    """

    models: tuple[str, ...]
    weights_from: str
    sequence_lengths: tuple[int, ...]
    threads: int

    @property
    def own_folder(self) -> bool:
        """Whether weights come from a folder of the user's."""
        return self.weights_from not in {"seeded", "pretrained"}

    def workloads(self) -> Iterator[Workload]:
        """Return every model and length at the golden batch size in fp32."""
        for model in self.models:
            for length in self.sequence_lengths if model in TEXT_MODELS else (None,):
                yield Workload(
                    model=model,
                    batch_size=GOLDEN_ROWS,
                    precision="fp32",
                    sequence_length=length,
                    weights="matched",
                )


def golden_cell(
    runtime: str, mode: str, source: str | None, load: Workload, needs: Needs, *, device: str
) -> Cell:
    """Return the cell in which a model's golden inputs are computed."""
    return Cell(
        runtime=runtime,
        mode=mode,
        source=source,
        workload=load,
        path="loop",
        io="device",
        device=device,
        threads=needs.threads,
        weights_from=needs.weights_from,
    )


def golden_outputs(house: House, running: Running, cell: Cell) -> NDArray[np.float32]:
    """Load a cell and return its outputs for the golden inputs: float32 [golden rows, ...]."""
    load = cell.workload
    house.load(running, cell, device=cell.device)
    running.client.stage(batch(load.model, GOLDEN_ROWS, load.sequence_length))
    outputs: NDArray[np.float32] = running.client.check()["output"]
    running.client.unload()
    return outputs


def reference_outputs(house: House, cell: Cell) -> NDArray[np.float32]:
    """Return the reference outputs of a cell's model: float32 [golden rows, ...].

    Raises:
        NotBuiltError: `greenbench up` has not made them.
    """
    load = cell.workload
    weights = house.library.need(weights_key(load.model, cell.weights_from), remedy="greenbench up")
    key = reference_key(load.model, weights.sha256, load.sequence_length)
    return house.library.reference(house.library.need(key, remedy="greenbench up"))


def models_made(house: House, needs: Needs) -> bool:
    """Tell whether the library holds all weights and reference outputs, undamaged."""
    return all(_is_made(house.library, load, needs) for load in needs.workloads())


def _is_made(library: ModelLibrary, load: Workload, needs: Needs) -> bool:
    key = weights_key(load.model, needs.weights_from)
    weights = library.find(key)
    if weights is None or not library.intact(key):
        return False
    if needs.weights_from == "seeded" and weights.origin != SEEDED:
        return False
    if needs.own_folder and weights.origin != f"sha256 {sha256_of(_own_file(load.model, needs))}":
        return False
    return library.intact(reference_key(load.model, weights.sha256, load.sequence_length))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where weights come from: a sentence that is kept, and a file unless they are seeded."""

    text: str
    file: Path | None


def _origin(model: str, needs: Needs, observer: Observer) -> _Origin:
    if needs.weights_from == "seeded":
        return _Origin(text=SEEDED, file=None)
    if needs.weights_from == "pretrained":
        where = hub.PUBLISHED[model]
        observer.step(f"fetching {where.repository}")
        path = hub.fetch(model)
        return _Origin(text=f"{where.repository}@{where.revision} sha256 {sha256_of(path)}", file=path)
    path = _own_file(model, needs)
    return _Origin(text=f"sha256 {sha256_of(path)}", file=path)


def _own_file(model: str, needs: Needs) -> Path:
    path = Path(needs.weights_from).expanduser() / f"{model}.safetensors"
    if not path.is_file():
        pickled = [path.with_suffix(suffix) for suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt")]
        for other in filter(Path.is_file, pickled):
            raise ConfigurationError(
                f"models.weights_from: {other} is a pickle, which can run code, and was not opened; "
                f"convert it where you trust it, with safetensors.torch.save_file, to {path.name}"
            )
        raise ConfigurationError(
            f"models.weights_from: {path} is not there; the folder needs one file per model"
        )
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes weights and reference outputs in the running reference runtime."""

    house: House
    state: StateFolder
    running: Running
    needs: Needs
    observer: Observer

    @property
    def library(self) -> ModelLibrary:
        return self.house.library

    def weights(self, load: Workload, origin: _Origin) -> Entry:
        key = weights_key(load.model, self.needs.weights_from)
        found = self.library.find(key)
        if found and found.origin == origin.text and self.library.intact(key):
            return found
        self.observer.step(f"making weights of {load.model} ({self.needs.weights_from})")
        with tempfile.TemporaryDirectory() as scratch:
            images = Path(scratch) / f"calibration-{load.model}.npz"
            np.savez(images, allow_pickle=False, **batch(load.model, GOLDEN_ROWS, load.sequence_length))
            with self._inbox(images) as calibration, self._inbox(origin.file) as weights_file:
                made = self.running.client.prepare(
                    model=load.model,
                    seed=None if weights_file else WEIGHTS_SEED,
                    weights_file=weights_file,
                    calibration_file=calibration,
                    threads=self.needs.threads,
                )
        return self._adopt(key, made.path, kind="weights", origin=origin.text, elapsed_s=made.elapsed_s)

    def reference(self, load: Workload, weights: Entry) -> None:
        key = reference_key(load.model, weights.sha256, load.sequence_length)
        if self.library.intact(key):
            return
        self.observer.step(f"computing the reference outputs of {load.model}")
        spec = self.running.spec
        cell = golden_cell(spec.name, spec.modes_on("cpu")[0], None, load, self.needs, device="cpu")
        outputs = golden_outputs(self.house, self.running, cell)
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / f"{load.model}.npz"
            np.savez(made, output=outputs.astype(np.float32))
            self.library.adopt(
                key, made, kind="reference", origin=weights.sha256, maker=self._name, elapsed_s=0.0
            )

    @property
    def _name(self) -> str:
        version = self.running.description.versions.get(self.running.spec.engine, "")
        return f"{self.running.spec.name} {version}".strip()

    def _adopt(self, key: str, path: str, *, kind: str, origin: str, elapsed_s: float) -> Entry:
        outbox = self.state.outbox(self.running.spec.name)
        with tempfile.TemporaryDirectory(dir=self.state.root) as scratch:
            made = take_made(outbox, path, Path(scratch))
            facts = {"kind": kind, "origin": origin, "maker": self._name}
            return self.library.adopt(key, made, **facts, elapsed_s=elapsed_s)

    @contextmanager
    def _inbox(self, source: Path | None) -> Iterator[str]:
        """Show a file to the runtime under the models folder while it is needed; yields its relative path."""
        if source is None:
            yield ""
            return
        folder = self.library.folder / "inbox"
        folder.mkdir(mode=0o755, exist_ok=True)
        target = folder / source.name
        shutil.copyfile(source, target)
        target.chmod(0o644)
        try:
            yield f"inbox/{target.name}"
        finally:
            target.unlink(missing_ok=True)


def make_models(house: House, state: StateFolder, needs: Needs, observer: Observer) -> None:
    """Make what is missing of weights and reference outputs, in the reference runtime.

    Raises:
        ConfigurationError: Weights that can't be had.
        FleetError: The runtime died or refused: weights that don't fit the model among them.
    """
    if models_made(house, needs):
        return
    origins = {model: _origin(model, needs, observer) for model in needs.models}
    with house.running(house.reference.name) as running:
        maker = _Maker(house=house, state=state, running=running, needs=needs, observer=observer)
        for load in needs.workloads():
            maker.reference(load, maker.weights(load, origins[load.model]))
