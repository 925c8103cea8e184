"""What the compose files ask the NVIDIA toolkit for: a real engine, and a stand-in for the toolkit's hook.

The engine is a second one with a folder, socket and network namespace of its own: an engine looks for the
hook only when it starts, and only there does it find the stand-in.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
import yaml

from greenbench.core.errors import EngineUnavailableError, FleetError
from greenbench.fleet.assets import assets_root
from greenbench.fleet.compose_tool import ComposeTool, ImageOrder
from greenbench.fleet.container import ContainerInstance
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, Build, LaunchSettings
from greenbench.fleet.state import StateFolder

RUNTIMES = tuple(yaml.safe_load((assets_root() / "compose.gpu.yml").read_text())["services"])
GPUS = tuple(f"GPU-{number:08x}-1111-2222-3333-444444444444" for number in (7, 1, 4))
START_S = 60
# The hook is handed the container's state; the request is in the environment of the bundle's process.
HOOK = """#!/usr/bin/python3
import json, pathlib, sys
state = json.load(sys.stdin)
config = json.loads(pathlib.Path(state["bundle"], "config.json").read_text())
asked = dict(pair.split("=", 1) for pair in config["process"]["env"] if pair.startswith("NVIDIA_"))
asked["arguments"] = sys.argv[1:]
pathlib.Path({records!r}, state["id"]).write_text(json.dumps(asked))
gpus = {gpus!r}
for gpu in asked["NVIDIA_VISIBLE_DEVICES"].split(","):
    if gpu not in gpus and gpu not in map(str, range(len(gpus))):
        sys.exit(f"nvidia-container-cli: device error: {{gpu}}: unknown device")
"""


@dataclass(frozen=True, kw_only=True)
class Toolkit:
    """An engine that knows the stand-in, and what the stand-in was asked."""

    client: docker.DockerClient
    host: str
    records: Path

    def asked(self, container: Any) -> dict[str, Any]:
        return json.loads((self.records / container.id).read_text())


def engine_program() -> Path:
    """The program of an engine: on the path, or as it runs here."""
    found = shutil.which("dockerd")
    running = (p.info["exe"] for p in psutil.process_iter(["name", "exe"]) if p.info["name"] == "dockerd")
    path = found or next((exe for exe in running if exe), None)
    if path is None or os.getuid() != 0:
        reason = "a second engine needs root" if path else "there is no dockerd to start a second time"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a second engine: {reason}")
        pytest.skip(reason)
    return Path(path)


def start_engine(program: Path, root: Path, *, hooks: Path) -> subprocess.Popen[bytes]:
    """Start an engine that shares nothing with the first: it would remove the first one's bridge."""
    path = os.pathsep.join((str(hooks), str(program.parent), os.environ["PATH"]))
    places = ("--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid")
    with (root / "log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", "--net", program, *places, "--host", f"unix://{root}/sock",
             "--bridge", "none", "--iptables=false", "--ip6tables=false"],
            env=os.environ | {"PATH": path}, stdout=log, stderr=log,
        )  # fmt: skip


def wait_engine(process: subprocess.Popen[bytes], root: Path) -> docker.DockerClient:
    give_up_s = time.monotonic() + START_S
    while not (root / "sock").exists() and process.poll() is None and time.monotonic() < give_up_s:
        time.sleep(0.1)
    said = "\n".join((root / "log").read_text(errors="replace").splitlines()[-5:])
    assert (root / "sock").exists(), f"the second engine does not start: {said}"
    client = docker.DockerClient(base_url=f"unix://{root}/sock", timeout=120)
    assert client.ping()
    return client


@pytest.fixture(scope="module")
def engine_root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="gb-engine-"))
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def toolkit(engine, engine_root: Path) -> Iterator[Toolkit]:
    program, hooks, records = engine_program(), engine_root / "hooks", engine_root / "records"
    for folder in (hooks, records):
        folder.mkdir()
    hook = hooks / "nvidia-container-runtime-hook"
    hook.write_text(HOOK.format(records=str(records), gpus=GPUS))
    hook.chmod(0o755)
    process = start_engine(program, engine_root, hooks=hooks)
    try:
        client = wait_engine(process, engine_root)
        make_images(engine.client, client)
        yield Toolkit(client=client, host=f"unix://{engine_root}/sock", records=records)
        for container in client.containers.list(all=True):
            container.remove(force=True)
        client.close()
    finally:
        process.terminate()
        process.wait(60)


def make_images(first: docker.DockerClient, second: docker.DockerClient) -> None:
    """Give the second engine an image of each runtime's name that only sleeps."""
    base = os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE)
    (image,) = second.images.load(first.images.get(base).save())
    sleeper = second.containers.create(image.id, entrypoint=["/bin/sh", "-c", "exec sleep 600"])
    for runtime in RUNTIMES:
        sleeper.commit(f"greenbench/{runtime}", "cuda")
    sleeper.remove()


@pytest.fixture
def make(toolkit, tmp_path, monkeypatch):
    """Create a runtime's container by the product's own compose files."""
    monkeypatch.setenv("DOCKER_HOST", toolkit.host)
    state = StateFolder.at(tmp_path)
    state.create()

    def create(runtime: str, gpu: str):
        settings = LaunchSettings(state=state, assets=assets_root(), gpu_uuid=gpu)
        order = ImageOrder(
            runtime=runtime, device="cuda", lock=tmp_path, requirements_sha256="0", fingerprint="0"
        )
        ComposeTool(settings, owner=(65532, 65532)).create(order, log_path=tmp_path / "create.log")
        labels = [f"greenbench.state={state.identity}", f"greenbench.runtime={runtime}"]
        (container,) = toolkit.client.containers.list(all=True, filters={"label": labels})
        return container

    yield create
    for container in toolkit.client.containers.list(all=True):
        container.remove(force=True)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("gpu", [GPUS[1], "2"])
def test_the_toolkit_is_asked_for_that_gpu_and_no_other(make, toolkit, runtime, gpu):
    container = make(runtime, gpu)
    container.start()
    asked = toolkit.asked(container)
    assert asked["NVIDIA_VISIBLE_DEVICES"] == gpu
    assert set(asked["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility"}
    assert asked["arguments"] == ["prestart"]


def test_another_gpu_makes_another_container(make, toolkit):
    first = make(RUNTIMES[0], GPUS[0])
    second = make(RUNTIMES[0], GPUS[2])
    second.start()
    assert first.id != second.id
    assert toolkit.asked(second)["NVIDIA_VISIBLE_DEVICES"] == GPUS[2]


def test_a_gpu_opens_nothing_else_of_the_seal(make):
    container = make(RUNTIMES[0], GPUS[0])
    host = container.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert not host["Devices"]
    assert [request["DeviceIDs"] for request in host["DeviceRequests"]] == [[GPUS[0]]]
    assert container.attrs["Config"]["Cmd"] == ["--engine", RUNTIMES[0], "--device", "cuda"]


def test_a_gpu_that_the_toolkit_does_not_know_is_one_line(make):
    container = make(RUNTIMES[0], "GPU-unknown")
    with pytest.raises(FleetError, match=r"GPU-unknown: unknown device") as caught:
        ContainerInstance(container, address="unix:/none", build=build_of(RUNTIMES[0]))
    assert "\n" not in str(caught.value)


def test_an_engine_that_found_no_toolkit_names_the_remedy(engine):
    base = os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE)
    request = docker.types.DeviceRequest(driver="nvidia", device_ids=["0"], capabilities=[["gpu"]])
    if "nvidia" in engine.client.info()["Runtimes"] or shutil.which("nvidia-container-runtime-hook"):
        pytest.skip("this engine has the toolkit")
    container = engine.client.containers.create(
        base, ["true"], device_requests=[request], network_mode="none"
    )
    try:
        with pytest.raises(EngineUnavailableError, match="install the NVIDIA Container Toolkit"):
            ContainerInstance(container, address="unix:/none", build=build_of(RUNTIMES[0]))
    finally:
        container.remove(force=True)


def build_of(runtime: str) -> Build:
    return Build(
        runtime=runtime, device="cuda", launcher="docker", identity="x", requirements_sha256="0",
        python="3.11", packages={}, log_path=Path("none"), reused=True, elapsed_s=0.0,
    )  # fmt: skip
