"""Images and containers made for these tests from the product's own Dockerfile and compose file.

The runtime inside is the fake one of tests/fleet: added, as a user would add one, by a service of a few
lines and a lock file.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import yaml

from greenbench.core.errors import EngineUnavailableError
from greenbench.core.progress import Silence
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.fleet import docker_engine
from greenbench.fleet.assets import assets_root
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.container import ContainerInstance
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, LaunchSettings
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.state import StateFolder

FAKE = Path(__file__).parents[1] / "fleet" / "fake" / "greenbench_runtime"
LOCK = "numpy>=1.26,<3\ngrpcio==1.76.0\ngrpcio-health-checking==1.76.0\nprotobuf>=6.31.1,<7\n"
MEMORY_LIMIT_BYTES = 512 * 1024 * 1024


def spec(name: str) -> RuntimeSpec:
    return RuntimeSpec(
        name=name,
        engine=name,
        title=name,
        modes={"plain": ("cpu",)},
        precisions=("fp32",),
        devices={"cpu": DeviceBuild(requirements=f"{name}-cpu.lock")},
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker_engine.Engine]:
    try:
        found = docker_engine.connect()
    except EngineUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a Docker Engine: {error}")
        pytest.skip(str(error))
    yield found
    found.client.close()


@pytest.fixture(scope="session")
def make_assets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The product's files with other runtimes in them."""

    def make(**locks: str) -> Path:
        root, product = tmp_path_factory.mktemp("assets"), assets_root()
        shutil.copytree(product / "docker", root / "docker")
        shutil.copytree(product / "protos", root / "protos")
        shutil.copytree(FAKE, root / "runtimes" / "greenbench_runtime")
        compose = yaml.safe_load((product / "compose.yml").read_text())
        text = yaml.safe_dump(compose["services"]["onnxruntime"])
        compose["services"] = {name: yaml.safe_load(text.replace("onnxruntime", name)) for name in locks}
        (root / "compose.yml").write_text(yaml.safe_dump(compose))
        (root / "docker" / "requirements").mkdir(exist_ok=True)
        for name, lock in locks.items():
            (root / "docker" / "requirements" / f"{name}-cpu.lock").write_text(lock)
        return root

    return make


@pytest.fixture(scope="session")
def settings(make_assets: Callable[..., Path]) -> Iterator[LaunchSettings]:
    root = Path(tempfile.mkdtemp(prefix="gb-"))
    # Others may have to pass through it to what is theirs; what is closed is the run folder.
    root.chmod(0o755)
    yield LaunchSettings(
        state=StateFolder.at(root),
        assets=make_assets(fake=LOCK),
        base_image=os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE),
        memory_limit_bytes=MEMORY_LIMIT_BYTES,
    )
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def launcher(settings: LaunchSettings, engine: docker_engine.Engine) -> Iterator[DockerLauncher]:
    built = DockerLauncher(settings, engine)
    try:
        built.build(spec("fake"), "cpu", Silence())
        yield built
    finally:
        built.down(images=False)
        for image in engine.client.images.list(filters={"label": "greenbench.runtime=fake"}):
            engine.client.images.remove(str(image.id), force=True)


@pytest.fixture
def instance(launcher: DockerLauncher) -> Iterator[ContainerInstance]:
    with launcher.start(spec("fake"), "cpu") as started:
        wait_ready(started, deadline_s=60)
        yield started


@pytest.fixture
def raw(instance: ContainerInstance, engine: docker_engine.Engine) -> docker.models.containers.Container:
    return engine.client.containers.get(instance.container_id)
