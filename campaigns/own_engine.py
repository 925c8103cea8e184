"""A Docker Engine of a campaign's own: started, killed, restarted and ended without touching the machine's.

It shares nothing with the first one: folders, socket, containerd and network namespace are its own.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.errors import DockerException

START_S = 60.0
STOP_S = 60.0


def engine_program() -> Path | None:
    """Return the program of an engine: on the path, or as it runs here; None where there is none."""
    if found := shutil.which("dockerd"):
        return Path(found)
    running = (
        one.info["exe"] for one in psutil.process_iter(["name", "exe"]) if one.info["name"] == "dockerd"
    )
    return next((Path(exe) for exe in running if exe), None)


class OwnEngine:
    """An engine that is started, killed and started again on the same folders."""

    def __init__(self, program: Path, root: Path) -> None:
        """Prepare; nothing runs yet.

        Args:
            program: ``dockerd``; containerd is looked for beside it and on the path.
            root: A folder of its own.
        """
        self._program = program
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self.host = f"unix://{root}/sock"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: It does not; with its last lines.
        """
        root = self._root
        path = os.pathsep.join((str(self._program.parent), os.environ["PATH"]))
        places = ("--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid")
        with (root / "log").open("ab") as log:
            # Without a network namespace of its own it would remove the first one's bridge.
            self._process = subprocess.Popen(
                ["unshare", "--net", self._program, *places, "--host", self.host,
                 "--bridge", "none", "--iptables=false", "--ip6tables=false"],
                env=os.environ | {"PATH": path}, stdout=log, stderr=log,
            )  # fmt: skip
        give_up_s = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError(f"the campaign's own engine does not start: {self._said()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it with SIGKILL; its containers live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """End it in order, with its containers; SIGKILL where it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def left(self) -> list[psutil.Process]:
        """Return what still runs of it: containerd and its shims name the folder."""
        return [
            one
            for one in psutil.process_iter(["cmdline"])
            if any(str(self._root) in word for word in one.info["cmdline"] or ()) and one.pid != os.getpid()
        ]

    def _answers(self) -> bool:
        if not (self._root / "sock").exists():
            return False
        try:
            with client_of(self.host) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    def _said(self) -> str:
        return " | ".join((self._root / "log").read_text(errors="replace").splitlines()[-5:])


@contextmanager
def client_of(host: str | None) -> Iterator[docker.DockerClient]:
    """Yield a connection to an engine; None for the one that the environment names."""
    client = docker.DockerClient(base_url=host, timeout=120) if host else docker.from_env(timeout=120)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def own_engine(program: Path, images: Sequence[str]) -> Iterator[OwnEngine]:
    """Yield a running engine with copies of the first one's images; at the end nothing is left of it."""
    root = Path(tempfile.mkdtemp(prefix="gb-engine-"))
    engine = OwnEngine(program, root)
    try:
        engine.start()
        for image in images:
            with client_of(None) as first, client_of(engine.host) as second:
                saved: Any = first.images.get(image).save(named=True)  # streamed, which load takes too
                second.images.load(saved)
        yield engine
    finally:
        engine.end()
        for one in engine.left():
            one.kill()
        for mount in reversed([part.mountpoint for part in psutil.disk_partitions(all=True)]):
            if mount.startswith(f"{root}/"):
                subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(root)
