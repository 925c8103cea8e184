"""One run on disk."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from greenbench.core.errors import ConfigurationError
from greenbench.core.reading import Series
from greenbench.core.trial import Baseline, Trial
from greenbench.core.writing import kept_in
from greenbench.results.durable import TEMPORARY_SUFFIX, replacing, sync_folder
from greenbench.results.events import EventLog
from greenbench.results.manifest import SCHEMA_VERSION, Manifest
from greenbench.results.parts import (
    ITERATIONS_KIND,
    READINGS_KIND,
    IterationTable,
    consolidate,
    write_iterations,
    write_readings,
    write_rows,
)
from greenbench.results.rows import row_of
from greenbench.results.runs import MANIFEST, find_run
from greenbench.results.schema import BASELINES, TRIALS
from greenbench.results.seal import RAW, content_of, file_digests, manifest_digest
from greenbench.results.stored import BASELINES_FILE, EVENTS, PARITY_FILE, TRIALS_FILE, StoredRun

PARTS = "parts"
WRITTEN = "manifest_written"
FINISHED, INTERRUPTED = "run_finished", "run_interrupted"
Derive = Callable[[tuple[Trial, ...], tuple[Baseline, ...]], tuple[Trial, ...]]


def _as_they_are(trials: tuple[Trial, ...], _: tuple[Baseline, ...]) -> tuple[Trial, ...]:
    return trials


class RunFolder(StoredRun):
    """A run's folder: the event log is the truth, the Parquet files are made from it and from the parts.

    Open for writing after `create` and `resume`, for reading only after `open`.
    """

    def __init__(self, path: Path, log: EventLog | None) -> None:
        """Take a folder that exists.

        Args:
            path: The folder.
            log: Its event log, open for appending; None for reading only.
        """
        super().__init__(path)
        self._log = log

    @classmethod
    def create(cls, out: Path, run_id: str, manifest: Manifest) -> Self:
        """Make the folder of a new run, open for writing.

        Raises:
            ConfigurationError: The folder is already there.
            GreenbenchError: It cannot be written.
        """
        path = out / run_id
        if path.exists():
            raise ConfigurationError(f"{path} is already there; use --resume {run_id} or another --out")
        with kept_in(path):
            path.mkdir(parents=True)
            sync_folder(out)
        manifest.write(path / MANIFEST)
        folder = cls(path, EventLog(path / EVENTS))
        folder.log(WRITTEN, sha256=manifest_digest(path))
        return folder

    @classmethod
    def open(cls, run: str | Path, out: Path) -> Self:
        """Open a run for reading.

        Args:
            run: Its id or its folder.
            out: Parent of the folders of runs.

        Raises:
            ConfigurationError: There is no such run; names those there are.
        """
        return cls(find_run(run, out), None)

    @classmethod
    def resume(cls, run: str | Path, out: Path) -> Self:
        """Open a run for writing more into it; what a crash tore, a line or a file, is removed.

        Raises:
            ConfigurationError: There is no such run.
            GreenbenchError: It cannot be written.
        """
        path = find_run(run, out)
        log = EventLog(path / EVENTS)
        _remove_torn(path)
        return cls(path, log)

    def update_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, whole or not at all.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        manifest.write(self.path / MANIFEST)
        self.log(WRITTEN, sha256=manifest_digest(self.path))

    def log(self, event: str, **fields: Any) -> None:
        """Append an event; durable on return.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        self._writing().append(event, **fields)

    def start_load(self, load_id: str, *, position: int) -> int:
        """Note that a load begins; return its attempt, from 1, one more than any before."""
        attempt = 1 + max(
            (event["attempt"] for event in self.events("load_started") if event["load_id"] == load_id),
            default=0,
        )
        self.log("load_started", load_id=load_id, attempt=attempt, position=position)
        return attempt

    def finish_load(self, load_id: str, *, attempt: int) -> None:
        """Note that all trials of a load are on disk: a resumed run does not load it again."""
        self.log("load_finished", load_id=load_id, attempt=attempt)

    def add_raw(
        self, load_id: str, *, attempt: int, iterations: IterationTable | None, readings: Iterable[Series]
    ) -> None:
        """Write what was recorded of one load; call before its trials are added. Durable on return.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        self._make_parts()
        label, series = f"{load_id}.a{attempt}", tuple(readings)
        write_readings(READINGS_KIND.part(self.path, label), series, load_id=load_id, attempt=attempt)
        if iterations is not None:
            write_iterations(ITERATIONS_KIND.part(self.path, label), iterations, attempt=attempt)
        self.log(RAW, load_id=load_id, attempt=attempt, content=content_of(series, iterations))

    def add_trial(
        self, trial: Trial, iterations: IterationTable | None = None, readings: Iterable[Series] | None = None
    ) -> None:
        """Keep a trial; it is on disk on return, what was recorded of its load before it.

        Args:
            trial: The row.
            iterations: Of the trial's load; give them with the load's first trial, or call `add_raw`.
            readings: Of the trial's load, likewise.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        if readings is not None or iterations is not None:
            self.add_raw(trial.load_id, attempt=trial.attempt, iterations=iterations, readings=readings or ())
        self.log("trial", trial=row_of(trial))

    def add_baselines(self, baselines: Iterable[Baseline], readings: Iterable[Series] = ()) -> None:
        """Keep baselines, and for those between loads what was recorded. Durable on return.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        series = tuple(readings)
        if series:
            self._make_parts()
            number = 1 + sum(1 for _ in self.events("host_recorded"))
            path = READINGS_KIND.part(self.path, f"host.{number:03d}")
            write_readings(path, series, load_id=None, attempt=number)
            self.log("host_recorded", number=number, content=content_of(series, None))
        host_id = self.manifest().host.get("host_id")
        for baseline in baselines:
            self.log("baseline", baseline=row_of(replace(baseline, host_id=host_id)))

    def add_parity(self, cell: Mapping[str, Any]) -> None:
        """Keep one row of parity.json. Durable on return."""
        self.log("parity", parity=cell)

    def finish(self, *, interrupted: bool = False, derive: Derive = _as_they_are) -> None:
        """Make the files of `interface.md` from the log and the parts; may be called again at any time.

        Args:
            interrupted: Whether loads are left to do.
            derive: Fills in columns that are known only now (those net of the last B0); from stored rows and
                baselines, so that the log stays as it was written.

        Raises:
            GreenbenchError: The disk is full or refuses; log and parts still hold everything.
            DamagedResultsError: A part cannot be read.
        """
        self._writing()
        consolidate(self.path, READINGS_KIND)
        consolidate(self.path, ITERATIONS_KIND)
        trials, baselines = derive(self.trials(), self.baselines()), self.baselines()
        write_rows(self.path / TRIALS_FILE, TRIALS, map(row_of, trials))
        write_rows(self.path / BASELINES_FILE, BASELINES, map(row_of, baselines))
        with replacing(self.path / PARITY_FILE) as file:
            content = {"schema_version": SCHEMA_VERSION, "cells": self.parity()}
            file.write(json.dumps(content, indent=2).encode() + b"\n")
        self._remove_empty_parts()
        self._log_outcome(INTERRUPTED if interrupted else FINISHED)

    def close(self) -> None:
        """Close the event log; nothing is pending."""
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _writing(self) -> EventLog:
        if self._log is None:
            raise ValueError(f"{self.path} is open for reading only")
        return self._log

    def _make_parts(self) -> None:
        self._writing()
        with kept_in(self.path / PARTS):
            (self.path / PARTS).mkdir(exist_ok=True)

    def _remove_empty_parts(self) -> None:
        parts = self.path / PARTS
        if parts.is_dir() and not any(parts.iterdir()):
            parts.rmdir()

    def _log_outcome(self, outcome: str) -> None:
        last, files = None, file_digests(self.path)
        for event in self.events():
            last = event["event"], event.get("files")
        if last != (outcome, files):
            self.log(outcome, files=files)


def _remove_torn(folder: Path) -> None:
    """Remove what a dead process was writing: only the holder of the log may, as a living one writes too."""
    with kept_in(folder):
        for torn in folder.rglob(f"*{TEMPORARY_SUFFIX}"):
            torn.unlink()
