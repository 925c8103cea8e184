"""Reading one run on disk, finished, interrupted or going on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from greenbench.core.errors import DamagedResultsError
from greenbench.core.trial import Baseline, Trial
from greenbench.results.events import Event, read_events
from greenbench.results.manifest import Manifest, read_manifest
from greenbench.results.parts import ITERATIONS_KIND, READINGS_KIND, read_rows, records
from greenbench.results.rows import baseline_of, trial_of
from greenbench.results.runs import MANIFEST

EVENTS, TRIALS_FILE = "events.jsonl", "trials.parquet"
BASELINES_FILE, PARITY_FILE = "baselines.parquet", "parity.json"
_CELL_KEYS = (
    "cell_id", "runtime", "mode", "source", "model", "precision", "batch_size", "sequence_length",
    "weights", "weights_from", "path", "io", "device",
)  # fmt: skip


class StoredRun:
    """A run's folder, for reading: the event log is the truth.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        """Take a folder that exists."""
        self.path = path

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.manifest().run_id

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            DamagedResultsError: It is damaged or of another version.
        """
        return read_manifest(self.path / MANIFEST)

    def events(self, *names: str) -> Iterator[Event]:
        """Read the events of these names, or all, in order.

        Raises:
            DamagedResultsError: The log is damaged; names file and line.
        """
        found = read_events(self.path / EVENTS)
        return (event for event in found if not names or event["event"] in names)

    def trials(self) -> tuple[Trial, ...]:
        """Return every trial of every attempt, in the order in which they ended.

        Raises:
            DamagedResultsError: The log is damaged.
        """
        return tuple(trial_of(_field(event, self.path)) for event in self.events("trial"))

    def final_trials(self) -> tuple[Trial, ...]:
        """Return the trials with the columns that were filled in at the end; as stored before that.

        Raises:
            DamagedResultsError: The log or trials.parquet are damaged.
        """
        stored = self.trials()
        final = tuple(trial_of(row) for row in read_rows(self.path / TRIALS_FILE))
        # A resumed run has more trials than the file of the interrupted one.
        same = [trial.trial_id for trial in final] == [trial.trial_id for trial in stored]
        return final if same else stored

    def baselines(self) -> tuple[Baseline, ...]:
        """Return every baseline, in the order in which they were measured.

        Raises:
            DamagedResultsError: The log is damaged.
        """
        return tuple(baseline_of(_field(event, self.path)) for event in self.events("baseline"))

    def parity(self) -> tuple[dict[str, Any], ...]:
        """Return the newest comparison of every cell that was compared.

        Raises:
            DamagedResultsError: The log is damaged.
        """
        newest = {_compared(cell): cell for cell in (event["parity"] for event in self.events("parity"))}
        return tuple(newest.values())

    def damaged_tables(self) -> tuple[str, ...]:
        """Return a sentence per table that is there and cannot be read, although the log tells what it held.

        These are baselines.parquet and parity.json: nothing else reads them.
        """
        return tuple(filter(None, (_baselines_damage(self.path), _parity_damage(self.path))))

    def finished_loads(self) -> frozenset[str]:
        """Return the load_id of every load that a resumed run need not do again."""
        return frozenset(event["load_id"] for event in self.events("load_finished"))

    def readings(self) -> Iterator[pa.RecordBatch]:
        """Stream the raw readings, of an unfinished run too; columns as in readings.parquet."""
        return records(self.path, READINGS_KIND)

    def iterations(self) -> Iterator[pa.RecordBatch]:
        """Stream the iterations, of an unfinished run too; columns as in iterations.parquet."""
        return records(self.path, ITERATIONS_KIND)


def _baselines_damage(folder: Path) -> str:
    try:
        for _ in read_rows(folder / BASELINES_FILE):
            pass
    except DamagedResultsError as err:
        return f"{err}; its rows are told from {EVENTS}"
    return ""


def _parity_damage(folder: Path) -> str:
    file = folder / PARITY_FILE
    try:
        whole = not file.exists() or isinstance(json.loads(file.read_bytes())["cells"], list)
    except (OSError, ValueError, TypeError, KeyError):
        whole = False
    return "" if whole else f"{file} cannot be read: it is damaged; its rows are told from {EVENTS}"


def _field(event: Event, path: Path) -> Mapping[str, Any]:
    row = event.get(event["event"])
    if not isinstance(row, Mapping):
        raise DamagedResultsError(f"{path / EVENTS} is damaged: a {event['event']} event without its row")
    return row


def _compared(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(cell.get(key) for key in _CELL_KEYS)
