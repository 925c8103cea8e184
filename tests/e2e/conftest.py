"""The command line as a user runs it: a process, its exit status, its two streams."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
GREENBENCH = [sys.executable, "-m", "greenbench.cli"]

# One short round trip: two runtimes, the smallest model, windows of a second.
SHORT = (
    "--device",
    "cpu",
    "--only",
    "model=mobilenet_v2",
    "--set",
    "protocol.window_s=1",
    "--set",
    "protocol.warmup_cap_s=2",
    "--set",
    "protocol.baseline_host_s=1",
    "--set",
    "protocol.baseline_loaded_s=1",
    # A shared machine is not steady over a second; what is tested here is everything but that.
    "--set",
    "validity.not_steady.invalid=1000.0",
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


def state_root() -> Path:
    return Path(os.environ.get("GREENBENCH_STATE", REPOSITORY / ".state"))


@pytest.fixture
def greenbench(tmp_path) -> Callable[..., Ended]:
    """Run a command in an empty folder, under the state folder of this clone."""

    def run(*arguments: str, timeout: float = 600, **environment: str) -> Ended:
        done = subprocess.run(
            [*GREENBENCH, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env=os.environ | {"GREENBENCH_STATE": str(state_root()), "COLUMNS": "140"} | environment,
            check=False,
        )
        return Ended(status=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def short() -> tuple[str, ...]:
    return SHORT


@pytest.fixture
def started(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in an empty folder and go on; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*GREENBENCH, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"GREENBENCH_STATE": str(state_root())} | environment,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def run_folder(tmp_path) -> Callable[[], Path]:
    """Return the one run's folder in ``results``."""

    def find() -> Path:
        (folder,) = (tmp_path / "results").iterdir()
        return folder

    return find


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip without a Docker Engine; with CI=true that is a failure."""
    found = (
        shutil.which("docker")
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("container tests are required in CI and no Docker Engine answers")
    pytest.skip("no Docker Engine answers")


@pytest.fixture(scope="session")
def built_venv() -> Path:
    """The environments of `greenbench up --launcher venv`; made where they are missing."""
    _up("venv")
    return state_root()


@pytest.fixture(scope="session")
def built_docker(engine) -> Path:
    """The images of `greenbench up --launcher docker`; made where they are missing."""
    _up("docker")
    return state_root()


def _up(launcher: str) -> None:
    done = subprocess.run(
        [*GREENBENCH, "up", "--launcher", launcher, "--device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GREENBENCH_STATE": str(state_root())},
    )
    assert done.returncode == 0, done.stderr[-4000:]
