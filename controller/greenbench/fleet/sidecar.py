"""The root sidecar: a sealed container that reads RAPL's counters where only root may.

The controller listens on a socket in a folder that is closed to others, hands the container that socket and
asks over it. So root's side needs no capability, and nobody else can ask.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock

from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Mount

from greenbench.core.errors import BuildError, FleetError, MeterError, NotBuiltError
from greenbench.core.progress import Observer
from greenbench.fleet.build_inputs import tree_hash
from greenbench.fleet.docker_engine import Engine
from greenbench.fleet.exchange import ImageAbsentError, ImageName
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.logged_command import run_logged
from greenbench.fleet.registry import FINGERPRINT, ImageExchange
from greenbench.fleet.state import StateFolder

NAME = "rapl-sidecar"
POWERCAP_TREE = Path("/sys/devices/virtual/powercap")
"""Mounted at another path in the container: Docker masks this one in every container."""

CONNECT_S = 20.0
ANSWER_S = 1.0
MEMORY_LIMIT = "64m"
PROCESS_LIMIT = 8


class RaplReader:
    """Asks a connected sidecar for counters, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        """Take a connection that the sidecar has made."""
        connection.settimeout(ANSWER_S)
        self._lock = Lock()
        self._talk = connection.makefile("rw", encoding="utf-8", newline="\n")

    def read(self, zone: str) -> str:
        """Return ``energy_uj`` of a zone as its file holds it.

        Args:
            zone: Name of its folder, such as ``intel-rapl:0``.

        Raises:
            MeterError: The sidecar refused, ended or did not answer in time.
        """
        with self._lock:
            try:
                self._talk.write(f"{zone}\n")
                self._talk.flush()
                said = self._talk.readline().strip()
            except OSError as err:
                raise MeterError(f"the RAPL sidecar does not answer: {err}") from err
        if not said:
            raise MeterError("the RAPL sidecar has ended")
        if said.startswith("!"):
            raise MeterError(f"the RAPL sidecar refuses {said[1:]}")
        return said

    def close(self) -> None:
        """Hang up, which ends the sidecar."""
        with suppress(OSError):
            self._talk.close()


class RaplSidecar:
    """Builds the sidecar's image and runs it for the length of a run."""

    def __init__(self, settings: LaunchSettings, engine: Engine, *, tree: Path = POWERCAP_TREE) -> None:
        """Prepare; nothing is built or started yet.

        Args:
            settings: State folder, assets and base image.
            engine: One that answers.
            tree: The powercap tree to mount; another one in tests.
        """
        self._settings = settings
        self._state: StateFolder = settings.state
        self._base_image = settings.base_image
        self._folder = settings.assets / "docker" / "sidecar"
        self._engine = engine
        self._tree = tree

    @property
    def tag(self) -> str:
        """Its image's name."""
        return f"greenbench-rapl-sidecar:{self._state.identity}"

    @property
    def _fingerprint(self) -> str:
        return tree_hash((self._folder,), seed=self._base_image)

    def build(self, observer: Observer) -> None:
        """Build or pull the image, or find that it stands; push it where that is asked.

        A registry that has none leaves it to be built here, which needs the base image alone, and says so.

        Raises:
            BuildError: Docker could not build it; names the log.
            FleetError: The registry refused or does not answer.
        """
        self._state.create()
        exchange = ImageExchange(self._engine.client, self._settings)
        name = ImageName(runtime=NAME, device="cpu", fingerprint=self._fingerprint)
        if not self.built() and not self._pulled(exchange, name, observer):
            self._build(observer)
        if self._settings.exchange.push:
            exchange.push(self._engine.client.images.get(self.tag), name)

    def _pulled(self, exchange: ImageExchange, name: ImageName, observer: Observer) -> bool:
        if not self._settings.exchange.pull:
            return False
        try:
            exchange.pull(exchange.wanted(name), name, tag=self.tag)
        except ImageAbsentError as absent:
            observer.note(f"the RAPL sidecar is built here: {absent}")
            return False
        self._keep_record()
        return True

    def _build(self, observer: Observer) -> None:
        observer.step("building the image of the RAPL sidecar")
        log_path = self._state.logs / f"build-{NAME}.log"
        arguments = (f"BASE_IMAGE={self._base_image}", f"FINGERPRINT={self._fingerprint}")
        flags = [part for argument in arguments for part in ("--build-arg", argument)]
        outcome = run_logged(
            ["docker", "build", "--network", "none", *flags, "-t", self.tag, str(self._folder)],
            log_path=log_path,
            environment={**os.environ, "BUILDKIT_PROGRESS": "plain", "DOCKER_BUILDKIT": "1"},
            heard=lambda _: None,
        )
        if outcome.status:
            raise BuildError(
                f"building the RAPL sidecar's image failed (log: {log_path})", log_path=str(log_path)
            )
        self._keep_record()

    def _keep_record(self) -> None:
        identity = str(self._engine.client.images.get(self.tag).id)
        # `down --images` removes what such records name.
        record = self._state.builds / f"docker-{NAME}.json"
        record.write_text(json.dumps({"identity": identity}) + "\n", encoding="utf-8")

    def built(self) -> bool:
        """Tell whether an image of these files on this base stands."""
        try:
            image = self._engine.client.images.get(self.tag)
        except ImageNotFound:
            return False
        return image.labels.get(FINGERPRINT) == self._fingerprint

    @contextmanager
    def reading(self) -> Iterator[RaplReader]:
        """Start the sidecar and yield its reader; at the end both are gone.

        Raises:
            NotBuiltError: `greenbench up` has not built it.
            FleetError: It could not be started or did not connect; holds its last words.
        """
        if not self.built():
            raise NotBuiltError(
                "the RAPL sidecar has no image of these files; run `greenbench up --launcher docker`"
            )
        self._remove_left()
        with ExitStack() as stack:
            door = stack.enter_context(self._listening())
            container = _started(self._create, stack)
            connection = stack.enter_context(_connection(door, container))
            reader = RaplReader(connection)
            stack.callback(reader.close)
            yield reader

    def _remove_left(self) -> None:
        # A controller that was killed leaves its sidecar ended, not removed.
        labels = [f"greenbench.state={self._state.identity}", f"greenbench.sidecar={NAME}"]
        for container in self._engine.client.containers.list(all=True, filters={"label": labels}):
            container.remove(force=True)

    @property
    def _socket(self) -> Path:
        return self._state.socket(NAME).with_name("rapl.sock")

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        self._state.prepare_run(NAME)
        self._socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(str(self._socket))
            # Root without capabilities is a stranger here; on the host the folder keeps others out.
            self._socket.chmod(0o666)
            door.listen(1)
            yield door
        self._socket.unlink(missing_ok=True)

    def _create(self) -> Container:
        return self._engine.client.containers.create(
            self.tag,
            user="0:0",
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            pids_limit=PROCESS_LIMIT,
            mem_limit=MEMORY_LIMIT,
            memswap_limit=MEMORY_LIMIT,
            mounts=[
                Mount("/powercap", str(self._tree), type="bind", read_only=True),
                Mount("/run/rapl.sock", str(self._socket), type="bind"),
            ],
            labels={"greenbench.state": self._state.identity, "greenbench.sidecar": NAME},
        )


def _started(create: Callable[[], Container], stack: ExitStack) -> Container:
    try:
        container = create()
        stack.callback(_remove, container)
        container.start()
    except APIError as err:
        raise FleetError(f"the engine cannot start the RAPL sidecar: {err.explanation}") from err
    return container


def _connection(door: socket.socket, container: Container) -> socket.socket:
    door.settimeout(0.2)
    deadline_s = time.monotonic() + CONNECT_S
    while time.monotonic() < deadline_s:
        with suppress(TimeoutError):
            return door.accept()[0]
        container.reload()
        if container.status == "exited":
            break
    words = container.logs(tail=3).decode(errors="replace").split("\n")
    raise FleetError(f"the RAPL sidecar did not connect: {' '.join(filter(None, words)) or container.status}")


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True)
