"""Whose the processes on a GPU are, also where the driver numbers them otherwise than we do."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""The inode that Linux gives the host's own pid namespace (include/linux/proc_ns.h)."""

FORGET_S = 5.0
"""After so long without a look another process may have got a number."""

Ours = Callable[[set[int]], set[int]]


def foreign_processes(pids: set[int], ours: Ours, *, nested: bool, known: Callable[[int], bool]) -> int:
    """Return how many of the processes on a GPU are not greenbench's.

    Inside a pid namespace the driver may name processes by the host's numbers, which mean nothing here: then
    the runtime, one process, is among the strangers, and one stranger is let pass as it. A second is foreign.

    Args:
        pids: As the driver names them.
        ours: Returns those that are greenbench's.
        nested: Whether this is a pid namespace inside another.
        known: Tells whether a process of that number is here.
    """
    mine = ours(pids)
    others = pids - mine
    unknown = {pid for pid in others if not known(pid)}
    if nested and unknown and not mine:
        return len(others) - 1
    return len(others)


def in_nested_namespace(namespace: Path = Path("/proc/self/ns/pid")) -> bool:
    """Tell whether this process has a pid namespace of its own, as inside most containers."""
    try:
        return namespace.stat().st_ino != FIRST_PID_NAMESPACE
    except OSError:
        return False


def is_here(pid: int) -> bool:
    """Tell whether a process of that number is in this pid namespace."""
    return psutil.pid_exists(pid)


class OwnProcesses:
    """Tells which processes are this one, below it, or a runtime that greenbench started.

    Only processes that NVML names are looked at: a walk over all of them would cost more than all sensors.
    One that is ours stays so while it is named from reading to reading: looking at it each second took
    a tenth of what the host side takes of a core.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know none.

        Args:
            monotonic: CLOCK_MONOTONIC, seconds.
        """
        self._monotonic = monotonic
        self._asked_s = monotonic()
        self._ours: set[int] = set()

    def __call__(self, pids: set[int]) -> set[int]:
        """Return those of some processes that are ours."""
        now_s = self._monotonic()
        self._ours &= pids if now_s - self._asked_s <= FORGET_S else set()
        self._asked_s = now_s
        self._ours |= {pid for pid in pids - self._ours if _is_ours(pid)}
        return set(self._ours)


def _is_ours(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        if "greenbench_runtime" in process.cmdline():
            return True
        return os.getpid() in {pid, *(parent.pid for parent in process.parents())}
    except psutil.Error:
        return False  # gone, or another user's
