"""Calls of NVML that may fail, and its power of the instant by the best route that a board has."""

from collections.abc import Callable
from typing import Any

import pynvml

from greenbench.core.errors import MeterError
from greenbench.core.units import watts_from_milliwatts
from greenbench.energy.buffer import BufferedSensor, Value, spacing_s
from greenbench.energy.sensor import CallSensor, Sensor

INSTANT = "instant"
POWER_POLL_S = 0.1
"""As often as the board renews what it says of the instant; so far apart values of its power may lie."""
FIELD_POWER_AVERAGE, FIELD_POWER_INSTANT = 185, 186


def reason_of(err: pynvml.NVMLError) -> str:
    """Return what an error of the library means."""
    known = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver here (libnvidia-ml.so.1 is not found)",
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed and not loaded",
        pynvml.NVML_ERROR_NO_PERMISSION: "this user may not talk to the NVIDIA driver",
        pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU has fallen off the bus",
    }
    return known.get(err.value, f"NVML: {err}")


def instant_power(library: Any, handle: Any) -> tuple[Sensor | BufferedSensor, dict[str, Any]]:
    """Return what tells the power of the instant, and what the manifest says of it.

    The values that the driver keeps, where it takes them as often as the board renews field 186 or more
    often, and all are watts above 0; else that field, polled.
    """

    def fetch(since_us: int) -> list[Value]:
        try:
            kind, samples = library.nvmlDeviceGetSamples(handle, pynvml.NVML_TOTAL_POWER_SAMPLES, since_us)
        except pynvml.NVMLError as err:
            if err.value == pynvml.NVML_ERROR_NOT_FOUND:  # none since then
                return []
            raise MeterError(f"{INSTANT}: {reason_of(err)}") from err
        if kind != pynvml.NVML_VALUE_TYPE_UNSIGNED_INT:
            raise MeterError(f"{INSTANT}: the driver's samples are of value type {kind}, not unsigned int")
        values = [
            Value(taken_us=int(one.timeStamp), value=watts_from_milliwatts(one.sampleValue.uiVal))
            for one in samples
        ]
        if not all(one.value for one in values):
            raise MeterError(f"{INSTANT}: the driver says 0 W in one of its samples")
        return values

    try:
        kept = fetch(0)
    except MeterError as err:
        kept, reason = [], f"the driver keeps no usable samples of it ({err})"
    else:
        reason = "the driver keeps too few samples of it, or takes them too rarely"
    spacing = spacing_s(kept)
    if spacing is not None and spacing <= POWER_POLL_S:
        sensor = BufferedSensor(stream=INSTANT, unit="W", period_s=POWER_POLL_S, fetch=fetch)
        return sensor, {"source": "driver's samples", "spacing_s": spacing}
    polled_field = CallSensor(
        stream=INSTANT,
        unit="W",
        period_s=POWER_POLL_S,
        call=guarded(INSTANT, lambda: field_w(library, handle, FIELD_POWER_INSTANT)),
    )
    return polled_field, {"source": "field 186, polled", "spacing_s": POWER_POLL_S, "reason": reason}


def guarded(stream: str, call: Callable[[], float]) -> Callable[[], float]:
    """Return a call that raises `MeterError` where the library fails."""

    def read() -> float:
        try:
            return call()
        except pynvml.NVMLError as err:
            raise MeterError(f"{stream}: {reason_of(err)}") from err

    return read


def field_w(library: Any, handle: Any, field_id: int) -> float:
    """Return a field that tells a power, watts.

    Raises:
        pynvml.NVMLError: The board does not tell it.
        MeterError: It says 0 W, as boards do that have no such sensor.
    """
    (value,) = library.nvmlDeviceGetFieldValues(handle, [field_id])
    if value.nvmlReturn:
        raise pynvml.NVMLError(value.nvmlReturn)
    if not value.value.uiVal:
        raise MeterError(f"the board says 0 W in NVML's field {field_id}")
    return watts_from_milliwatts(value.value.uiVal)
