"""One host's side: it starts the controller as an ordinary process and passes on what that writes."""

import contextlib
import ctypes
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenbench.results.stored import EVENTS

_FOLDER = "greenbench-fleet-"
_LOCK = "lock"
_PR_SET_PDEATHSIG = 1
_SAID_AT_MOST = 2000
_STOP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What is run on a host.

    Attributes:
        card: Prints the host's card; gets the suite's file, the launcher and the device.
        controller: `greenbench`; gets ``run`` and its options.
    """

    card: tuple[str, ...] = (sys.executable, "-m", "greenbench.cluster.host_program")
    controller: tuple[str, ...] = (sys.executable, "-m", "greenbench.cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a host passes on.

    Attributes:
        lines: Lines of the event log since the last time, each a whole event.
        status: Exit status of the controller; None while it measures.
        said: The end of what it said, for an error.
    """

    lines: tuple[str, ...]
    status: int | None
    said: str


class HostAgent:
    """Lives on a host. Does nothing while a window runs but read the log's new lines when asked."""

    def __init__(self, programs: Programs) -> None:
        """Take the programs and remove what agents that were killed left here; nothing is started."""
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: _Folder | None = None
        self._offset = 0
        _remove_abandoned()

    def card(self, suite: str, launcher: str, device: str) -> dict[str, Any]:
        """Return the host's card as plain values; `suite` is TOML."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "suite.toml"
            file.write_text(suite, encoding="utf-8")
            command = [*self._programs.card, str(file), launcher, device]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            return {"problem": f"its card could not be made: {done.stderr.strip()[-_SAID_AT_MOST:]}"}
        card: dict[str, Any] = json.loads(done.stdout)
        return card

    def start(self, suite: str, options: Sequence[str]) -> None:
        """Start measuring one shard; what is left of the one before is removed.

        Args:
            suite: TOML.
            options: Of `greenbench run`, without the suite and ``--out``.
        """
        self.stop()
        if self._folder:
            self._folder.remove()
        self._folder, self._offset = _Folder(), 0
        folder = self._folder.path
        file = folder / "suite.toml"
        file.write_text(suite, encoding="utf-8")
        command = [*self._programs.controller, "run", str(file), "--out", str(folder / "out"), *options]
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                command,
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=(self._folder.lock,),  # a controller that outlives its agent still writes there
                # A controller whose host was given up must not measure on, nor hold the state folder.
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - Ray calls from the only thread that forks
            )

    def stop(self) -> None:
        """End a controller that still measures; it keeps what is finished."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_STOP_S)

    def hear(self) -> Heard:
        """Return what is new."""
        status = self._process.poll() if self._process else None
        said = (self._begun.path / "said").read_text(errors="replace")[-_SAID_AT_MOST:] if status else ""
        return Heard(lines=self._new_lines(), status=status, said=" ".join(said.split()))

    def collect(self) -> bytes:
        """Return the run's folder as a tar archive; it is not kept here, so that hosts do not fill up."""
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as archive:
            archive.add(self._run(), arcname=".")
        self._begun.remove()
        return held.getvalue()

    @property
    def _begun(self) -> "_Folder":
        if self._folder is None:
            raise RuntimeError("no shard was started here")
        return self._folder

    def _run(self) -> Path:
        (log,) = (self._begun.path / "out").glob(f"*/{EVENTS}")
        return log.parent

    def _new_lines(self) -> tuple[str, ...]:
        logs = list((self._begun.path / "out").glob(f"*/{EVENTS}"))
        if not logs:
            return ()
        with logs[0].open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        return tuple(whole.decode().splitlines())


class _Folder:
    """A folder for one shard, locked for as long as its agent or its controller lives.

    Attributes:
        path: Where it is.
        lock: Descriptor of the lock.
    """

    def __init__(self) -> None:
        """Make the folder; the lock is held before it has the name by which others look for it."""
        self.path = Path(tempfile.mkdtemp(prefix=_FOLDER))
        new = self.path / f"{_LOCK}.new"
        self.lock = os.open(new, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._open = True
        with contextlib.suppress(
            OSError
        ):  # a file system without locks: then nobody removes what is abandoned
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            new.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Let the lock go and remove the folder, as far as it can be; a second time does nothing."""
        if self._open:
            self._open = False
            os.close(self.lock)  # first: over NFS a folder with an open file is not empty
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders of this user whose agent and controller have both ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):  # another's, in use, or just removed
            if folder.lstat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
