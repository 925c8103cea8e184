"""What a runtime can say of the machine it runs on."""

import os
from collections.abc import Iterable
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def physical_cores(cpuinfo: str | None = None, allowed: frozenset[int] | None = None) -> int:
    """Return how many physical cores this process may use.

    Where the kernel names no core ids (ARM, which has one thread a core), it is the number of CPUs.

    Args:
        cpuinfo: Text of ``/proc/cpuinfo``; read where None.
        allowed: CPUs that the process may use; asked of the kernel where None.
    """
    usable = os.sched_getaffinity(0) if allowed is None else allowed
    text = _CPUINFO.read_text(encoding="utf-8", errors="replace") if cpuinfo is None else cpuinfo
    cores = {
        core for cpu, core in map(_cpu_and_core, text.split("\n\n")) if cpu in usable and core is not None
    }
    return len(cores) or len(usable)


def cpu_flags(cpuinfo: str | None = None) -> frozenset[str]:
    """Return what the CPU says that it can do, as the kernel names it: ``avx2``, ``amx_bf16`` ...

    Args:
        cpuinfo: Text of ``/proc/cpuinfo``; read where None.
    """
    text = _CPUINFO.read_text(encoding="utf-8", errors="replace") if cpuinfo is None else cpuinfo
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(flag for key, _, value in lines if key.strip() == "flags" for flag in value.split())


def machine_code_runs(architectures: Iterable[str], capability: str) -> bool:
    """Tell whether machine code for some architectures runs on a GPU.

    It does on GPUs of the same major version and the same or a newer minor one.

    Args:
        architectures: Such as ``sm_86``.
        capability: The GPU's compute capability, such as ``8.9``.
    """
    major, minor = (int(part) for part in capability.split("."))
    built = [architecture.removeprefix("sm_").rstrip("af") for architecture in architectures]
    return any(int(digits[:-1]) == major and int(digits[-1]) <= minor for digits in built)


def _cpu_and_core(block: str) -> tuple[int | None, tuple[str, str] | None]:
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())
    }
    cpu = facts.get("processor", "")
    core = (facts.get("physical id", "0"), facts["core id"]) if "core id" in facts else None
    return (int(cpu) if cpu.isdigit() else None), core
