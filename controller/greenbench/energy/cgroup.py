"""CPU seconds and memory of one runtime, read from outside: its cgroup, v1 or v2, or its process tree."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import MeterError
from greenbench.core.units import seconds_from_ns
from greenbench.energy.files import KeptFile
from greenbench.energy.sensor import CallSensor, Sensor

POLL_S, MEMORY_POLL_S, TREE_AGE_S = 0.5, 1.0, 5.0
CPU_STREAM, MEMORY_STREAM = "runtime:cpu", "runtime:memory"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFiles:
    """Where one cgroup keeps its figures.

    Attributes:
        version: 1 or 2.
        cpu: ``cpuacct.usage`` (nanoseconds) or ``cpu.stat`` (``usage_usec``).
        memory: Peak where the kernel keeps one, else current use.
    """

    version: int
    cpu: Path
    memory: Path


def find_cgroup(pid: int, *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> CgroupFiles:
    """Find the cgroup of a process.

    Args:
        pid: The runtime's main process, by the host's numbering.
        proc: The kernel's process table.
        root: Where cgroup file systems are mounted.

    Raises:
        MeterError: The process is gone, or its cgroup cannot be seen from here.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError as err:
        raise MeterError(f"the cgroup of process {pid} cannot be read: {err.strerror}") from err
    paths = {controller: path for line in lines for controller, path in _controllers(line)}
    files = _version_1(root, paths) if "cpuacct" in paths else _version_2(root, paths.get("", "/"))
    for path in (files.cpu, files.memory):
        if not path.exists():
            raise MeterError(f"process {pid} has no {path}")
    return files


def _controllers(line: str) -> list[tuple[str, str]]:
    _, controllers, path = line.split(":", 2)
    return [(controller, path) for controller in controllers.split(",")]


def _version_1(root: Path, paths: dict[str, str]) -> CgroupFiles:
    return CgroupFiles(
        version=1,
        cpu=_inside(_mount(root, "cpuacct"), paths["cpuacct"]) / "cpuacct.usage",
        memory=_inside(root / "memory", paths.get("memory", "/")) / "memory.max_usage_in_bytes",
    )


def _mount(root: Path, controller: str) -> Path:
    # Some distributions mount both under one name and leave the short names' links out.
    both = (root / controller, root / "cpu,cpuacct", root / "cpuacct,cpu")
    return next((folder for folder in both if folder.exists()), both[0])


def _version_2(root: Path, path: str) -> CgroupFiles:
    folder = _inside(root, path)
    peak = folder / "memory.peak"  # since Linux 5.19
    return CgroupFiles(
        version=2, cpu=folder / "cpu.stat", memory=peak if peak.exists() else folder / "memory.current"
    )


def _inside(mount: Path, path: str) -> Path:
    return mount / path.lstrip("/")


def cgroup_sensors(
    pid: int, *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")
) -> tuple[Sensor, ...]:
    """Return sensors of the cgroup that a containerised process lives in.

    Args:
        pid: The container's main process, by the host's numbering.
        proc: The kernel's process table.
        root: Where cgroup file systems are mounted.

    Raises:
        MeterError: The process is gone, or its cgroup cannot be seen from here.
    """
    files = find_cgroup(pid, proc=proc, root=root)
    seconds = _usage_v1 if files.version == 1 else _usage_v2
    cpu, memory = KeptFile(files.cpu), KeptFile(files.memory)
    return _pair(lambda: seconds(cpu), lambda: float(memory.read()))


def _usage_v1(file: KeptFile) -> float:
    return seconds_from_ns(int(file.read()))


def _usage_v2(file: KeptFile) -> float:
    for line in file.read().splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec":
            return int(value) / _MICROSECONDS
    raise MeterError("cpu.stat has no usage_usec")


def process_tree_sensors(pid: int, *, proc: Path = Path("/proc")) -> tuple[Sensor, ...]:
    """Return sensors of a process and everything below it (the ``venv`` launcher has no cgroup of its own).

    CPU seconds count children that ended and were waited for; memory is the sum of resident sets.

    Args:
        pid: The main process.
        proc: The kernel's process table.
    """
    tree = _Tree(proc, pid)
    return _pair(
        lambda: sum(one.cpu_ticks() for one in tree.processes()) / os.sysconf("SC_CLK_TCK"),
        lambda: float(sum(one.resident_pages() for one in tree.processes()) * resource.getpagesize()),
    )


class _Process:
    """What the kernel tells of one process, which may end at any time."""

    def __init__(self, proc: Path, pid: int, *, root: bool) -> None:
        self.pid = pid
        self._root = root
        self._stat, self._statm = (KeptFile(proc / str(pid) / name) for name in ("stat", "statm"))

    def cpu_ticks(self) -> int:
        try:
            text = self._stat.read()
        except OSError as err:
            if self._root:
                raise MeterError(f"process {self.pid} is gone") from err
            return 0  # a child that just ended: its parent's children times have it
        return sum(map(int, text.rpartition(")")[2].split()[11:15]))

    def resident_pages(self) -> int:
        try:
            return int(self._statm.read().split()[1])
        except OSError:
            return 0


class _Tree:
    """A process and its descendants, from the kernel's own lists, looked up again every `TREE_AGE_S`.

    A framework's process has dozens of threads, each with a list of its own: reading them all costs more
    than every other sensor together, and children hardly ever come and go.
    """

    def __init__(self, proc: Path, pid: int) -> None:
        self._proc, self._pid = proc, pid
        self._found: list[_Process] = []
        self._looked_s = -TREE_AGE_S

    def processes(self) -> list[_Process]:
        now_s = time.monotonic()
        if not self._found or now_s - self._looked_s >= TREE_AGE_S:
            self._found = [_Process(self._proc, pid, root=pid == self._pid) for pid in self._look()]
            self._looked_s = now_s
        return self._found

    def _look(self) -> list[int]:
        found = [self._pid]
        for parent in found:
            try:
                threads = tuple((self._proc / str(parent) / "task").iterdir())
            except OSError as err:
                if parent == self._pid:
                    raise MeterError(f"process {self._pid} is gone") from err
                continue
            found += [child for thread in threads for child in _children(thread)]
        return found


def _children(thread: Path) -> list[int]:
    try:
        return [int(child) for child in (thread / "children").read_text().split()]
    except OSError:
        return []  # this thread just ended; the others of its process go on


def _pair(cpu: Callable[[], float], memory: Callable[[], float]) -> tuple[Sensor, ...]:
    return (
        CallSensor(stream=CPU_STREAM, unit="s", period_s=POLL_S, call=_guarded(cpu)),
        CallSensor(stream=MEMORY_STREAM, unit="B", period_s=MEMORY_POLL_S, call=_guarded(memory)),
    )


def _guarded(call: Callable[[], float]) -> Callable[[], float]:
    def read() -> float:
        try:
            return call()
        except (OSError, ValueError) as err:
            raise MeterError(f"the runtime's CPU and memory cannot be read: {err}") from err

    return read
