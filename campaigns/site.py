"""Where a campaign runs: results, state folder, launcher and engine, and what can be done to them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaigns.own_engine import OwnEngine
from campaigns.victims import Containers, Processes, Victims
from greenbench.bench.context import remembered_base_image
from greenbench.core.progress import Silence
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.state import StateFolder

RUNTIME = "onnxruntime"
IMAGE = f"greenbench/{RUNTIME}:cpu"
_LARGE = ("models", "venvs")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where runs take place.

    Attributes:
        out: Parent of the runs' folders.
        state: The state folder.
        launcher: ``venv`` or ``docker``.
        engine: An engine that may be killed; None where there is none.
        small: Whether `out` and `state` are small disks that may be filled.
    """

    out: Path
    state: Path
    launcher: str
    engine: OwnEngine | None = None
    small: bool = False

    @property
    def host(self) -> str | None:
        """The engine's address; None for the one that the environment names."""
        return self.engine.host if self.engine else None

    @property
    def victims(self) -> Victims:
        """The runtimes that runs start here."""
        if self.launcher == "docker":
            return Containers(self.state, self.host)
        return Processes(self.state)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a run here is given."""
        engine = {"DOCKER_HOST": self.host} if self.host else {}
        return os.environ | engine | {"GREENBENCH_STATE": str(self.state)}

    def command(self, *words: str) -> list[str]:
        """Return a command line of greenbench."""
        return [sys.executable, "-m", "greenbench.cli", *words]

    def can(self, kind: str) -> bool:
        """Tell whether a kind of fault can be done here."""
        if kind.startswith("full"):
            return self.small
        return self.engine is not None if kind.startswith("engine") else True


@contextmanager
def small_disks(folder: Path, state: Path) -> Iterator[tuple[Path, Path]]:
    """Mount two small disks, for results and for a state folder with what `up` made; needs root.

    Args:
        folder: Empty; the disks lie in it.
        state: What `up` made; its models and environments are shown in the new one, the rest is copied.

    Yields:
        The folder for results and the state folder.
    """
    out, small = folder / "out", folder / "state"
    with ExitStack() as stack:
        # A run asks for a GiB at its state folder before it begins.
        for disk, size in ((out, "32m"), (small, "1200m")):
            disk.mkdir()
            stack.enter_context(_mounted(disk, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"))
        (small / "builds").mkdir()
        for file in filter(Path.is_file, (*state.glob("*.json"), *(state / "builds").iterdir())):
            shutil.copy(file, small / file.relative_to(state))
        for name in filter(lambda name: (state / name).is_dir(), _LARGE):
            (small / name).mkdir()
            stack.enter_context(_mounted(small / name, "--bind", str(state / name)))
        yield out, small


@contextmanager
def _mounted(place: Path, *what: str) -> Iterator[None]:
    subprocess.run(["mount", *what, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def containers_made(site: Site) -> Iterator[None]:
    """Create the runtime's container of this site, from the image that stands; at the end it is removed."""
    state = StateFolder.at(site.state)
    settings = LaunchSettings(state=state, assets=assets_root(), base_image=remembered_base_image(state))
    catalogue = read_catalog(assets_root() / "runtimes" / "catalog.toml")
    if site.host:
        os.environ["DOCKER_HOST"] = site.host  # which the compose command reads
    DockerLauncher.connect(settings).build(catalogue[RUNTIME], "cpu", Silence())
    try:
        yield
    finally:
        DockerLauncher.connect(settings).down(images=False)
