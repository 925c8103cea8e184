"""Builds every CUDA image for real, starts it sealed, and looks for shared libraries that nothing provides.

``make cuda-images`` (``RUNTIMES="pytorch jax"`` for some, ``KEEP=1`` to keep the images). No GPU is needed:
what is looked at is a server that answers ``Describe``, and libraries.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from docker.types import Mount

from greenbench.core.errors import GreenbenchError
from greenbench.core.progress import Silence
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet import docker_engine
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog, select
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.compose import DockerLauncher, container_owner
from greenbench.fleet.container import ContainerInstance
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, Build, LaunchSettings
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.state import StateFolder

RESULT = Path("docs/results/cuda-images.md")
SCRIPT = Path(__file__).with_name("inside_image.py")
DRIVERS = ("libcuda.so.1", "libnvidia-ml.so.1")
"""The driver's own, which the NVIDIA Container Toolkit mounts."""

OPTIONAL = {
    "libnvinfer": "TensorRT",
    "libnvonnxparser": "TensorRT",
    "libmlx5": "InfiniBand",
    "libibverbs": "InfiniBand",
    "librdmacm": "InfiniBand",
    "libmpi": "several hosts (NVSHMEM)",
    "libpmix": "several hosts (NVSHMEM)",
    "liboshmem": "several hosts (NVSHMEM)",
    "libfabric": "several hosts (NVSHMEM)",
    "libucp": "several hosts (NVSHMEM)",
    "libucs": "several hosts (NVSHMEM)",
}
"""What only an optional part needs, by the beginning of its name; no cell of greenbench uses the part."""

COMPILES = """
import torch
from greenbench_runtime.networks.torch_compile import CompiledNetwork
network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
given = torch.randn(2, 3, 16, 16)
with torch.inference_mode():
    assert torch.allclose(CompiledNetwork(network)(given), network(given), atol=1e-5)
import shutil; assert shutil.which("gcc"), "triton needs a C compiler"
"""


TEXT = """\
# CUDA images

`make cuda-images`, {date}, on a host without a GPU: each image built, its server started sealed and asked to
describe itself, every shared library of its environment looked up.

| runtime | image | built in | server says | libraries | nothing provides | compile | |
| --- | ---: | ---: | --- | ---: | --- | --- | --- |
{rows}

`libcuda.so.1` and `libnvidia-ml.so.1` are the driver's own: the NVIDIA Container Toolkit mounts them. What
only an optional part needs is named with the part. `compile` is `torch.compile` in the sealed container, on
the CPU: it shows the compiler and scratch that may execute. Kernels for a GPU are shown on a GPU only.
"""


class _Steps(Silence):
    def step(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text[:120]}")


@dataclass(slots=True, kw_only=True)
class Found:
    """What was found of one image.

    Attributes:
        name: The runtime.
        build: The image; None where it could not be built.
        size_b: Its size, bytes.
        described: What the server said of itself: versions and modes.
        files: ELF files looked at.
        missing: Libraries that nothing provides, with the files that need them.
        compiles: Whether ``torch.compile`` works in the sealed container; None where there is no such mode.
        error: What went wrong, one line.
    """

    name: str
    build: Build | None = None
    size_b: int = 0
    described: Mapping[str, str] = field(default_factory=dict)
    files: int = 0
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    compiles: bool | None = None
    error: str = ""

    @property
    def wanting(self) -> list[str]:
        """Libraries that are neither the driver's nor an optional part's."""
        return [name for name in self.missing if name not in DRIVERS and not _part(name)]

    @property
    def passed(self) -> bool:
        """Whether all of it is as it should be."""
        return not self.error and not self.wanting and self.compiles is not False


def _part(name: str) -> str:
    return next((part for beginning, part in OPTIONAL.items() if name.startswith(beginning)), "")


def main() -> int:
    """Check the images and keep what was found."""
    catalogue = read_catalog(assets_root() / "runtimes" / "catalog.toml")
    specs = [spec for spec in select(catalogue, sys.argv[1:]) if "cuda" in spec.devices]
    with tempfile.TemporaryDirectory(prefix="greenbench-cuda-") as folder:
        state = StateFolder.at(Path(folder))
        state.create()
        settings = LaunchSettings(
            state=state,
            assets=assets_root(),
            base_image=os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE),
        )
        engine = docker_engine.connect()
        found = [_check(spec, settings, engine) for spec in specs]
        engine.client.close()
    text = _told(found)
    sys.stdout.write(text)
    if not sys.argv[1:]:
        RESULT.write_text(text, encoding="utf-8")
    return int(not all(one.passed for one in found))


def _check(spec: RuntimeSpec, settings: LaunchSettings, engine: docker_engine.Engine) -> Found:
    found, launcher = Found(name=spec.name), DockerLauncher(settings, engine)
    try:
        found.build = launcher.build(spec, "cuda", _Steps())
        found.size_b = int(engine.client.images.get(found.build.identity).attrs["Size"])
        _describe(spec, found, settings, engine)
        _look_inside(spec, found, engine)
    except (GreenbenchError, OSError, ValueError) as err:
        found.error = " ".join(str(err).split())
    finally:
        launcher.down(images=not os.environ.get("KEEP"))
    return found


def _describe(
    spec: RuntimeSpec, found: Found, settings: LaunchSettings, engine: docker_engine.Engine
) -> None:
    """Start the server sealed as compose.yml seals it, but for the GPU."""
    state = settings.state
    user, group = container_owner(rootless=engine.rootless)
    state.prepare_run(spec.name, owner=(user, group) if os.getuid() == 0 else None)
    assert found.build is not None
    container = engine.client.containers.create(
        found.build.identity,
        ["--engine", spec.engine, "--device", "cuda"],
        mounts=[
            Mount("/run/greenbench", str(state.run(spec.name)), type="bind"),
            Mount("/models", str(state.models), type="bind", read_only=True),
        ],
        **_sealed(engine),
    )
    try:
        with ContainerInstance(container, address=state.address(spec.name), build=found.build) as instance:
            wait_ready(instance)
            with RuntimeClient(instance.address, instance=instance) as client:
                says = client.describe()
        found.described = dict(says.versions) | {"modes": ", ".join(says.modes)}
    finally:
        container.remove(force=True)


def _look_inside(spec: RuntimeSpec, found: Found, engine: docker_engine.Engine) -> None:
    said = json.loads(_ran(found, engine, [spec.engine], script=SCRIPT.read_text()).splitlines()[-1])
    found.files, found.missing = said["files"], said["missing"]
    if "compile" in spec.modes:
        try:
            _ran(found, engine, [], script=COMPILES)
        except ValueError as err:
            found.compiles, found.error = False, str(err)
        else:
            found.compiles = True


def _ran(found: Found, engine: docker_engine.Engine, arguments: list[str], *, script: str) -> str:
    assert found.build is not None
    container: Container = engine.client.containers.run(
        found.build.identity,
        arguments,
        entrypoint=["/opt/greenbench/bin/python", "-c", script],
        detach=True,
        **_sealed(engine),
    )
    try:
        status = container.wait()["StatusCode"]
        out = container.logs(stdout=True, stderr=False).decode()
        if status:
            last = (container.logs().decode().strip().splitlines() or ["it said nothing"])[-1]
            raise ValueError(f"exit status {status}: {last}")
        return out
    finally:
        container.remove(force=True)


def _sealed(engine: docker_engine.Engine) -> dict[str, Any]:
    user, group = container_owner(rootless=engine.rootless)
    return {
        "network_mode": "none",
        "read_only": True,
        "user": f"{user}:{group}",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=4g,mode=1777"},  # noqa: S108 - the container's
    }


def _told(found: Sequence[Found]) -> str:
    rows = "\n".join(_row(one) for one in found)
    return TEXT.format(date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", rows=rows)


def _row(one: Found) -> str:
    said = ", ".join(f"{name} {version}" for name, version in one.described.items())
    missing = (
        ", ".join(f"`{name}`{f' ({_part(name)})' if _part(name) else ''}" for name in one.missing) or "-"
    )
    compiles = {None: "-", True: "works", False: "fails"}[one.compiles]
    built = f"{one.build.elapsed_s:.0f} s" if one.build else "-"
    wrong = one.error or (f"needs {', '.join(one.wanting)}" if one.wanting else "")
    verdict = "ok" if one.passed else f"**{wrong}**"
    cells = (one.name, f"{one.size_b / 1e9:.1f} GB", built, said, one.files, missing, compiles, verdict)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main())
