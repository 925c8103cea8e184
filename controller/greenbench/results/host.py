"""Facts of the host that a reader of the results needs; none of them names it."""

import hashlib
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

import psutil

import greenbench


def host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Return what of this host matters to the results.

    Args:
        root: Where ``etc`` and ``proc`` are; another folder in tests.

    Returns:
        ``host_id`` and ``host_id_from``, ``cpu_model``, ``cpu_cores_physical``, ``cpu_threads``,
        ``memory_b``, ``kernel``, ``os``, ``machine``, ``virtualised`` (None where the CPU does not
        tell), ``python``, ``greenbench_version``. No name, address or user.
    """
    identity, source = host_id(root)
    cpu = _cpu_info(root)
    return {
        "host_id": identity,
        "host_id_from": source,
        "cpu_model": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu_cores_physical": psutil.cpu_count(logical=False),
        "cpu_threads": psutil.cpu_count(),
        "memory_b": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "os": _os_name(root),
        "machine": platform.machine(),
        "virtualised": "hypervisor" in cpu["flags"].split() if "flags" in cpu else None,
        "python": platform.python_version(),
        "greenbench_version": greenbench.__version__,
    }


def host_id(root: Path = Path("/")) -> tuple[str, str]:
    """Return a short stable hash that tells hosts apart, and what it was made from.

    Returns:
        Twelve hexadecimal digits, and ``machine-id`` or, where there is none, ``hostname``.
    """
    text = _text(root / "etc/machine-id").strip()
    source = "machine-id" if text else "hostname"
    # Salted, so that the machine's own id, which is confidential, cannot be looked up from it.
    digest = hashlib.sha256(f"greenbench:{text or socket.gethostname()}".encode())
    return digest.hexdigest()[:12], source


def git_commit(package: Path | None = None) -> str | None:
    """Return the commit of the checkout that greenbench runs from, ``+dirty`` where it was changed.

    Args:
        package: Folder of the package; None for this one.

    Returns:
        None where the package is installed, lies in another project's checkout, or git is not there.
    """
    package = package or Path(greenbench.__file__).parent
    checkout = package.parent.parent
    if not (checkout / ".git").exists() or checkout / "controller" / "greenbench" != package:
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}+dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else commit


def _git(checkout: Path, *arguments: str) -> str:
    # GIT_OPTIONAL_LOCKS: only looks, so it must not touch the checkout's index.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_info(root: Path) -> dict[str, str]:
    first = _text(root / "proc/cpuinfo").split("\n\n", maxsplit=1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _os_name(root: Path) -> str:
    for line in _text(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
