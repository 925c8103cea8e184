"""One started server process, and what a dead controller left of one."""

import contextlib
import json
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from greenbench.core.errors import FleetError
from greenbench.core.writing import kept_in
from greenbench.fleet.launcher import LOG_TAIL_LINES, Build, ExitState, LaunchSettings
from greenbench.fleet.state import StateFolder

STOP_GRACE_S = 10.0
# What a runtime may know of the caller's environment: where programs and libraries lie, and the language.
# Thread counts, allocators and framework flags are the load's business, not the shell's.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "CONDA_PREFIX")


def runtime_environment(settings: LaunchSettings, *, device: str) -> Mapping[str, str]:
    """Return the whole environment of a server process.

    Args:
        settings: Names the files and the GPU.
        device: ``cpu`` hides every GPU; ``cuda`` shows the one that the settings name.

    Raises:
        FleetError: ``cuda``, and the settings name no GPU.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    assets = settings.assets
    return kept | {
        "PYTHONPATH": f"{assets / 'runtimes'}{os.pathsep}{assets / 'protos'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": settings.need_gpu() if device == "cuda" else "",
    }


class ProcessInstance:
    """A runtime in a process group of its own; see `launcher.Instance`."""

    containerised = False

    def __init__(
        self, command: Sequence[str], *, build: Build, state: StateFolder, environment: Mapping[str, str]
    ) -> None:
        """Start a process.

        Args:
            command: Program and arguments.
            build: What it is started from.
            state: Where its log and its note go.
            environment: Its whole environment.

        Raises:
            FleetError: The program cannot be started.
            GreenbenchError: The state folder's disk is full: no load is to blame.
        """
        self.build = build
        self.runtime = build.runtime
        self.address = state.address(build.runtime)
        self._note = _note_path(state, build.runtime)
        self._log_path = state.logs / f"runtime-{build.runtime}.log"
        with kept_in(self._log_path):
            log = self._log_path.open("wb")
        try:
            with log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    cwd=state.run(build.runtime),
                    start_new_session=True,
                )
        except OSError as error:
            raise FleetError(f"{build.runtime} cannot be started: {command[0]}: {error.strerror}") from error
        try:
            with kept_in(self._note):
                self._note.write_text(json.dumps(_identity(self._process.pid)), encoding="utf-8")
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The server's process id, which is its group's too."""
        return self._process.pid

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> tuple[str, ...]:
        """Return its last lines of output."""
        try:
            with self._log_path.open(encoding="utf-8", errors="replace") as log:
                return tuple(line.rstrip("\n") for line in deque(log, maxlen=lines))
        except OSError:
            return ()

    def exit_state(self) -> ExitState | None:
        """Return how it ended; None while it lives. Without a cgroup nobody says that memory was why."""
        status = self._process.poll()
        if status is None:
            return None
        return ExitState(status=128 - status if status < 0 else status)

    def stop(self) -> None:
        """Stop the group and wait until it is gone; once more is harmless."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.poll() is None:
                _signal_group(self.pid, signal.SIGTERM)
                self._process.wait(STOP_GRACE_S)
        _signal_group(self.pid, signal.SIGKILL)
        self._process.wait()
        self._note.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def reap_leftover(state: StateFolder, runtime: str) -> bool:
    """End the server that a killed controller left in this state folder; say whether there was one.

    The note holds the start time too, so that another process with its number is never touched.
    """
    note = _note_path(state, runtime)
    try:
        left = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    alive = bool(_identity(int(left["pid"])) == left)
    if alive:
        process = psutil.Process(int(left["pid"]))
        _signal_group(process.pid, signal.SIGTERM)
        _, stubborn = psutil.wait_procs([process], timeout=STOP_GRACE_S)
        for one in stubborn:
            _signal_group(one.pid, signal.SIGKILL)
    note.unlink(missing_ok=True)
    return alive


def _note_path(state: StateFolder, runtime: str) -> Path:
    return state.run(runtime) / "process.json"


def _identity(pid: int) -> Mapping[str, float]:
    try:
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "created": 0.0}


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
