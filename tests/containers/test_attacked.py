"""A runtime that was taken over: what a program inside the container gets by trying."""

import json
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.fleet.test_reach import REFUSED, as_nobody

from greenbench.core.errors import FleetError
from greenbench.fleet.outbox import take_made

TRY = """
import ctypes, json, os, pathlib, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)

def tried(attempt):
    try:
        return f"done: {attempt()!r}"[:200]
    except Exception as error:
        return type(error).__name__

def called(name, *arguments):
    if getattr(libc, name)(*arguments) == 0:
        return "done"
    raise OSError(ctypes.get_errno(), "refused")

def connected(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(3)
        probe.connect(address)

def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

made = {
    "an address outside": lambda: connected(socket.AF_INET, ("1.1.1.1", 53)),
    "the host by the bridge": lambda: connected(socket.AF_INET, ("172.17.0.1", 22)),
    "the cloud's metadata": lambda: connected(socket.AF_INET, ("169.254.169.254", 80)),
    "a name": lambda: socket.getaddrinfo("example.org", 80),
    "an IPv6 address": lambda: connected(socket.AF_INET6, ("2606:4700:4700::1111", 53)),
    "a raw socket": raw,
    "the engine": lambda: connected(socket.AF_UNIX, "/var/run/docker.sock"),
    "mount": lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "root": lambda: os.setuid(0),
    "another root": lambda: os.chroot("/tmp"),
    "a device": lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)),
    "the clock": lambda: called("settimeofday", ctypes.create_string_buffer(16), None),
    "the host's name": lambda: called("sethostname", b"mine", 4),
    "a kernel setting": lambda: pathlib.Path("/proc/sys/kernel/hostname").write_text("mine"),
    "the magic key": lambda: pathlib.Path("/proc/sysrq-trigger").write_text("h"),
    "the kernel's memory": lambda: open("/dev/mem", "rb"),
    "the root folder": lambda: pathlib.Path("/mine").write_text("x"),
    "the program": lambda: pathlib.Path("/opt/greenbench/code/mine.py").write_text("x"),
    "the passwords": lambda: pathlib.Path("/etc/shadow").read_text(),
    "a model": lambda: pathlib.Path("/models/mine").write_text("x"),
    "the control groups": lambda: next(pathlib.Path("/sys/fs/cgroup").rglob("cgroup.procs")).write_text("1"),
}
found = {name: tried(attempt) for name, attempt in made.items()}
found["set-uid programs"] = sorted(
    name
    for name in ("/bin/su", "/usr/bin/passwd", "/bin/mount")
    if os.path.exists(name) and subprocess.run([name, "-c", "id -u"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True).stdout.strip() == "0"
)
devices = sorted(
    str(path)
    for path in pathlib.Path("/dev").rglob("*")
    if not path.is_symlink() and (path.is_block_device() or path.is_char_device())
)
mounts = [line.split()[:4] for line in open("/proc/self/mounts")]
processes = sorted(int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit())
print(json.dumps({"tried": found, "devices": devices, "mounts": mounts, "processes": processes}))
"""
HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}


@pytest.fixture
def loot(raw):
    status, output = raw.exec_run(["/opt/greenbench/bin/python", "-c", TRY])
    assert status == 0, output.decode()
    return json.loads(output.decode().splitlines()[-1])


def test_nothing_that_was_tried_succeeded(loot):
    assert len(loot["tried"]) > 20
    assert loot["tried"].pop("set-uid programs") == []
    got = {name: what for name, what in loot["tried"].items() if what.startswith("done")}
    assert got == {}
    # Each was refused by the system, not by a slip of the attack itself.
    slips = {"NameError", "TypeError", "AttributeError", "SyntaxError", "StopIteration"}
    assert slips.isdisjoint(loot["tried"].values())


def test_no_device_of_the_host_is_inside(loot):
    names = {Path(device).name for device in loot["devices"] if not device.startswith("/dev/pts/")}
    assert names <= HARMLESS


def test_no_path_of_the_host_is_inside_but_models_and_the_run_folder(loot, raw):
    virtual = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay", "shm"}
    places = {place for _, place, kind, _ in loot["mounts"] if kind not in virtual}
    # The engine's own three files, bound to ones that it makes for each container.
    assert places - {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= {"/models", "/run/greenbench", "/"}
    sources = {mount["Source"] for mount in raw.attrs["Mounts"]}
    assert not sources & {"/", "/etc", "/root", "/home", "/var/run/docker.sock", str(Path.home())}


def test_no_process_of_the_host_is_seen(loot):
    assert 1 in loot["processes"]
    assert len(loot["processes"]) < 10
    assert len(psutil.pids()) > len(loot["processes"])


def test_another_user_cannot_reach_the_container_s_socket(instance, settings):
    assert as_nobody(settings.state.socket("fake")) == REFUSED


def test_the_user_of_the_container_cannot_leave_its_folder_by_a_link(instance, settings, tmp_path):
    """A link in the outbox means a path of the container inside, and is not followed outside."""
    outbox = settings.state.outbox("fake")
    program = "import os; os.symlink('/etc/shadow', '/run/greenbench/outbox/weights')"
    inside = ("docker", "exec", instance.container_id, "/opt/greenbench/bin/python")
    subprocess.run([*inside, "-c", program], check=True, capture_output=True)
    try:
        with pytest.raises(FleetError, match="cannot be taken"):
            take_made(outbox, "weights", tmp_path)
        assert list(tmp_path.iterdir()) == []
    finally:
        (outbox / "weights").unlink()


def test_the_engine_s_socket_is_no_neighbour(raw):
    listing = json.dumps(raw.attrs["HostConfig"]["Binds"] or []) + json.dumps(raw.attrs["Mounts"])
    assert "docker.sock" not in listing
    assert raw.attrs["HostConfig"]["Privileged"] is False
    for shared in ("PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        assert "host" not in str(raw.attrs["HostConfig"][shared])
