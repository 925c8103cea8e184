import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenbench.core.progress import Silence
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.fleet.assets import assets_root
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.process import ProcessInstance
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.state import StateFolder
from greenbench.fleet.venv import VenvLauncher

FAKE = Path(__file__).parent / "fake"


def fake_spec(engine: str = "fake") -> RuntimeSpec:
    return RuntimeSpec(
        name="fake",
        engine=engine,
        title="Fake",
        modes={"plain": ("cpu",)},
        precisions=("fp32",),
        devices={"cpu": DeviceBuild(requirements="fake-cpu.lock")},
    )


@pytest.fixture
def state() -> Iterator[StateFolder]:
    # A socket's path must be short: pytest's own temporary folders are not.
    root = Path(tempfile.mkdtemp(prefix="gb-"))
    yield StateFolder.at(root)
    shutil.rmtree(root)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    return make_assets(tmp_path / "assets")


def make_assets(root: Path) -> Path:
    shutil.copytree(FAKE, root / "runtimes")
    shutil.copytree(assets_root() / "protos", root / "protos")
    (root / "docker" / "requirements").mkdir(parents=True)
    (root / "docker" / "requirements" / "fake-cpu.lock").write_text("# nothing\n")
    return root


@pytest.fixture
def settings(state: StateFolder, assets: Path) -> LaunchSettings:
    return LaunchSettings(state=state, assets=assets, environments={"fake": Path(sys.executable)})


@pytest.fixture
def start(settings: LaunchSettings) -> Iterator[Callable[[str], ProcessInstance]]:
    started: list[ProcessInstance] = []

    def begin(engine: str = "fake") -> ProcessInstance:
        launcher = VenvLauncher(settings)
        launcher.build(fake_spec(engine), "cpu", Silence())
        started.append(launcher.start(fake_spec(engine), "cpu"))
        return started[-1]

    yield begin
    for instance in started:
        instance.stop()


@pytest.fixture
def instance(start: Callable[[str], ProcessInstance]) -> ProcessInstance:
    ready = start("fake")
    wait_ready(ready, deadline_s=30)
    return ready


@pytest.fixture
def mortal(instance: ProcessInstance) -> Iterator[RuntimeClient]:
    """A client of a runtime of its own, that it may kill."""
    with RuntimeClient(instance.address, instance=instance) as connected:
        yield connected


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessInstance]:
    """One runtime for all who leave it alive."""
    root = Path(tempfile.mkdtemp(prefix="gb-"))
    launcher = VenvLauncher(
        LaunchSettings(
            state=StateFolder.at(root),
            assets=make_assets(tmp_path_factory.mktemp("standing") / "assets"),
            environments={"fake": Path(sys.executable)},
        )
    )
    launcher.build(fake_spec(), "cpu", Silence())
    with launcher.start(fake_spec(), "cpu") as started:
        wait_ready(started, deadline_s=30)
        yield started
    shutil.rmtree(root)


@pytest.fixture
def client(standing: ProcessInstance) -> Iterator[RuntimeClient]:
    with RuntimeClient(standing.address, instance=standing) as connected:
        connected.load(model="tiny", batch_size=2, mode="plain", device="cpu", threads=1)
        yield connected
