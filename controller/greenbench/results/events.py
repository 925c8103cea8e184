"""The event log: append-only, one JSON object per line, the truth from which a run resumes.

Every line names the SHA-256 of the line before it: one changed, taken out or put in breaks the chain there.
"""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.core.writing import kept_in
from greenbench.results.durable import sync_folder

Event = Mapping[str, Any]
_SURROGATE = b"\\ud"
CHAIN = "chain"
"""Field of an event: SHA-256 of the whole line before it, of nothing for the first."""


def line_digest(line: bytes) -> str:
    """Return what the next line of a log calls this one, its newline included."""
    return hashlib.sha256(line).hexdigest()


def utc_now() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC)


def plain(value: Any) -> Any:
    """Return a value as JSON takes it: records and NumPy scalars unwrapped, NaN and infinity as None."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    # A NumPy scalar or array becomes Python's own; anything else is a path or another name.
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


class EventLog:
    """An event log open for appending; each line is durable when `append` returns.

    A last line that a crash tore is cut off on opening: its event had not been promised.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open or create the log.

        Args:
            path: Its file.
            clock: CLOCK_MONOTONIC, nanoseconds.
            now: The time of day, in UTC.

        Raises:
            ConfigurationError: Another process is writing it.
            GreenbenchError: It cannot be created or written.
        """
        self.path = path
        self._clock = clock
        self._now = now
        with kept_in(path):
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._hold()
            sync_folder(path.parent)
            self._cut_torn_line()
            self._last = line_digest(self._last_line())

    def append(self, event: str, **fields: Any) -> None:
        """Write one event and wait until it is on disk.

        Args:
            event: What happened.
            **fields: Its values; NaN and infinity are written as null.

        Raises:
            GreenbenchError: The disk is full or refuses; the log then ends with the event before.
        """
        moment = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = {"event": event, "t_ns": self._clock(), "utc": moment, CHAIN: self._last, **plain(fields)}
        line = json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with kept_in(self.path):
            self._write(line)
        self._last = line_digest(line)

    def close(self) -> None:
        """Close the file; nothing is pending."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            # One write; only where it was cut short is there a second, which meets the reason: a full disk.
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        end = size
        while end and os.pread(self._file, 1, end - 1) != b"\n":
            end -= 1
        if end < size:
            os.ftruncate(self._file, end)
            os.fsync(self._file)

    def _hold(self) -> None:
        """Hold the log alone: the kernel lets go with the process, so that a dead writer is none."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self.close()
            raise ConfigurationError(
                f"{self.path.parent} is being written by another process; wait for its end"
            ) from err

    def _last_line(self) -> bytes:
        end = os.fstat(self._file).st_size
        begin = max(0, end - 1)
        while begin and os.pread(self._file, 1, begin - 1) != b"\n":
            begin -= 1
        return os.pread(self._file, end - begin, begin)


def is_written(path: Path) -> bool:
    """Return whether a process holds this log open for writing: a running run, and no dead one."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_events(path: Path) -> Iterator[Event]:
    """Read a log's events in order; a last line without its newline was torn and is passed over.

    Args:
        path: The log; it may be growing.

    Raises:
        DamagedResultsError: The file is not there, or a line is no event; names file and line.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _event(line, path, number)
    except OSError as err:
        raise DamagedResultsError(f"{path} cannot be read: {err.strerror}") from err


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line)
    except ValueError as err:
        raise DamagedResultsError(f"{path} line {number} is damaged: it is not JSON") from err
    if not isinstance(event, dict) or "event" not in event:
        raise DamagedResultsError(f"{path} line {number} is damaged: it is not an event")
    if _SURROGATE in line.lower() and not _is_text(event):
        raise DamagedResultsError(f"{path} line {number} is damaged: it holds half a character")
    return event


def _is_text(event: Event) -> bool:
    """Tell whether every text can be written: JSON can spell half a character, which no table can hold."""
    try:
        json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
