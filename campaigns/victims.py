"""The runtimes of a campaign's runs: found from outside, killed, counted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import docker
import psutil
from docker.errors import APIError
from docker.models.containers import Container

from campaigns.own_engine import client_of
from greenbench.fleet.state import StateFolder


class Victims(Protocol):
    """Runtimes of one state folder."""

    def kill(self) -> bool:
        """Kill the one that runs with SIGKILL; False where none runs."""

    def alive(self) -> list[str]:
        """Name those that run."""

    def made(self) -> set[str]:
        """Name what was made to run in: a run adds none."""


class Processes:
    """Under the launcher ``venv``."""

    def __init__(self, state: Path) -> None:
        """Look into a state folder."""
        self._state = state

    def kill(self) -> bool:
        """See `Victims`."""
        for note in (self._state / "run").glob("*/process.json"):
            try:
                psutil.Process(int(json.loads(note.read_text())["pid"])).kill()
            except (OSError, ValueError, psutil.Error):
                continue
            return True
        return False

    def alive(self) -> list[str]:
        """See `Victims`."""
        return [str(process.pid) for process in self._servers()]

    def made(self) -> set[str]:
        """See `Victims`."""
        return set()

    def _servers(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            ours = any(str(self._state) in word for word in line)
            if ours and any("greenbench_runtime" in word for word in line):
                yield process


class Containers:
    """Under the launcher ``docker``."""

    def __init__(self, state: Path, host: str | None) -> None:
        """Ask an engine for the containers of a state folder.

        Args:
            state: The folder.
            host: The engine's address; None for the one that the environment names.
        """
        self._label = f"greenbench.state={StateFolder.at(state).identity}"
        self._host = host

    def kill(self) -> bool:
        """See `Victims`."""
        with client_of(self._host) as client:
            for container in self._of(client, running=True):
                try:
                    container.kill("KILL")
                except APIError:  # it ended in between
                    continue
                return True
        return False

    def alive(self) -> list[str]:
        """See `Victims`."""
        with client_of(self._host) as client:
            return [str(container.name) for container in self._of(client, running=True)]

    def made(self) -> set[str]:
        """See `Victims`."""
        with client_of(self._host) as client:
            return {str(container.id) for container in self._of(client, running=False)}

    def _of(self, client: docker.DockerClient, *, running: bool) -> list[Container]:
        return client.containers.list(all=not running, filters={"label": self._label})
