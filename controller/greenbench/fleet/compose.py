"""The ``docker`` launcher: an image and a sealed container per runtime."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container
from docker.models.images import Image

from greenbench.core.errors import BuildError, FleetError, NotBuiltError
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet import docker_engine
from greenbench.fleet.build_inputs import file_hash, tree_hash, write_build_inputs
from greenbench.fleet.catalog import device_build
from greenbench.fleet.compose_tool import ComposeTool, ImageOrder
from greenbench.fleet.container import STOP_GRACE_S, ContainerInstance
from greenbench.fleet.docker_engine import Engine
from greenbench.fleet.inventory import (
    INVENTORY_SCRIPT,
    Inventory,
    check_device,
    load_build,
    parse_inventory,
    save_build,
)
from greenbench.fleet.launcher import Build, LaunchSettings
from greenbench.fleet.pip_settings import read_pip_settings
from greenbench.fleet.registry import FINGERPRINT, ImageExchange

UNPRIVILEGED = 65532
"""User and group of containers where the caller is root: the usual number of ``nonroot``."""


def container_owner(*, rootless: bool) -> tuple[int, int]:
    """Return user and group, as the container numbers them, that own the socket's folder outside."""
    if rootless:
        return 0, 0  # which the engine maps to the calling user
    if os.getuid() == 0:
        return UNPRIVILEGED, UNPRIVILEGED
    return os.getuid(), os.getgid()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """An image that stands now: what of it was done here, and how a registry calls it."""

    image: Image
    reused: bool
    reference: str | None = None
    pulled: bool = False
    notes: tuple[str, ...] = ()


class DockerLauncher:
    """Compose builds and creates; the Docker SDK starts, watches and stops. See `launcher.Launcher`."""

    name = "docker"

    def __init__(self, settings: LaunchSettings, engine: Engine) -> None:
        """Use an engine that answers; see `connect`."""
        self._settings = settings
        self._state = settings.state
        self._client = engine.client
        self._owner = container_owner(rootless=engine.rootless)
        self._compose = ComposeTool(settings, owner=self._owner)
        self._exchange = ImageExchange(engine.client, settings)

    @classmethod
    def connect(cls, settings: LaunchSettings) -> "DockerLauncher":
        """Return a launcher on this host's engine.

        Raises:
            EngineUnavailableError: None answers; with the remedy.
        """
        return cls(settings, docker_engine.connect())

    def build(self, runtime: RuntimeSpec, device: str, observer: Observer) -> Build:
        """Build or pull the image and create the container, or find that they stand."""
        begun_s = time.monotonic()
        self._state.create()
        order = self._order(runtime, device)
        made = (
            self._pulled(order, observer)
            if self._settings.exchange.pull
            else self._standing(order) or self._built_here(runtime, order, observer)
        )
        self._create(order, observer)
        build = self._facts(order, made, elapsed_s=time.monotonic() - begun_s)
        save_build(build, self._record(order))
        if self._settings.exchange.push:
            observer.step(f"pushing the image of {order.runtime}")
            build = replace(build, reference=self._exchange.push(made.image, order.name))
            save_build(build, self._record(order))
        return build

    def built(self, runtime: RuntimeSpec, device: str) -> Build | None:
        """Return the facts of an image of these files whose container stands; else None."""
        order = self._order(runtime, device)
        image = self._image(order)
        if image is None or self._container(order, image) is None:
            return None
        kept = load_build(self._record(order), identity=str(image.id))
        return replace(kept, fingerprint=order.fingerprint) if kept else None

    def start(self, runtime: RuntimeSpec, device: str) -> ContainerInstance:
        """Start the container that `build` created, from the image that it built."""
        order = self._order(runtime, device)
        build, image = self.built(runtime, device), self._image(order)
        container = self._container(order, image) if image else None
        if build is None or container is None:
            raise NotBuiltError(
                f"{runtime.name} has no container for {device} of these files; "
                f"run `greenbench up {runtime.family} --launcher docker --device {device}`"
            )
        if container.status == "running":  # left by a controller that was killed
            container.stop(timeout=STOP_GRACE_S)
        self._state.prepare_run(runtime.name, owner=self._host_owner())
        return ContainerInstance(container, address=self._state.address(runtime.name), build=build)

    def end_leftovers(self) -> tuple[str, ...]:
        """Stop containers of this state folder that run; name their runtimes."""
        left = [
            container for container in self._containers("greenbench.runtime") if container.status == "running"
        ]
        for container in left:
            container.stop(timeout=STOP_GRACE_S)
        return tuple(container.labels["greenbench.runtime"] for container in left)

    def down(self, *, images: bool) -> tuple[str, ...]:
        """Remove this state folder's containers and, if asked, its images and superseded ones."""
        said: list[str] = []
        for container in self._containers():
            container.remove(force=True)
            said.append(f"removed container {container.name}")
        shutil.rmtree(self._state.root / "run", ignore_errors=True)
        return (*said, *self._remove_images()) if images else tuple(said)

    def _order(self, runtime: RuntimeSpec, device: str) -> ImageOrder:
        assets = self._settings.assets
        lock = assets / "docker" / "requirements" / device_build(runtime, device).requirements
        contents = (
            lock,
            assets / "docker" / "Dockerfile",
            assets / "compose.yml",  # which holds build arguments, and how containers are sealed
            assets / "compose.gpu.yml",
            assets / "runtimes" / "greenbench_runtime",
            assets / "protos" / "greenbench_wire",
        )
        return ImageOrder(
            runtime=runtime.name,
            device=device,
            lock=lock,
            requirements_sha256=file_hash(lock),
            fingerprint=tree_hash(contents, seed=f"{self._settings.base_image} {runtime.name} {device}"),
        )

    def _image(self, order: ImageOrder) -> Image | None:
        try:
            image = self._client.images.get(order.tag)
        except ImageNotFound:
            return None
        return image if image.labels.get(FINGERPRINT) == order.fingerprint else None

    def _standing(self, order: ImageOrder) -> _Made | None:
        image = self._image(order)
        if image is None:
            return None
        kept = load_build(self._record(order), identity=str(image.id))
        if kept is None:
            return _Made(image=image, reused=True)
        return _Made(image=image, reused=True, reference=kept.reference, pulled=kept.pulled)

    def _pulled(self, order: ImageOrder, observer: Observer) -> _Made:
        wanted = self._exchange.wanted(order.name)
        standing = self._standing(order)
        if standing is not None and standing.reference == wanted:
            return standing
        observer.step(f"pulling {wanted}")
        image = self._exchange.pull(wanted, order.name, tag=order.tag)
        return _Made(image=image, reused=False, reference=wanted, pulled=True)

    def _built_here(self, runtime: RuntimeSpec, order: ImageOrder, observer: Observer) -> _Made:
        notes = self._build_image(runtime, order, observer)
        return _Made(image=self._client.images.get(order.tag), reused=False, notes=notes)

    def _build_image(self, runtime: RuntimeSpec, order: ImageOrder, observer: Observer) -> tuple[str, ...]:
        pip = read_pip_settings()
        inputs = write_build_inputs(
            pip,
            folder=self._state.builds / f"{order.runtime}-{order.device}.inputs",
            lock=order.lock,
            extra_index_url=device_build(runtime, order.device).extra_index_url,
            device=order.device,
        )
        log_path = self._state.logs / f"build-{order.runtime}-{order.device}.log"
        observer.step(f"building the image of {order.runtime} for {order.device}")
        try:
            self._compose.build(
                order,
                inputs,
                log_path=log_path,
                heard=lambda line: observer.step(f"{order.runtime}: {line[:160]}"),
            )
        finally:
            inputs.configuration.unlink()  # it may hold credentials
        handed = (f"pip settings handed to the build: {text}" for text in pip.handed_over)
        kept = (f"pip settings not handed to the build: {text}" for text in pip.not_handed)
        return (*handed, *kept)

    def _create(self, order: ImageOrder, observer: Observer) -> None:
        observer.step(f"creating the container of {order.runtime}")
        self._state.prepare_run(order.runtime, owner=self._host_owner())
        self._compose.create(order, log_path=self._state.logs / f"create-{order.runtime}.log")

    def _facts(self, order: ImageOrder, made: _Made, *, elapsed_s: float) -> Build:
        image = made.image
        kept = load_build(self._record(order), identity=str(image.id))
        held = Inventory(python=kept.python, packages=kept.packages) if kept else self._inventory(image)
        try:
            check_device(held, order.device, source=f"the image of {order.runtime}")
        except BuildError:
            self._client.images.remove(order.tag, force=True)  # or the next `up` would find it standing
            raise
        return Build(
            runtime=order.runtime,
            device=order.device,
            launcher=self.name,
            identity=str(image.id),
            requirements_sha256=order.requirements_sha256,
            python=held.python,
            packages=held.packages,
            log_path=None if made.pulled else self._state.logs / f"build-{order.runtime}-{order.device}.log",
            reused=made.reused,
            elapsed_s=elapsed_s,
            notes=made.notes,
            reference=made.reference,
            fingerprint=order.fingerprint,
        )

    def _inventory(self, image: Image) -> Inventory:
        text = self._client.containers.run(
            str(image.id),
            entrypoint=["/opt/greenbench/bin/python", "-c", INVENTORY_SCRIPT],
            network_mode="none",
            read_only=True,
            remove=True,
        )
        return parse_inventory(text.decode(), source=f"image {image.id}")

    def _container(self, order: ImageOrder, image: Image) -> Container | None:
        for container in self._containers(f"greenbench.runtime={order.runtime}"):
            same_device = container.labels.get("greenbench.device") == order.device
            if same_device and container.attrs["Image"] == image.id:
                return container
        return None

    def _containers(self, *labels: str) -> Iterator[Container]:
        wanted = [f"greenbench.state={self._state.identity}", *labels]
        try:
            yield from self._client.containers.list(all=True, filters={"label": wanted})
        except APIError as error:
            raise FleetError(f"the Docker Engine cannot list containers: {error.explanation}") from error

    def _remove_images(self) -> Iterator[str]:
        for record in sorted(self._state.builds.glob("docker-*.json")):
            yield self._remove_image(json.loads(record.read_text(encoding="utf-8"))["identity"])
            record.unlink()
        superseded = {"label": FINGERPRINT, "dangling": True}
        for image in self._client.images.list(filters=superseded):
            yield self._remove_image(str(image.id))

    def _remove_image(self, identity: str) -> str:
        try:
            image = self._client.images.get(identity)
            name = image.tags[0] if image.tags else str(image.short_id)
            if users := self._client.containers.list(all=True, filters={"ancestor": identity}):
                return f"kept image {name}: container {users[0].name} is made from it"
            # One name after another: by its id an image of two names, a registry's too, is not removed.
            for own in (*image.tags, *(image.attrs.get("RepoDigests") or ())):
                with suppress(ImageNotFound):
                    self._client.images.remove(own)
            with suppress(ImageNotFound):
                self._client.images.remove(identity)
        except ImageNotFound:
            return f"image {identity[:19]} was gone already"
        except APIError as error:
            return f"kept image {identity[:19]}: {error.explanation}"
        return f"removed image {name}"

    def _host_owner(self) -> tuple[int, int] | None:
        # Elsewhere the caller makes the folder, and is whom the container runs as.
        return self._owner if os.getuid() == 0 else None

    def _record(self, order: ImageOrder) -> Path:
        return self._state.builds / f"docker-{order.runtime}-{order.device}.json"
