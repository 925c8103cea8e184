"""Making what models need: canonical weights and reference outputs."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
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
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.workload import TEXT_MODELS, Workload, weights_origin
from greenbench.fleet.outbox import take_made
from greenbench.fleet.state import StateFolder
from greenbench.fleet.tensors import output_of

WEIGHTS_SEED = 20240221
"""Seed of ``weights_from = "seeded"``: the day the study appeared."""

_OWN_FORMATS = (".h5", ".params")
"""Of Keras and of MXNet."""

_PICKLED = (".pt", ".pth", ".bin", ".pkl", ".ckpt")

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
        weights: ``matched``, ``native`` or both.
        modes: Modes that decide which builds of a runtime are made beside its usual one; empty for all.
    """

    models: tuple[str, ...]
    weights_from: str
    sequence_lengths: tuple[int, ...]
    threads: int
    weights: tuple[str, ...] = ("matched",)
    modes: tuple[str, ...] = ()

    @property
    def own_folder(self) -> bool:
        """Whether weights come from a folder of the user's."""
        return self.weights_from not in {"seeded", "pretrained"}

    def workloads(self) -> Iterator[Workload]:
        """Return every matched model and length at the golden batch size in fp32."""
        if "matched" in self.weights:
            yield from self._loads("matched", self.models)

    def native_workloads(self, owner: RuntimeSpec) -> Iterator[Workload]:
        """Return every native network that a framework has, likewise."""
        if "native" in self.weights:
            there = (m for m in self.models if owner.why_not_native(m, self.weights_from) is None)
            yield from self._loads("native", there)

    def _loads(self, weights: str, models: Iterable[str]) -> Iterator[Workload]:
        for model in models:
            for length in self.sequence_lengths if model in TEXT_MODELS else (None,):
                yield Workload(
                    model=model,
                    batch_size=GOLDEN_ROWS,
                    precision="fp32",
                    sequence_length=length,
                    weights=weights,
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
    outputs: NDArray[np.float32] = output_of(running.client.check())
    running.client.unload()
    return outputs


def reference_outputs(house: House, cell: Cell) -> NDArray[np.float32]:
    """Return the reference outputs of a cell's model: float32 [golden rows, ...].

    Raises:
        NotBuiltError: `greenbench up` has not made them.
    """
    load = cell.workload
    weights = house.library.need(weights_key(load.model, cell.weights_origin), remedy="greenbench up")
    key = reference_key(load.model, weights.sha256, load.sequence_length)
    return house.library.reference(house.library.need(key, remedy="greenbench up"))


def models_made(house: House, needs: Needs, wanted: Sequence[str]) -> bool:
    """Tell whether the library holds all weights and reference outputs, undamaged.

    Args:
        house: Whose library.
        needs: Which models.
        wanted: Runtimes that are measured; the native networks of these are needed.
    """
    return all(_is_made(house, load, needs, owner) for owner, load in _makings(house, needs, wanted))


def _makings(house: House, needs: Needs, wanted: Sequence[str]) -> Iterator[tuple[RuntimeSpec, Workload]]:
    """Return what has to be made, each with the framework that makes it, one framework after the other."""
    for owner in house.catalogue.values():
        if owner.owns_reference:
            yield from ((owner, load) for load in needs.workloads())
        if owner.name in wanted:
            yield from ((owner, load) for load in needs.native_workloads(owner))


def _is_made(house: House, load: Workload, needs: Needs, owner: RuntimeSpec) -> bool:
    library, key = house.library, _weights_key(load, needs, owner)
    weights = library.find(key)
    if weights is None or not library.intact(key):
        return False
    if needs.weights_from == "seeded" and weights.origin != SEEDED:
        return False
    if needs.own_folder and weights.origin != f"sha256 {sha256_of(_own_file(load, needs, owner))}":
        return False
    return library.intact(reference_key(load.model, weights.sha256, load.sequence_length))


def _weights_key(load: Workload, needs: Needs, owner: RuntimeSpec) -> str:
    return weights_key(load.model, weights_origin(load.weights, owner.name, needs.weights_from))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where weights come from: a sentence that is kept, and a file unless they are seeded."""

    text: str
    file: Path | None


def _origin(load: Workload, needs: Needs, owner: RuntimeSpec, observer: Observer) -> _Origin:
    if needs.weights_from == "seeded":
        return _Origin(text=SEEDED, file=None)
    if needs.weights_from == "pretrained":
        where = hub.PUBLISHED[load.model]
        observer.step(f"fetching {where.repository}")
        path = hub.fetch(load.model)
        return _Origin(text=f"{where.repository}@{where.revision} sha256 {sha256_of(path)}", file=path)
    path = _own_file(load, needs, owner)
    return _Origin(text=f"sha256 {sha256_of(path)}", file=path)


def _own_file(load: Workload, needs: Needs, owner: RuntimeSpec) -> Path:
    """Return ``<model>.safetensors``, for a native network ``<runtime>-<model>`` in any format it reads."""
    folder = Path(needs.weights_from).expanduser()
    name = load.model if load.weights == "matched" else f"{owner.name}-{load.model}"
    suffixes = (".safetensors",) if load.weights == "matched" else (".safetensors", *_OWN_FORMATS)
    for suffix in suffixes:
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    for other in (folder / f"{name}{suffix}" for suffix in _PICKLED):
        if other.is_file():
            raise ConfigurationError(
                f"models.weights_from: {other} is a pickle, which can run code, and was not opened; "
                f"convert it where you trust it, with safetensors.torch.save_file, to {name}.safetensors"
            )
    kinds = " or ".join(suffixes)
    raise ConfigurationError(
        f"models.weights_from: {folder / name}{kinds} is not there; the folder needs one file per model"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes weights and reference outputs in a running runtime that owns them."""

    house: House
    state: StateFolder
    running: Running
    needs: Needs
    observer: Observer

    @property
    def library(self) -> ModelLibrary:
        return self.house.library

    def weights(self, load: Workload, origin: _Origin) -> Entry:
        key = _weights_key(load, self.needs, self.running.spec)
        found = self.library.find(key)
        if found and found.origin == origin.text and self.library.intact(key):
            return found
        whose = self.running.spec.native[load.model] if load.weights == "native" else load.model
        self.observer.step(f"making weights of {whose} ({self.needs.weights_from})")
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


def make_models(
    house: House, state: StateFolder, needs: Needs, wanted: Sequence[str], observer: Observer
) -> None:
    """Make what is missing of weights and reference outputs, native ones each in its own framework.

    Raises:
        ConfigurationError: Weights that can't be had.
        FleetError: The runtime died or refused: weights that don't fit the model among them.
    """
    for owner, makings in groupby(_makings(house, needs, wanted), key=lambda making: making[0]):
        loads = [load for _, load in makings]
        if all(_is_made(house, load, needs, owner) for load in loads):
            continue
        origins = [_origin(load, needs, owner, observer) for load in loads]
        with house.running(owner.name) as running:
            maker = _Maker(house=house, state=state, running=running, needs=needs, observer=observer)
            for load, origin in zip(loads, origins, strict=True):
                maker.reference(load, maker.weights(load, origin))
