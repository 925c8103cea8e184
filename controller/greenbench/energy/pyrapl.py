"""RAPL through pyRAPL, for fidelity with the study. It handles no wrap, so its windows carry that doubt."""

import logging
from collections.abc import Callable, Mapping, Sequence

from greenbench.core.errors import ConfigurationError, MeterError
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.core.units import joules_from_microjoules
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.sensor import CallSensor, Sensor

POLL_S = 0.1
REMEDY = "pip install 'greenbench[pyrapl]'"


Counters = Callable[[], Sequence[float] | None]
"""Returns a counter per socket in microjoules, as pyRAPL's device classes do."""


def open_pyrapl(load: Callable[[], Mapping[Domain, Counters]] | None = None) -> CpuMeter:
    """Open pyRAPL's devices.

    Args:
        load: Returns the devices by domain; pyRAPL's own where none is given.

    Raises:
        ConfigurationError: pyRAPL is not installed.
    """
    try:
        devices = (load or _load)()
    except (OSError, RuntimeError) as err:
        reason = f"pyRAPL: {err}"
        return CpuMeter(
            absent=tuple(Absent(domain=domain, reason=reason) for domain in (Domain.CPU, Domain.DRAM))
        )
    sensors: dict[str, Sensor] = {}
    domains: dict[Domain, tuple[str, ...]] = {}
    for domain, device in devices.items():
        # pyRAPL fills a socket that it does not read with -1.
        sockets = [socket for socket, value in enumerate(_tried(device)) if value >= 0]
        domains[domain] = tuple(f"pyrapl:{domain}-{socket}" for socket in sockets)
        for socket, stream in zip(sockets, domains[domain], strict=True):
            sensors[stream] = CallSensor(
                stream=stream, unit="J", period_s=POLL_S, call=_reader(device, socket)
            )
    absent = [
        Absent(domain=domain, reason=f"pyRAPL has no {domain} device on this host")
        for domain in (Domain.CPU, Domain.DRAM)
        if not domains.get(domain)
    ]
    found = {domain: streams for domain, streams in domains.items() if streams}
    return CpuMeter(sensors=tuple(sensors.values()), domains=found, absent=tuple(absent))


def _tried(device: Counters) -> Sequence[float]:
    try:
        return device() or ()
    except (OSError, ValueError):
        return ()  # then the domain is absent


def _reader(device: Counters, socket: int) -> Callable[[], float]:
    def read() -> float:
        try:
            values = device()
        except (OSError, ValueError) as err:
            raise MeterError(f"pyRAPL: {err}") from err
        if values is None or values[socket] < 0:
            raise MeterError(f"pyRAPL read nothing of socket {socket}")
        return joules_from_microjoules(values[socket])

    return read


def _load() -> Mapping[Domain, Counters]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it warns of databases that nobody asked it for
    try:
        # An extra of its own, and importing it configures logging: only where it was asked for.
        from pyRAPL import Device, PyRAPLException  # noqa: PLC0415
        from pyRAPL.device_api import DeviceAPIFactory  # noqa: PLC0415
    except ImportError as err:
        raise ConfigurationError(f"cpu_meter pyrapl needs pyRAPL: {REMEDY}") from err
    finally:
        logging.disable(level)
    devices: dict[Domain, Counters] = {}
    for domain, kind in ((Domain.CPU, Device.PKG), (Domain.DRAM, Device.DRAM)):
        try:
            devices[domain] = DeviceAPIFactory.create_device_api(kind, None).energy
        except PyRAPLException:
            continue  # this host has no such device, which `open_pyrapl` says
    if not devices:
        raise OSError("no RAPL device can be read on this host")
    return devices
