"""What was written, by its SHA-256: the raw record by its content, the files by their bytes."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from greenbench.core.reading import Series
from greenbench.results.parts import IterationTable
from greenbench.results.runs import MANIFEST

RAW = "raw_recorded"
ITERATIONS_STREAM = "iterations"
SEALED = (
    MANIFEST,
    "trials.parquet",
    "readings.parquet",
    "iterations.parquet",
    "baselines.parquet",
    "parity.json",
)
"""Files that the last event of a run names with their digests."""

Content = dict[str, dict[str, Any]]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(slots=True, kw_only=True)
class ColumnDigest:
    """The digest of some columns, fed in pieces of any length; the same however it was cut.

    Attributes:
        count: Rows so far.
    """

    count: int = 0
    _hashes: list[_Hash] = field(default_factory=list)

    def add(self, *columns: NDArray[Any]) -> None:
        """Feed the next rows, always the same columns in the same order."""
        if not self._hashes:
            self._hashes = [hashlib.sha256() for _ in columns]
        for own, column in zip(self._hashes, columns, strict=True):
            own.update(_canonical(column))
        self.count += len(columns[0])

    @property
    def content(self) -> dict[str, Any]:
        """What an event keeps: the number of rows and the SHA-256 over the columns' own."""
        whole = hashlib.sha256(b"".join(own.digest() for own in self._hashes))
        return {"rows": self.count, "sha256": whole.hexdigest()}


def _canonical(column: NDArray[Any]) -> bytes:
    if column.dtype.kind == "f":
        # Every NaN is written as null and read back as this one.
        return np.where(np.isnan(column), np.nan, column).astype("<f8").tobytes()
    return column.astype("<i8").tobytes()


def content_of(readings: Iterable[Series], iterations: IterationTable | None) -> Content:
    """Return stream -> rows and digest of what is about to be kept of one load or stretch."""
    found: Content = {}
    for series in readings:
        digest = ColumnDigest()
        digest.add(series.t_before_ns, series.t_after_ns, series.value)
        if len(series):
            found[series.stream] = digest.content
    if iterations is not None and len(iterations.end_ns):
        digest = ColumnDigest()
        digest.add(iterations.end_ns)
        found[ITERATIONS_STREAM] = digest.content
    return found


Key = tuple[str | None, int, str]


def stored_content(
    readings: Iterable[pa.RecordBatch], iterations: Iterable[pa.RecordBatch]
) -> Mapping[Key, dict[str, Any]]:
    """Return (load_id, attempt, stream) -> rows and digest of what is on disk, streaming.

    Args:
        readings: Batches of readings.parquet or of its parts.
        iterations: Likewise.
    """
    found: dict[Key, ColumnDigest] = {}
    for batch in readings:
        for key, rows in runs_of(batch, "load_id", "attempt", "stream"):
            columns = (rows.column(name) for name in ("t_before_ns", "t_after_ns", "value"))
            found.setdefault(key, ColumnDigest()).add(*map(_numbers, columns))
    for batch in iterations:
        for (load_id, attempt), rows in runs_of(batch, "load_id", "attempt"):
            digest = found.setdefault((load_id, attempt, ITERATIONS_STREAM), ColumnDigest())
            digest.add(_numbers(rows.column("end_ns")))
    return {key: digest.content for key, digest in found.items()}


def _numbers(column: pa.Array) -> NDArray[Any]:
    numbers: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return numbers


def runs_of(batch: pa.RecordBatch, *names: str) -> Iterator[tuple[Any, pa.RecordBatch]]:
    """Cut a batch where any of the columns changes; yields their values and the rows between."""
    if not len(batch):
        return
    columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
    changed = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    edges = [0, *(np.nonzero(changed)[0] + 1).tolist(), len(batch)]
    for begin, end in pairwise(edges):
        yield tuple(batch.column(name)[begin].as_py() for name in names), batch.slice(begin, end - begin)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_digest(folder: Path) -> str:
    """Return the SHA-256 of a run's manifest."""
    return file_digest(folder / MANIFEST)


def file_digests(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of the files of a run that are there."""
    return {name: file_digest(folder / name) for name in SEALED if (folder / name).is_file()}
