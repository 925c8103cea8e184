"""A Docker Engine of the campaign's own, to be killed and started again without touching the host's."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException

START_S = 60.0
STOP_S = 60.0


class OwnEngine:
    """A second engine: folders, socket, bridge and network apart from the first one's. Needs root."""

    def __init__(self, root: Path) -> None:
        """Start it and wait until it answers."""
        self._root = root
        self._program = _program()
        self._process = self._started()

    @property
    def host(self) -> str:
        """What DOCKER_HOST says."""
        return f"unix://{self._root}/sock"

    def take(self, tag: str) -> None:
        """Give it an image of the host's engine."""
        saved = subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE)
        load = ["docker", "--host", self.host, "load", "--quiet"]
        subprocess.run(load, stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL)
        if saved.wait():
            raise SystemExit(f"the host's engine has no image {tag}: greenbench up")

    def restart(self, how: signal.Signals) -> None:
        """End it, killed or in an orderly way, and start it again over what it left."""
        self._process.send_signal(how)
        self._process.wait(STOP_S)
        self._process = self._started()

    def stop(self) -> None:
        """End it and what it started."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for process in psutil.process_iter(["pid", "cmdline"]):
            if str(self._root) in " ".join(process.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    process.kill()
        # What a killed engine had mounted is mounted still.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted((one for one in mounts if one.startswith(str(self._root))), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False)

    def _started(self) -> subprocess.Popen[bytes]:
        root = self._root
        path = os.pathsep.join((str(self._program.parent), os.environ["PATH"]))
        places = ("--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid")
        # No network of its own is needed: runtimes have none, and images come from the first engine.
        network = ("--bridge", "none", "--iptables=false", "--ip6tables=false")
        with (root / "log").open("ab") as log:
            process = subprocess.Popen(
                ["unshare", "--net", self._program, *places, "--host", self.host, *network],
                env=os.environ | {"PATH": path},
                stdout=log,
                stderr=log,
            )
        give_up_s = time.monotonic() + START_S
        while time.monotonic() < give_up_s and process.poll() is None:
            with suppress(DockerException, OSError):
                client = docker.DockerClient(base_url=self.host, timeout=5)
                client.ping()
                client.close()
                return process
            time.sleep(0.1)
        raise SystemExit(f"the campaign's engine does not start; see {root / 'log'}")


def _program() -> Path:
    running = (
        one.info["exe"] for one in psutil.process_iter(["name", "exe"]) if one.info["name"] == "dockerd"
    )
    found = shutil.which("dockerd") or next((exe for exe in running if exe), None)
    if found is None or os.getuid() != 0:
        raise SystemExit("a second engine needs dockerd and root")
    return Path(found)


@contextmanager
def own_engine(*tags: str) -> Iterator[OwnEngine]:
    """Yield an engine that has these images; DOCKER_HOST names it inside the block."""
    root = Path(tempfile.mkdtemp(prefix="gb-engine-"))
    engine = OwnEngine(root)
    before = os.environ.get("DOCKER_HOST")
    try:
        for tag in tags:
            engine.take(tag)
        os.environ["DOCKER_HOST"] = engine.host
        yield engine
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        engine.stop()
        shutil.rmtree(root, ignore_errors=True)
