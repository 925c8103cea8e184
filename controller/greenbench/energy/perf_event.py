"""RAPL through the kernel's ``power`` performance counters: for users that powercap's files are closed to."""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.sensor import CallSensor

PMU_ROOT = Path("/sys/bus/event_source/devices/power")
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
POLL_S = 0.1
NO_PMU = "the kernel shows no power counters (/sys/bus/event_source/devices/power)"
EVENTS: Mapping[str, Domain] = {
    "energy-pkg": Domain.CPU,
    "energy-ram": Domain.DRAM,
    "energy-psys": Domain.PSYS,
}
"""energy-cores and energy-gpu are parts of their package."""

_WANTED = (Domain.CPU, Domain.DRAM)
"""Absence of the platform's counter is not worth a word: nothing is summed from it."""

_SYSCALLS = {"x86_64": 298, "AMD64": 298, "i686": 336, "aarch64": 241}
_ATTRIBUTE = struct.Struct("=IIQQQQQIIQ")
"""perf_event_attr in its first published size: type, size, config, and what counting needs no value for."""
_ANY_PROCESS, _NO_GROUP, _CLOSE_ON_EXEC = -1, -1, 8


class PerfSystem(Protocol):
    """The system calls that are used; tests hand in a stand-in."""

    def open(self, kind: int, config: int, cpu: int) -> int:
        """Start counting an event on one CPU; return its file descriptor, or raise `OSError`."""

    def read(self, descriptor: int) -> int:
        """Return the count since it was opened."""

    def close(self, descriptor: int) -> None:
        """Stop counting."""


class LinuxPerf:
    """The kernel of this host."""

    def open(self, kind: int, config: int, cpu: int) -> int:
        """Call perf_event_open for every process of one CPU.

        Raises:
            OSError: The kernel refused, or this processor's call number is not known.
        """
        number = _SYSCALLS.get(platform.machine())
        if number is None:
            raise OSError(errno.ENOSYS, f"perf_event_open is not known for {platform.machine()}")
        attribute = _ATTRIBUTE.pack(kind, _ATTRIBUTE.size, config, 0, 0, 0, 0, 0, 0, 0)
        call = ctypes.CDLL(None, use_errno=True).syscall
        call.restype = ctypes.c_long
        long = ctypes.c_long
        arguments = (long(_ANY_PROCESS), long(cpu), long(_NO_GROUP), long(_CLOSE_ON_EXEC))
        descriptor = int(call(long(number), ctypes.c_char_p(attribute), *arguments))
        if descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return descriptor

    def read(self, descriptor: int) -> int:
        """Return the 64-bit count; the kernel has taken care of the register's wraps."""
        (count,) = struct.unpack("=Q", os.read(descriptor, 8))
        return int(count)

    def close(self, descriptor: int) -> None:
        """Close the descriptor."""
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """The ``power`` device: its number, and one CPU per package (or die, where those have own counters)."""

    kind: int
    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """One domain, counted on every package."""

    domain: Domain
    sensors: tuple[CallSensor, ...]
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One event of the ``power`` device, as its files describe it."""

    name: str
    config: int
    joules_per_count: float


def open_perf_event(
    root: Path = PMU_ROOT, *, system: PerfSystem | None = None, paranoid: Path = PARANOID
) -> CpuMeter:
    """Open one counter per package and event.

    Args:
        root: The ``power`` device's folder, another one in tests.
        system: The system calls; this host's where none is given.
        paranoid: Where the kernel says who may count.

    Returns:
        Cumulative joules since opening, without wraps. A domain that could not be opened on every package is
        absent as a whole. Closing the meter gives the counters back.
    """
    kernel = system or LinuxPerf()
    try:
        device = _device(root)
    except (OSError, ValueError) as err:
        reason = NO_PMU if isinstance(err, FileNotFoundError) else f"{root}: {err}"
        return CpuMeter(absent=tuple(Absent(domain=domain, reason=reason) for domain in _WANTED))
    opened: list[_Opened] = []
    refused: dict[Domain, str] = {}
    for name, domain in EVENTS.items():
        try:
            opened.append(_open_domain(kernel, device, _event(root, name), domain))
        except (OSError, ValueError, MeterError) as err:
            refused[domain] = _refusal(err, root, name, paranoid)
    return _meter(kernel, device, opened, refused)


def _meter(
    kernel: PerfSystem, device: "_Device", opened: list["_Opened"], refused: Mapping[Domain, str]
) -> CpuMeter:
    descriptors = [descriptor for each in opened for descriptor in each.descriptors]
    return CpuMeter(
        sensors=tuple(sensor for each in opened for sensor in each.sensors),
        domains={each.domain: tuple(sensor.stream for sensor in each.sensors) for each in opened},
        absent=tuple(
            Absent(domain=domain, reason=refused[domain]) for domain in _WANTED if domain in refused
        ),
        facts={"perf_event": {"cpus": list(device.cpus), "events": [str(each.domain) for each in opened]}},
        close=lambda: _close(kernel, descriptors),
    )


def _device(root: Path) -> _Device:
    cpus = tuple(_numbers((root / "cpumask").read_text().strip()))
    if not cpus:
        raise ValueError("cpumask names no CPU")
    return _Device(kind=int((root / "type").read_text()), cpus=cpus)


def _numbers(text: str) -> Iterator[int]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _event(root: Path, name: str) -> _Event:
    folder = root / "events"
    unit = (folder / f"{name}.unit").read_text().strip()
    if unit != "Joules":
        raise MeterError(f"{folder / name}.unit is {unit!r}, not Joules")
    return _Event(
        name=name,
        config=_config(folder / name),
        joules_per_count=float((folder / f"{name}.scale").read_text()),
    )


def _config(path: Path) -> int:
    text = path.read_text().strip()
    key, _, value = text.partition("=")
    if key != "event":
        raise MeterError(f"{path} holds {text!r}, not event=NUMBER")
    return int(value, 16)


def _open_domain(kernel: PerfSystem, device: _Device, event: _Event, domain: Domain) -> _Opened:
    # The platform's counter is one, however many packages show it.
    cpus = device.cpus[:1] if domain is Domain.PSYS else device.cpus
    descriptors: list[int] = []
    try:
        descriptors.extend(kernel.open(device.kind, event.config, cpu) for cpu in cpus)
    except OSError:
        _close(kernel, descriptors)  # a sum without one of its packages would be a wrong joule
        raise
    label = {Domain.CPU: "package", Domain.DRAM: "dram", Domain.PSYS: "psys"}[domain]
    sensors = tuple(
        CallSensor(
            stream=f"rapl:{label}@cpu{cpu}",
            unit="J",
            period_s=POLL_S,
            call=_reader(kernel, descriptor, event.joules_per_count),
        )
        for cpu, descriptor in zip(cpus, descriptors, strict=True)
    )
    return _Opened(domain=domain, sensors=sensors, descriptors=tuple(descriptors))


def _reader(kernel: PerfSystem, descriptor: int, joules_per_count: float) -> Callable[[], float]:
    return lambda: kernel.read(descriptor) * joules_per_count


def _close(kernel: PerfSystem, descriptors: list[int]) -> None:
    while descriptors:
        kernel.close(descriptors.pop())


def _refusal(err: Exception, root: Path, name: str, paranoid: Path) -> str:
    if isinstance(err, FileNotFoundError) and str(root) in str(err.filename):
        return f"this processor has no {name} counter"
    if isinstance(err, OSError) and err.errno in {errno.EACCES, errno.EPERM}:
        level = _level(paranoid)
        return (
            f"this user may not read {name} (kernel.perf_event_paranoid is {level}); "
            "`sudo sysctl kernel.perf_event_paranoid=0` allows it until the next boot"
        )
    return f"perf_event {name}: {err.strerror if isinstance(err, OSError) and err.strerror else err}"


def _level(paranoid: Path) -> str:
    try:
        return paranoid.read_text().strip()
    except OSError:
        return "unknown"
