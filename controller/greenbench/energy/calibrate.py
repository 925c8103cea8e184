"""The energy counter's own period and read cost, measured once per GPU and driver."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from greenbench.core.errors import MeterError
from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.changes import changes_of
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import Sensor

LENGTH_S = 3.0
FEWEST_CHANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a counter does.

    Attributes:
        period_s: Between two changes, seconds.
        read_p50_s: Median cost of one read, seconds.
        read_p95_s: 95th percentile of it, seconds.
        changes: Changes that the period rests on.
    """

    period_s: float
    read_p50_s: float
    read_p95_s: float
    changes: int


def sensor_period(series: Series) -> float:
    """Return a counter's period from a dense record, seconds.

    The median gap decides how many periods lie between any two changes; the line through all of them
    then averages the reads' own length out.

    Raises:
        MeterError: Too few changes.
    """
    by_ns = changes_of(series).by_ns
    if len(by_ns) < FEWEST_CHANGES:
        raise MeterError(f"{series.stream} changed {len(by_ns)} times while it was calibrated; is it stuck?")
    gaps = np.diff(by_ns)
    steps = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(gaps / np.median(gaps))))])
    slope = np.polyfit(steps, (by_ns - by_ns[0]).astype(np.float64), 1)[0]
    return seconds_from_ns(float(slope))


def calibrate(
    sensor: Sensor, *, length_s: float = LENGTH_S, clock: Callable[[], int] = time.monotonic_ns
) -> Calibration:
    """Read a counter as often as possible for a while.

    Args:
        sensor: The counter.
        length_s: For how long, seconds.
        clock: CLOCK_MONOTONIC in nanoseconds.

    Raises:
        MeterError: It does not answer, or hardly changes.
    """
    before: list[int] = []
    after: list[int] = []
    values: list[float] = []
    until = clock() + ns_from_seconds(length_s)
    while not before or before[-1] < until:
        before.append(clock())
        values.append(sensor.read())
        after.append(clock())
    series = Series(
        stream=sensor.stream,
        unit=sensor.unit,
        t_before_ns=np.array(before),
        t_after_ns=np.array(after),
        value=np.array(values),
    )
    costs = (series.t_after_ns - series.t_before_ns) / ns_from_seconds(1.0)
    p50, p95 = (float(cost) for cost in np.percentile(costs, [50, 95]))
    return Calibration(
        period_s=sensor_period(series), read_p50_s=p50, read_p95_s=p95, changes=len(changes_of(series).by_ns)
    )


def counter_period(meters: MeterSet, folder: Path, *, anew: bool = False) -> float | None:
    """Return the period of this host's GPU energy counter, measured where it is not known yet.

    Args:
        meters: Of this host.
        folder: Where calibrations are kept, by GPU and driver.
        anew: Measure even where it is known.

    Returns:
        Seconds; None where there is no GPU energy counter.

    Raises:
        MeterError: The counter does not answer, or hardly changes.
    """
    counter = next((sensor for sensor in meters.sensors if sensor.dense), None)
    gpu = meters.facts.get("gpu")
    if counter is None or not gpu:
        return None
    path = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", f"{gpu['uuid']}-{gpu['driver']}") + ".json")
    known = None if anew else _known(path)
    if known is None:
        known = calibrate(counter)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(known), indent=1))
        partial.replace(path)
    return known.period_s


def _known(path: Path) -> Calibration | None:
    try:
        return Calibration(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # measured anew: nothing is lost but three seconds
