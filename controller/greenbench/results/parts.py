"""Raw readings and iterations: one part file per load while a run goes on, one file per kind after it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from greenbench.core.errors import DamagedResultsError
from greenbench.core.reading import Series
from greenbench.core.writing import kept_in
from greenbench.results.durable import TEMPORARY_SUFFIX, replacing, sync_folder
from greenbench.results.schema import ITERATIONS, READINGS

COMPRESSION = "zstd"
_ROWS_AT_ONCE = 1 << 17
_MERGED = b"greenbench.parts"
ATTRIBUTION = ("run_id", "host_id")
"""Columns that readings and iterations have in a merged run, and in the views of any run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationTable:
    """Every iteration of one load, from lead-in to tail.

    Attributes:
        load_id: Which load.
        end_ns: int64 [n], CLOCK_MONOTONIC at each iteration's end, nanoseconds.
    """

    load_id: str
    end_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of raw record: its name, which is also its file's, and its columns."""

    name: str
    schema: pa.Schema

    def merged_in(self, folder: Path) -> Path:
        """Return the file that holds the whole run's records."""
        return folder / f"{self.name}.parquet"

    def parts_in(self, folder: Path) -> list[Path]:
        """Return the part files there are, in the order of their names."""
        return sorted((folder / "parts").glob(f"*.{self.name}.parquet"))

    def part(self, folder: Path, label: str) -> Path:
        """Return the part file of one load's attempt, or of a stretch between loads."""
        return folder / "parts" / f"{label}.{self.name}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run whose records are joined with those of others.

    Attributes:
        folder: The run's folder.
        run_id: The run, which tells clocks apart: a host's clock starts anew with each boot.
        host_id: The host.
    """

    folder: Path
    run_id: str
    host_id: str


READINGS_KIND = Kind(name="readings", schema=READINGS)
ITERATIONS_KIND = Kind(name="iterations", schema=ITERATIONS)


def write_readings(path: Path, readings: Iterable[Series], *, load_id: str | None, attempt: int) -> None:
    """Write a part of raw readings, durably.

    Raises:
        GreenbenchError: The disk is full or refuses.
    """
    with replacing(path) as file, pq.ParquetWriter(file, READINGS, compression=COMPRESSION) as writer:
        for series in readings:
            writer.write_table(_readings_table(series, load_id, attempt))


def write_iterations(path: Path, iterations: IterationTable, *, attempt: int) -> None:
    """Write a part of iteration ends, durably.

    Raises:
        GreenbenchError: The disk is full or refuses.
    """
    count = len(iterations.end_ns)
    columns = [
        pa.repeat(pa.scalar(iterations.load_id, pa.string()), count),
        pa.repeat(pa.scalar(attempt, pa.int32()), count),
        pa.array(iterations.end_ns, pa.int64()),
    ]
    with replacing(path) as file:
        pq.write_table(pa.Table.from_arrays(columns, schema=ITERATIONS), file, compression=COMPRESSION)


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a small table, whole or not at all.

    Raises:
        GreenbenchError: The disk is full or refuses.
    """
    table = pa.Table.from_pylist(list(rows), schema=schema)
    with replacing(path) as file:
        pq.write_table(table, file, compression=COMPRESSION)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read a small table's rows; none where there is no such file.

    Raises:
        DamagedResultsError: The file cannot be read.
    """
    if path.exists():
        for batch in _batches(path):
            yield from batch.to_pylist()


def _readings_table(series: Series, load_id: str | None, attempt: int) -> pa.Table:
    count = len(series)
    columns = [
        pa.repeat(pa.scalar(load_id, pa.string()), count),
        pa.repeat(pa.scalar(attempt, pa.int32()), count),
        pa.repeat(pa.scalar(series.stream, pa.string()), count),
        pa.array(series.t_before_ns, pa.int64()),
        pa.array(series.t_after_ns, pa.int64()),
        # NaN is what a sensor that answered nothing leaves: null on disk.
        pa.array(series.value, pa.float64(), from_pandas=True),
        pa.repeat(pa.scalar(series.unit, pa.string()), count),
    ]
    return pa.Table.from_arrays(columns, schema=READINGS)


def consolidate(folder: Path, kind: Kind) -> None:
    """Join the parts of a kind into one file and remove them; nothing is held in memory as a whole.

    The file names the parts it holds, so that a crash between writing it and removing them doubles
    nothing when this is called again.

    Raises:
        GreenbenchError: The disk is full or refuses; the parts are then still there.
        DamagedResultsError: A part cannot be read.
    """
    target = kind.merged_in(folder)
    done = _merged_parts(target)
    new = [part for part in kind.parts_in(folder) if part.name not in done]
    if new or not target.exists():
        names = sorted(done | {part.name for part in new})
        sources = [*([target] if target.exists() else []), *new]
        with replacing(target) as file:
            _write_all(file, kind.schema.with_metadata({_MERGED: json.dumps(names)}), sources)
    _remove_parts(folder, kind)


def join_runs(target: Path, kind: Kind, sources: Iterable[Source]) -> None:
    """Write the records of several runs into one file, each row with its ``run_id`` and ``host_id``.

    Raises:
        GreenbenchError: The disk is full or refuses.
        DamagedResultsError: A file of a run cannot be read.
    """
    schema = pa.schema([*kind.schema, *(pa.field(name, pa.string()) for name in ATTRIBUTION)])
    with replacing(target) as file, pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer:
        for source in sources:
            for batch in records(source.folder, kind):
                whose = [pa.repeat(pa.scalar(name), len(batch)) for name in (source.run_id, source.host_id)]
                writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *whose], schema=schema))


def records(folder: Path, kind: Kind) -> Iterator[pa.RecordBatch]:
    """Stream a kind's records of a run, finished or not: the joined file, then the parts it lacks.

    Raises:
        DamagedResultsError: A file cannot be read.
    """
    target = kind.merged_in(folder)
    done = _merged_parts(target)
    if target.exists():
        yield from _batches(target)
    for part in kind.parts_in(folder):
        if part.name not in done:
            yield from _batches(part)


def _write_all(file: BinaryIO, schema: pa.Schema, sources: list[Path]) -> None:
    with pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer:
        waiting: list[pa.RecordBatch] = []
        for source in sources:
            for batch in _batches(source):
                waiting.append(batch)
                if sum(len(item) for item in waiting) >= _ROWS_AT_ONCE:
                    writer.write_table(_joined(waiting, schema))
                    waiting = []
        if waiting:
            writer.write_table(_joined(waiting, schema))


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches).replace_schema_metadata(schema.metadata)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield batch.replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as err:
        raise DamagedResultsError(f"{path} cannot be read: {' '.join(str(err).split())}") from err


def _merged_parts(target: Path) -> set[str]:
    if not target.exists():
        return set()
    try:
        metadata = pq.read_schema(target).metadata or {}
    except (pa.ArrowException, OSError) as err:
        raise DamagedResultsError(f"{target} cannot be read: {' '.join(str(err).split())}") from err
    return set(json.loads(metadata.get(_MERGED, b"[]")))


def _remove_parts(folder: Path, kind: Kind) -> None:
    parts = folder / "parts"
    if not parts.is_dir():
        return
    with kept_in(parts):
        for part in [*kind.parts_in(folder), *parts.glob(f"*.{kind.name}.parquet{TEMPORARY_SUFFIX}")]:
            part.unlink()
        sync_folder(parts)
