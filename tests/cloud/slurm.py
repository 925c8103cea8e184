"""A Slurm of one node on loopback: daemons of this test's own, with their own ports, key and folders."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "scancel")
PACKAGES = "Slurm (Debian: apt-get install slurm-wlm munge)"
# Debian keeps daemons where a user's PATH does not look.
SEARCHED = f"{os.environ['PATH']}:/usr/sbin"
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} Gres=gpu:1
PartitionName=all Nodes=here Default=YES MaxTime=INFINITE State=UP
"""


def is_here() -> bool:
    """Whether all its programs are installed."""
    return all(shutil.which(name, path=SEARCHED) for name in NEEDED)


@contextmanager
def one_node() -> Iterator[dict[str, str]]:
    """Start the daemons; yield the environment in which `sbatch` speaks to them."""
    with ExitStack() as held:
        # Short: the path of a socket has at most 107 bytes.
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="gbslurm-")))
        environment = os.environ | {"PATH": SEARCHED, "SLURM_CONF": str(_configured(folder))}
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge", *munge]
        held.enter_context(_running(folder, environment, munged))
        _wait("munged", folder, (folder / "munge").exists)
        held.enter_context(_running(folder, environment, ["slurmctld", "-D"]))
        held.enter_context(_running(folder, environment, ["slurmd", "-D", "-N", "here"]))
        _wait("slurmd", folder, lambda: _said(environment, "sinfo", "--noheader", "--format=%T") == "idle")
        yield environment
        _said(environment, "scancel", f"--user={os.getuid()}")


def _configured(folder: Path) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    file = folder / "slurm.conf"
    file.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user=_said(dict(os.environ), "id", "--user", "--name"),
            folder=folder,
            controller=ports[0],
            node=ports[1],
            cpus=os.cpu_count(),
        )
    )
    # A GPU as Slurm counts it; no job of these tests opens it.
    (folder / "gres.conf").write_text("NodeName=here Name=gpu File=/dev/null\n")
    return file


@contextmanager
def _running(folder: Path, environment: dict[str, str], command: list[str]) -> Iterator[None]:
    with (folder / f"{command[0]}.said").open("wb") as said:
        process = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _said(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _wait(name: str, folder: Path, ready, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            told = "\n".join(file.read_text(errors="replace")[-2000:] for file in folder.glob("*.said"))
            raise TimeoutError(f"{name} is not ready after {seconds:.0f} s:\n{told}")
        time.sleep(0.1)
