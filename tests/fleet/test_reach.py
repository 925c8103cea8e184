"""What another user of the same host can reach: tried as that user, by a process with its uid."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil

from greenbench.fleet.client import RuntimeClient

NOBODY = 65534

ATTACK = """
import os, socket, sys
os.setgroups([]); os.setgid({user}); os.setuid({user})
found = []
target = sys.argv[1]
try:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(target)
    found.append("connected")
except OSError as error:
    found.append(type(error).__name__)
folder = os.path.dirname(target)
for attempt, place in ((os.listdir, folder), (os.stat, target), (os.unlink, target)):
    try:
        attempt(place)
        found.append("done")
    except OSError as error:
        found.append(type(error).__name__)
print(os.getuid(), *found)
"""
REFUSED = ["PermissionError"] * 4


def as_nobody(path: Path) -> list[str]:
    """What connecting to a socket, listing its folder, asking for it and removing it came to."""
    program = ["-c", ATTACK.format(user=NOBODY), str(path)]
    # Where the tests run as another user than root, sudo is asked; a host without it cannot say, and fails.
    # -I and /: the other user need not be able to read this folder.
    python = [sys._base_executable, "-I"]
    command = python if os.getuid() == 0 else ["sudo", "-n", *python]
    ended = subprocess.run([*command, *program], capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, f"no process of another user could be started: {ended.stderr}"
    user, *found = ended.stdout.split()
    assert user == str(NOBODY)
    return found


def test_another_user_cannot_connect_list_ask_or_remove(standing):
    path = Path(standing.address.removeprefix("unix:"))
    path.parents[2].chmod(0o755)  # so that what refuses is the run folder, not pytest's own
    assert as_nobody(path) == REFUSED
    assert path.is_socket()


def test_the_attack_works_on_a_socket_that_is_open_to_all(standing):
    path = Path(standing.address.removeprefix("unix:"))
    path.parents[2].chmod(0o755)
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path)}
    try:
        path.parent.chmod(0o755)
        path.chmod(0o777)
        assert as_nobody(path)[:3] == ["connected", "done", "done"]
    finally:
        for place, mode in modes.items():
            place.chmod(mode)


def doors(*pids: int) -> list[str]:
    """Return where processes and their descendants listen on a network."""
    found = []
    for pid in pids:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            listening = (one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN)
            found += [f"{one.laddr.ip}:{one.laddr.port}" for one in listening]
    return found


def test_neither_a_runtime_nor_its_controller_listens_on_a_network(standing):
    with RuntimeClient(standing.address) as client:
        assert client.describe().runtime
        assert doors(standing.pid, os.getpid()) == []
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        assert doors(os.getpid()) == [f"127.0.0.1:{door.getsockname()[1]}"]
