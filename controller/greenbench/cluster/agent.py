"""One host's side: it starts the controller as an ordinary process and passes on what that writes."""

import ctypes
import io
import json
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
        """Take the programs; nothing is started."""
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._offset = 0

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
        """Start measuring one shard.

        Args:
            suite: TOML.
            options: Of `greenbench run`, without the suite and ``--out``.
        """
        self.stop()
        self._folder, self._offset = Path(tempfile.mkdtemp(prefix="greenbench-fleet-")), 0
        file = self._folder / "suite.toml"
        file.write_text(suite, encoding="utf-8")
        command = [*self._programs.controller, "run", str(file), "--out", str(self._folder / "out"), *options]
        with (self._folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                command,
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
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
        said = (self._folder / "said").read_text(errors="replace")[-_SAID_AT_MOST:] if status else ""
        return Heard(lines=self._new_lines(), status=status, said=" ".join(said.split()))

    def collect(self) -> bytes:
        """Return the run's folder as a tar archive; it is not kept here, so that hosts do not fill up."""
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as archive:
            archive.add(self._run(), arcname=".")
        shutil.rmtree(self._folder)
        return held.getvalue()

    def _run(self) -> Path:
        (log,) = (self._folder / "out").glob(f"*/{EVENTS}")
        return log.parent

    def _new_lines(self) -> tuple[str, ...]:
        logs = list((self._folder / "out").glob(f"*/{EVENTS}"))
        if not logs:
            return ()
        with logs[0].open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        return tuple(whole.decode().splitlines())


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
