"""DuckDB over one run: documented views, streamed from the Parquet files, in bounded memory."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.core.trial import Baseline, Trial
from greenbench.results.parts import ATTRIBUTION, ITERATIONS_KIND, READINGS_KIND, Kind
from greenbench.results.rows import row_of
from greenbench.results.schema import BASELINES, TRIALS
from greenbench.results.stored import StoredRun

MEMORY_LIMIT = "512MB"
"""What DuckDB may hold; beyond it spills to its temporary folder."""

_DAMAGE = re.compile(r"TProtocol|ecompress|ailed to read file|orrupt")
"""What DuckDB says of a damaged file; its classes of errors do not tell it from a wrong query."""

VIEWS: Mapping[str, str] = {
    "trials": "one row per window, failed ones and every attempt too; columns of trials.parquet",
    "baselines": "B0 and B1 power per domain; columns of baselines.parquet",
    "readings": "load_id, attempt, stream, t_before_ns, t_after_ns, value, unit, run_id, host_id",
    "iterations": "the end of every iteration: load_id, attempt, end_ns, run_id, host_id",
    "doubts": "one row per trial and broken rule: trial_id, cell_id, rule, value, limit, verdict",
    "absent": "one row per trial and absent value: trial_id, cell_id, domain, reason",
    "power": "in watts: load_id, attempt, stream, t_s (from the run's first reading), power_w, host_id",
}
"""Name of each view -> what its rows are."""

_DERIVED: Mapping[str, tuple[str, str]] = {
    "doubts": ("trials", "SELECT trial_id, cell_id, unnest(doubts, recursive := true) FROM trials"),
    "absent": ("trials", "SELECT trial_id, cell_id, unnest(absent, recursive := true) FROM trials"),
    "power": (
        "readings",
        # Each shard of a merged run has a clock of its own.
        """WITH first AS (SELECT run_id, min(t_before_ns) AS begin_ns FROM readings GROUP BY run_id)
        SELECT load_id, attempt, stream, value AS power_w, (t_after_ns - begin_ns) / 1e9 AS t_s, host_id
        FROM readings JOIN first USING (run_id) WHERE unit = 'W'""",
    ),
}
_ENVELOPE = """
WITH own AS (SELECT t_after_ns AS t, value FROM readings WHERE stream = ? AND value IS NOT NULL),
span AS (SELECT min(t) AS low, max(t) AS high FROM own)
SELECT min(t), max(t), min(value), max(value), avg(value), arg_min(value, t), arg_max(value, t), count(*)
FROM own, span GROUP BY (t - low) * ? // (high - low + 1) ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Neighbouring readings of one stream.

    Attributes:
        begin_ns: CLOCK_MONOTONIC of the first, nanoseconds.
        end_ns: Of the last.
        low: The smallest value, in the stream's unit.
        high: The largest.
        mean: Their mean.
        first: The value read first.
        last: The value read last.
        readings: How many.
    """

    begin_ns: int
    end_ns: int
    low: float
    high: float
    mean: float
    first: float
    last: float
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a query found.

    Attributes:
        columns: Their names.
        rows: Their values, as Python's own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class RunViews:
    """A run's views, open for queries; nothing of the run is changed.

    Attributes:
        damaged: One sentence per file that could not be read; its views are then missing.
        merged: Whether the run is joined from shards, each with a clock of its own.
    """

    def __init__(self, run: StoredRun) -> None:
        """Open the views of a run, finished or not.

        Args:
            run: Its folder; trials and baselines come from its log where their files are missing or damaged.
        """
        self.damaged: list[str] = []
        self.merged = bool(run.manifest().shards)
        self._connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
        self._open_files(run)
        self._open_records(run)
        for name, (source, query) in _DERIVED.items():
            if source in self.names:
                self._connection.execute(f"CREATE VIEW {name} AS {query}")

    @property
    def names(self) -> tuple[str, ...]:
        """The views that there are."""
        shown = self._connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        return tuple(sorted(name for (name,) in shown.fetchall()))

    def query(self, sql: str) -> Rows:
        """Run one query.

        Raises:
            ConfigurationError: DuckDB refuses it; names the views there are.
            DamagedResultsError: A file cannot be read.
        """
        try:
            found = self._connection.execute(sql)
            columns = tuple(column[0] for column in found.description or ())
            return Rows(columns=columns, rows=tuple(found.fetchall()))
        except duckdb.Error as err:
            if isinstance(err, duckdb.IOException) or _DAMAGE.search(str(err)):
                raise DamagedResultsError(f"a file of the run cannot be read: {_line(err)}") from err
            raise ConfigurationError(f"{_line(err)}; views: {', '.join(self.names)}") from err

    def streams(self) -> dict[str, str]:
        """Return stream -> unit of all readings; empty where none were kept."""
        if "readings" not in self.names:
            return {}
        return dict(self._of_readings("SELECT DISTINCT stream, unit FROM readings ORDER BY 1"))

    def count_readings(self) -> int:
        """Return how many readings were kept.

        Raises:
            DamagedResultsError: Their file cannot be read to its end.
        """
        return int(self._of_readings("SELECT count(*) FROM readings")[0][0])

    def envelope(self, stream: str, *, bins: int) -> tuple[Bin, ...]:
        """Return a stream's readings in at most `bins` bins of equal length, in order of time.

        Args:
            stream: Which.
            bins: At most so many; stretches without readings have none.

        Raises:
            DamagedResultsError: The file cannot be read to its end.
        """
        rows = self._of_readings(_ENVELOPE, [stream, bins])
        return tuple(Bin(**dict(zip(Bin.__dataclass_fields__, row, strict=True))) for row in rows)

    def _of_readings(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a query of our own: it is right, so what fails is the file."""
        try:
            return self._connection.execute(sql, list(parameters)).fetchall()
        except duckdb.Error as err:
            raise DamagedResultsError(f"readings.parquet cannot be read: {_line(err)}") from err

    def export(self, folder: Path, names: Iterable[str], *, suffix: str) -> tuple[Path, ...]:
        """Write views as files of their own.

        Args:
            folder: Made where it is not there.
            names: Which views.
            suffix: ``csv``, ``json`` or ``parquet``.

        Raises:
            ConfigurationError: The folder cannot be written.
        """
        written = []
        for name in names:
            target = folder / f"{name}.{suffix}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._connection.execute(_copy(name, target, suffix))
            except (duckdb.Error, OSError) as err:
                raise ConfigurationError(f"{target} cannot be written: {_line(err)}") from err
            written.append(target)
        return tuple(written)

    def close(self) -> None:
        """Close the database; nothing is pending."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_files(self, run: StoredRun) -> None:
        folder = run.path
        for kind in (READINGS_KIND, ITERATIONS_KIND):
            files = [str(path) for path in _files(folder, kind)]
            if not files:
                continue
            try:
                found = self._connection.read_parquet(files)
                found.project(_attributed(found.columns, run)).create_view(kind.name)
            except duckdb.Error as err:
                self.damaged.append(f"{folder / kind.name}.parquet cannot be read: {_line(err)}")

    def _open_records(self, run: StoredRun) -> None:
        try:
            trials = run.final_trials()
        except DamagedResultsError as err:
            self.damaged.append(str(err))
            trials = run.trials()
        self.damaged.extend(run.damaged_tables())
        self._register("trials", TRIALS, trials)
        self._register("baselines", BASELINES, run.baselines())

    def _register(self, name: str, schema: pa.Schema, records: Iterable[Trial | Baseline]) -> None:
        table = pa.Table.from_pylist([row_of(record) for record in records], schema=schema)
        self._connection.register(name, table)


def _attributed(columns: Iterable[str], run: StoredRun) -> str:
    """Return what to select so that every record names its run and host; a merged run's records do."""
    if set(ATTRIBUTION) <= set(columns):
        return "*"
    manifest = run.manifest()
    names = (manifest.run_id, str(manifest.host.get("host_id", "")))
    quoted = ["'" + name.replace("'", "''") + "'" for name in names]
    return ", ".join(["*", *(f"{value} AS {name}" for value, name in zip(quoted, ATTRIBUTION, strict=True))])


def _files(folder: Path, kind: Kind) -> Iterator[Path]:
    if kind.merged_in(folder).exists():
        yield kind.merged_in(folder)
    yield from kind.parts_in(folder)


def _copy(name: str, target: Path, suffix: str) -> str:
    quoted = str(target).replace("'", "''")
    return f"COPY {name} TO '{quoted}' (FORMAT {suffix})"


def _line(err: Exception) -> str:
    return " ".join(str(err).split())[:400]
