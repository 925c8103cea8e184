"""Conversions from sensors' units to SI: the only file that holds powers of ten.

Readings are converted once, at the sensor; figures are formatted once, at the report.
"""

NANOSECONDS_PER_SECOND = 1_000_000_000


def seconds_from_ns(nanoseconds: float) -> float:
    """Return seconds from nanoseconds."""
    return nanoseconds / NANOSECONDS_PER_SECOND


def ns_from_seconds(seconds: float) -> int:
    """Return whole nanoseconds from seconds."""
    return round(seconds * NANOSECONDS_PER_SECOND)


def joules_from_millijoules(millijoules: float) -> float:
    """Return joules from millijoules (NVML's energy counter)."""
    return millijoules * 1e-3


def joules_from_microjoules(microjoules: float) -> float:
    """Return joules from microjoules (powercap's energy_uj)."""
    return microjoules * 1e-6


def watts_from_milliwatts(milliwatts: float) -> float:
    """Return watts from milliwatts (NVML's power fields)."""
    return milliwatts * 1e-3


def watts_from_microwatts(microwatts: float) -> float:
    """Return watts from microwatts (powercap's constraints)."""
    return microwatts * 1e-6


def hertz_from_megahertz(megahertz: float) -> float:
    """Return hertz from megahertz (NVML's clocks)."""
    return megahertz * 1e6


def megahertz_from_hertz(hertz: float) -> float:
    """Return megahertz from hertz, for a reader's eye."""
    return hertz * 1e-6


def bytes_from_kibibytes(kibibytes: int) -> int:
    """Return bytes from kibibytes (/proc's kB)."""
    return kibibytes * 1024


def milliseconds_from_seconds(seconds: float) -> float:
    """Return milliseconds from seconds, for a reader's eye."""
    return seconds * 1e3


def mebibytes_from_bytes(size_b: float) -> float:
    """Return mebibytes from bytes, for a reader's eye."""
    return size_b / 1024**2


def kilowatt_hours_from_joules(joules: float) -> float:
    """Return kilowatt-hours from joules, for a reader's eye."""
    return joules / 3.6e6
