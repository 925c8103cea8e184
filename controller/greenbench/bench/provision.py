"""`greenbench up`: images or environments built, weights and conversions made, parity proven."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from greenbench.bench import hub
from greenbench.bench.context import Context
from greenbench.bench.house import House, Running
from greenbench.bench.inputs import GOLDEN_ROWS, batch
from greenbench.bench.library import Entry, onnx_key, reference_key, sha256_of, weights_key
from greenbench.bench.parity import compare
from greenbench.bench.planning import HostView
from greenbench.core.errors import ConfigurationError
from greenbench.core.parity import Proof
from greenbench.core.plan import Cell
from greenbench.core.progress import Observer
from greenbench.core.suite import Suite
from greenbench.core.workload import MODELS, TEXT_MODELS, Workload
from greenbench.fleet.catalog import select
from greenbench.fleet.launcher import Build
from greenbench.fleet.state import StateFolder

WEIGHTS_SEED = 20240221
"""Seed of ``weights_from = "seeded"``: the day the study appeared."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UpReport:
    """What `greenbench up` made or found.

    Attributes:
        builds: By runtime.
        proofs: Parity of every runtime, mode, source and model.
    """

    builds: dict[str, Build]
    proofs: tuple[Proof, ...]

    @property
    def proven(self) -> bool:
        """Whether every proof passed."""
        return all(proof.parity.passed for proof in self.proofs)


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
    )


def provision(context: Context, runtimes: Sequence[str], needs: Needs, observer: Observer) -> UpReport:
    """Build runtimes, make what their models need, and prove their outputs equal. Idempotent.

    Args:
        context: Launcher, catalogue, library and state.
        runtimes: Names; all of the catalogue where empty. The reference runtime is added where models have
            to be made.
        needs: Which models.
        observer: Hears what is being done.

    Raises:
        BuildError: An image or environment could not be made.
        ConfigurationError: Weights that can't be had, or that don't fit the model.
        FleetError: A runtime died or refused.
    """
    house, state = context.house, context.state
    wanted = [spec.name for spec in select(house.catalogue, runtimes) if house.device in spec.devices]
    observer.note(context.choice.sentence)
    if house.reference.name not in wanted and not _all_made(house, needs, wanted):
        observer.note(f"{house.reference.title} is built too: it makes the models' weights and conversions")
        wanted.insert(0, house.reference.name)
    builds = {}
    for name in wanted:
        observer.step(f"building {name} ({house.launcher.name}, {house.device})")
        builds[name] = house.launcher.build(house.catalogue[name], house.device, observer)
    if not _all_made(house, needs, wanted):
        _make_models(house, state, needs, wanted, observer)
    proofs = tuple(proof for name in wanted for proof in _prove(house, name, needs, observer))
    _keep(state, house, proofs)
    return UpReport(builds=builds, proofs=proofs)


def _sources(house: House, wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for name in wanted for source in house.catalogue[name].sources))


def _all_made(house: House, needs: Needs, wanted: Sequence[str]) -> bool:
    for load in needs.workloads():
        weights = house.library.find(weights_key(load.model, needs.weights_from))
        if weights is None or not house.library.intact(weights_key(load.model, needs.weights_from)):
            return False
        if _is_folder(needs) and weights.origin != f"sha256 {sha256_of(_own_file(load.model, needs))}":
            return False
        keys = [reference_key(load.model, weights.sha256, load.sequence_length)]
        keys += [
            onnx_key(load.model, source, weights.sha256, load.sequence_length)
            for source in _sources(house, wanted)
        ]
        if not all(house.library.intact(key) for key in keys):
            return False
    return True


def _make_models(
    house: House, state: StateFolder, needs: Needs, wanted: Sequence[str], observer: Observer
) -> None:
    origins = {model: _origin(model, needs, observer) for model in needs.models}
    with house.running(house.reference.name) as running:
        for load in needs.workloads():
            weights = _make_weights(house, state, running, load, needs, origins[load.model], observer)
            _make_reference(house, running, load, weights, needs, observer)
            for source in _sources(house, wanted):
                if source == running.spec.name:
                    _convert(house, state, running, load, weights, needs, observer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    text: str
    file: Path | None


def _is_folder(needs: Needs) -> bool:
    return needs.weights_from not in {"seeded", "pretrained"}


def _own_file(model: str, needs: Needs) -> Path:
    path = Path(needs.weights_from).expanduser() / f"{model}.safetensors"
    if not path.is_file():
        raise ConfigurationError(
            f"models.weights_from: {path} is not there; the folder needs one file per model"
        )
    return path


def _origin(model: str, needs: Needs, observer: Observer) -> _Origin:
    if needs.weights_from == "seeded":
        return _Origin(text=f"seed {WEIGHTS_SEED}", file=None)
    if needs.weights_from == "pretrained":
        where = hub.PUBLISHED[model]
        observer.step(f"fetching {where.repository}")
        path = hub.fetch(model)
        return _Origin(text=f"{where.repository}@{where.revision} sha256 {sha256_of(path)}", file=path)
    path = _own_file(model, needs)
    return _Origin(text=f"sha256 {sha256_of(path)}", file=path)


@contextmanager
def _inbox(house: House, source: Path | None) -> Iterator[str]:
    """Show a file to the runtimes under the models folder while it is needed; yields its relative path."""
    if source is None:
        yield ""
        return
    folder = house.library.folder / "inbox"
    folder.mkdir(mode=0o755, exist_ok=True)
    target = folder / source.name
    shutil.copyfile(source, target)
    target.chmod(0o644)
    try:
        yield f"inbox/{target.name}"
    finally:
        target.unlink(missing_ok=True)


def _make_weights(
    house: House,
    state: StateFolder,
    running: Running,
    load: Workload,
    needs: Needs,
    origin: _Origin,
    observer: Observer,
) -> Entry:
    key = weights_key(load.model, needs.weights_from)
    found = house.library.find(key)
    if found and found.origin == origin.text and house.library.intact(key):
        return found
    observer.step(f"making weights of {load.model} ({needs.weights_from})")
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / f"calibration-{load.model}.npz"
        np.savez(images, **batch(load.model, GOLDEN_ROWS, load.sequence_length))
        with _inbox(house, images) as calibration, _inbox(house, origin.file) as weights_file:
            made = running.client.prepare(
                model=load.model,
                seed=None if weights_file else WEIGHTS_SEED,
                weights_file=weights_file,
                calibration_file=calibration,
                threads=needs.threads,
            )
    return _adopt(house, state, running, key, made.path, "weights", origin.text, made.elapsed_s)


def _adopt(
    house: House,
    state: StateFolder,
    running: Running,
    key: str,
    path: str,
    kind: str,
    origin: str,
    elapsed_s: float,
) -> Entry:
    made = state.outbox(running.spec.name) / path
    maker = f"{running.spec.name} {running.description.versions.get(running.spec.engine, '')}".strip()
    return house.library.adopt(key, made, kind=kind, origin=origin, maker=maker, elapsed_s=elapsed_s)


def _make_reference(
    house: House, running: Running, load: Workload, weights: Entry, needs: Needs, observer: Observer
) -> None:
    key = reference_key(load.model, weights.sha256, load.sequence_length)
    if house.library.intact(key):
        return
    observer.step(f"computing the reference outputs of {load.model}")
    cell = _cell(running.spec.name, running.spec.modes_on("cpu")[0], None, load, needs, "cpu")
    house.load(running, cell, device="cpu")
    running.client.stage(batch(load.model, GOLDEN_ROWS, load.sequence_length))
    outputs = running.client.check()["output"]
    running.client.unload()
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / f"{load.model}.npz"
        np.savez(made, output=outputs.astype(np.float32))
        house.library.adopt(
            key, made, kind="reference", origin=weights.sha256, maker=running.spec.name, elapsed_s=0.0
        )


def _convert(
    house: House,
    state: StateFolder,
    running: Running,
    load: Workload,
    weights: Entry,
    needs: Needs,
    observer: Observer,
) -> None:
    key = onnx_key(load.model, running.spec.name, weights.sha256, load.sequence_length)
    if house.library.intact(key):
        return
    observer.step(f"converting {load.model} to ONNX ({running.spec.name})")
    made = running.client.convert(
        model=load.model, weights_file=weights.path, sequence_length=load.sequence_length or 0,
        opset=0, threads=needs.threads,
    )  # fmt: skip
    _adopt(
        house, state, running, key, made.path, "onnx", f"{made.exporter}, opset {made.opset}", made.elapsed_s
    )


def _cell(runtime: str, mode: str, source: str | None, load: Workload, needs: Needs, device: str) -> Cell:
    return Cell(
        runtime=runtime, mode=mode, source=source, workload=load, path="loop", io="device", device=device,
        threads=needs.threads, weights_from=needs.weights_from,
    )  # fmt: skip


def _prove(house: House, name: str, needs: Needs, observer: Observer) -> Iterator[Proof]:
    spec = house.catalogue[name]
    with house.running(name) as running:
        for load in needs.workloads():
            for source in spec.sources or (None,):
                mode = spec.modes_on(house.device)[0]
                observer.step(f"proving {name} {mode} {load.model}")
                yield _proof(house, running, _cell(name, mode, source, load, needs, house.device))


def _proof(house: House, running: Running, cell: Cell) -> Proof:
    load = cell.workload
    house.load(running, cell)
    running.client.stage(batch(load.model, GOLDEN_ROWS, load.sequence_length))
    outputs = running.client.check()["output"]
    running.client.unload()
    return Proof(
        runtime=cell.runtime, mode=cell.mode, source=cell.source, model=load.model,
        sequence_length=load.sequence_length, precision=load.precision,
        parity=compare(outputs, reference_outputs(house, cell), precision=load.precision),
    )  # fmt: skip


def reference_outputs(house: House, cell: Cell) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the reference outputs of a cell's model: float32 [golden rows, ...].

    Raises:
        NotBuiltError: `greenbench up` has not made them.
    """
    load = cell.workload
    weights = house.library.need(weights_key(load.model, cell.weights_from), remedy="greenbench up")
    key = reference_key(load.model, weights.sha256, load.sequence_length)
    return house.library.reference(house.library.need(key, remedy="greenbench up"))


def _keep(state: StateFolder, house: House, proofs: tuple[Proof, ...]) -> None:
    path = state.root / "parity.json"
    rows = [asdict(proof) | {"launcher": house.launcher.name, "device": house.device} for proof in proofs]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(rows, indent=1))
    partial.replace(path)
