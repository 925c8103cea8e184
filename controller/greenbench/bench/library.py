"""The library of model files in the state folder: canonical weights, conversions, reference outputs.

Every file is named by what it holds (content hash), and the index says which file answers which
question. A file whose bytes changed since it was made is refused by name, never used.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import ConfigurationError, NotBuiltError

_BLOCK_BYTES = 1 << 20

Question = tuple[str, str, str, int | None]
"""A conversion that a plan may ask for: model, source, origin of the weights, sequence length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the library.

    Attributes:
        path: Relative to the models folder.
        sha256: Of its bytes, hex.
        origin: Where it came from: ``seed 20240221``, a repository's name, a file's hash ...
        maker: What made it, with version.
        elapsed_s: Seconds that took.
    """

    path: str
    sha256: str
    origin: str
    maker: str
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A conversion that could not be made or that no runtime takes.

    Attributes:
        model: Which.
        source: The framework that converts it.
        weights_from: Origin of the weights, as suites write it.
        sequence_length: Tokens per sample; None for vision models.
        reason: One sentence: who refused, and what it said.
    """

    model: str
    source: str
    weights_from: str
    sequence_length: int | None
    reason: str

    @property
    def question(self) -> Question:
        """What was asked for."""
        return (self.model, self.source, self.weights_from, self.sequence_length)


class ModelLibrary:
    """Files for models, kept by content; one index for all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index_path = folder / "index.json"
        self._refusals_path = folder / "refused.json"

    def find(self, key: str) -> Entry | None:
        """Return the entry for `key`, or None where nothing was made for it."""
        found = self._index().get(key)
        return Entry(**found) if found else None

    def need(self, key: str, *, remedy: str) -> Entry:
        """Return the entry for `key` after checking its bytes.

        Raises:
            NotBuiltError: Nothing was made for it, or its file is gone; names `remedy`.
            ConfigurationError: Its file is damaged.
        """
        entry = self.find(key)
        if entry is None or not (self.folder / entry.path).is_file():
            raise NotBuiltError(f"{key} is not prepared; run `{remedy}`")
        if sha256_of(self.folder / entry.path) != entry.sha256:
            path = self.folder / entry.path
            raise ConfigurationError(f"{path} has changed since it was made; delete it and run `{remedy}`")
        return entry

    def intact(self, key: str) -> bool:
        """Tell whether `key` is in the library with its bytes unchanged."""
        entry = self.find(key)
        if entry is None:
            return False
        path = self.folder / entry.path
        return path.is_file() and sha256_of(path) == entry.sha256

    def adopt(self, key: str, made: Path, *, kind: str, origin: str, maker: str, elapsed_s: float) -> Entry:
        """Move a finished file into the library under its content hash and index it.

        Args:
            key: The question it answers.
            made: The file; gone afterwards.
            kind: Sub-folder: ``weights``, ``onnx``, ``reference``.
            origin: As in `Entry`.
            maker: As in `Entry`.
            elapsed_s: As in `Entry`.
        """
        digest = sha256_of(made)
        name = f"{made.stem.split('.')[0]}-{digest[:16]}{made.suffix}"
        target = self.folder / kind / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(made, partial)
        partial.chmod(0o644)
        partial.replace(target)
        made.unlink()
        entry = Entry(path=f"{kind}/{name}", sha256=digest, origin=origin, maker=maker, elapsed_s=elapsed_s)
        self._write(key, entry)
        return entry

    def reference(self, entry: Entry) -> NDArray[np.float32]:
        """Return the reference outputs in `entry`: float32 [golden rows, ...]."""
        with np.load(self.folder / entry.path, allow_pickle=False) as archive:
            outputs: NDArray[np.float32] = archive["output"]
        return outputs

    def entries(self) -> dict[str, Entry]:
        """Return everything in the index, by key."""
        return {key: Entry(**value) for key, value in self._index().items()}

    def refusals(self) -> dict[Question, str]:
        """Return why each conversion that was refused was, by what was asked for.

        Raises:
            ConfigurationError: The file that holds them is damaged.
        """
        if not self._refusals_path.exists():
            return {}
        try:
            stored = [Refusal(**value) for value in json.loads(self._refusals_path.read_text())]
        except (ValueError, TypeError) as err:
            raise ConfigurationError(
                f"{self._refusals_path} is damaged; delete it and run `greenbench up`"
            ) from err
        return {refusal.question: refusal.reason for refusal in stored}

    def refuse(self, refusal: Refusal) -> None:
        """Keep why a conversion can't be had, in place of an earlier reason."""
        self._write_refusals(self.refusals() | {refusal.question: refusal.reason})

    def allow(self, question: Question) -> None:
        """Forget a refusal: the conversion is there after all."""
        refusals = self.refusals()
        if refusals.pop(question, None) is not None:
            self._write_refusals(refusals)

    def _write_refusals(self, refusals: dict[Question, str]) -> None:
        names = ("model", "source", "weights_from", "sequence_length")
        rows = [
            dict(zip(names, question, strict=True)) | {"reason": reason}
            for question, reason in refusals.items()
        ]
        partial = self._refusals_path.with_suffix(".partial")
        partial.write_text(json.dumps(rows, indent=1))
        partial.replace(self._refusals_path)

    def _index(self) -> dict[str, dict[str, Any]]:
        if not self._index_path.exists():
            return {}
        try:
            index: dict[str, dict[str, Any]] = json.loads(self._index_path.read_text())
        except ValueError as err:
            raise ConfigurationError(
                f"{self._index_path} is damaged; delete it and run `greenbench up`"
            ) from err
        return index

    def _write(self, key: str, entry: Entry) -> None:
        index = self._index() | {key: asdict(entry)}
        partial = self._index_path.with_suffix(".partial")
        with partial.open("w") as file:
            json.dump(index, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._index_path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def weights_key(model: str, weights_from: str) -> str:
    """Name the canonical weights of a model from one origin."""
    return f"weights/{model}/{weights_from}"


def onnx_key(model: str, source: str, weights_sha256: str, sequence_length: int | None) -> str:
    """Name the ONNX file that `source` converts from these weights."""
    length = f"/l{sequence_length}" if sequence_length else ""
    return f"onnx/{model}/{source}/{weights_sha256[:16]}{length}"


def reference_key(model: str, weights_sha256: str, sequence_length: int | None) -> str:
    """Name the reference outputs of these weights for the golden inputs."""
    length = f"/l{sequence_length}" if sequence_length else ""
    return f"reference/{model}/{weights_sha256[:16]}{length}"
