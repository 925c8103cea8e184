"""RAPL through Linux' powercap files: zones, ranges, plausible power, permission."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.core.units import joules_from_microjoules, watts_from_microwatts
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.files import KeptFiles
from greenbench.energy.sensor import CallSensor

POWERCAP_ROOT = Path("/sys/class/powercap")
POLL_S = 0.1
STILL_S = 0.05
"""A counter that is 0 before and after so long counts nothing: RAPL's are stepped every millisecond."""

NO_ZONES = "no powercap zones on this host (a virtual machine usually has none)"
ReadText = Callable[[Path], str]
UDEV_RULE = 'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod -R a+r /sys%p"'
UDEV_REMEDY = (
    f"add the udev rule {UDEV_RULE} to /etc/udev/rules.d/99-powercap.rules, then run "
    "`sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap --action=add`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One readable RAPL zone.

    Attributes:
        name: ``package-0``, ``dram`` of ``package-0`` as ``package-0:dram``, ``psys``.
        path: Its folder.
        range_j: The counter starts again at 0 after so many joules.
        max_power_w: Its largest plausible power; None where no constraint can be read.
        read_text: Reads a file of the zone; another one where this user may not.
    """

    name: str
    path: Path
    range_j: float
    max_power_w: float | None
    read_text: ReadText

    @property
    def stream(self) -> str:
        """The stream's name in a record."""
        return f"rapl:{self.name}"

    def read_j(self) -> float:
        """Return the counter in joules.

        Raises:
            MeterError: The file does not answer with a number.
        """
        text = self.read_text(self.path / "energy_uj")
        try:
            return joules_from_microjoules(int(text))
        except ValueError as err:
            raise MeterError(f"{self.path / 'energy_uj'} holds {text.strip()!r}, not microjoules") from err


def open_powercap(root: Path = POWERCAP_ROOT, read_text: ReadText | None = None) -> CpuMeter:
    """Open every zone that can be read.

    Args:
        root: ``/sys/class/powercap``, another folder in tests.
        read_text: Reads the counters, as the calling user where none is given; names, ranges and limits are
            open to everybody and read here.

    Returns:
        Sensors by zone. A domain of which one zone cannot be read is absent as a whole: a sum without one of
        its sockets would be a wrong joule.
    """
    read = read_text or KeptFiles()
    folders = tuple(_folders(root))
    if not folders:
        return CpuMeter(
            absent=tuple(Absent(domain=domain, reason=NO_ZONES) for domain in (Domain.CPU, Domain.DRAM))
        )
    zones: dict[Domain, list[Zone]] = {}
    denied: dict[Domain, str] = {}
    for domain, name, path in folders:
        try:
            zone = _zone(name, path, read)
            _need_count(domain, zone)
        except (OSError, MeterError, ValueError) as err:
            denied[domain] = _refusal(path, err)
        else:
            zones.setdefault(domain, []).append(zone)
    readable = {domain: own for domain, own in zones.items() if domain not in denied}
    return _opened(readable, denied)


def _need_count(domain: Domain, zone: Zone) -> None:
    """Read a zone; refuse one of the memory that stands at 0, which firmware shows where it counts none.

    Raises:
        MeterError: The zone does not answer, or counts nothing.
    """
    if zone.read_j() or domain is not Domain.DRAM:
        return
    time.sleep(STILL_S)
    if not zone.read_j():
        raise MeterError("energy_uj stands at 0: this host's firmware does not count its memory")


def _opened(zones: Mapping[Domain, list[Zone]], denied: Mapping[Domain, str]) -> CpuMeter:
    every = [zone for own in zones.values() for zone in own]
    absent = [Absent(domain=domain, reason=reason) for domain, reason in denied.items()]
    absent += [
        Absent(domain=domain, reason=f"powercap has no {domain} zone on this host")
        for domain in (Domain.CPU, Domain.DRAM)
        if domain not in zones and domain not in denied
    ]
    powers = {zone.stream: zone.max_power_w for zone in every if zone.max_power_w is not None}
    unguarded = [zone.name for zone in every if zone.max_power_w is None]
    return CpuMeter(
        sensors=tuple(
            CallSensor(stream=zone.stream, unit="J", period_s=_poll_s(zone), call=zone.read_j)
            for zone in every
        ),
        domains={domain: tuple(zone.stream for zone in own) for domain, own in zones.items()},
        wraps={zone.stream: zone.range_j for zone in every},
        max_power_w=powers,
        absent=tuple(absent),
        facts={
            "zones": {zone.name: str(zone.path) for zone in every},
            "zones_without_power_limit": unguarded,
        },
    )


def _poll_s(zone: Zone) -> float:
    # At most one wrap between two polls: half the range at the highest power.
    guaranteed = zone.range_j / (2 * zone.max_power_w) if zone.max_power_w else POLL_S
    return min(POLL_S, guaranteed)


def _folders(root: Path) -> Iterator[tuple[Domain, str, Path]]:
    """Yield the zones that count, each once: the memory-mapped twin of a package is the same counter."""
    seen: set[str] = set()
    for path in sorted(root.glob("intel-rapl:*"), key=lambda item: (item.name.count(":"), item.name)):
        name = _name(path)
        domain, label = _meaning(path, name, root)
        if domain is not None and label not in seen:
            seen.add(label)
            yield domain, label, path


def _name(path: Path) -> str:
    try:
        return (path / "name").read_text().strip()
    except OSError:
        return ""


def _meaning(path: Path, name: str, root: Path) -> tuple[Domain | None, str]:
    if name.startswith("package-"):
        return Domain.CPU, name
    if name == "psys":
        return Domain.PSYS, name
    if name == "dram":
        parent = root / path.name.rpartition(":")[0]
        return Domain.DRAM, f"{_name(parent) or parent.name}:dram"
    return None, name  # core and uncore are parts of their package


def _zone(name: str, path: Path, read_text: ReadText) -> Zone:
    range_j = joules_from_microjoules(int((path / "max_energy_range_uj").read_text()))
    return Zone(name=name, path=path, range_j=range_j, max_power_w=_max_power_w(path), read_text=read_text)


def _max_power_w(path: Path) -> float | None:
    # Both kinds: a laptop's only maximum is often that of its long-term constraint, 15 W, while its
    # short-term limit lets it draw 50 W for half a minute.
    patterns = ("constraint_*_max_power_uw", "constraint_*_power_limit_uw")
    largest = max((_number(file) for pattern in patterns for file in path.glob(pattern)), default=0)
    return watts_from_microwatts(largest) if largest else None


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _refusal(path: Path, err: Exception) -> str:
    if isinstance(err, PermissionError):
        return f"{path / 'energy_uj'} may be read by root only; {UDEV_REMEDY}"
    return f"{path}: {err}"
