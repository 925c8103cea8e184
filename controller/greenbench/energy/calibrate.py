"""The energy counter's own period and read cost, measured once per GPU and driver."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import MeterError
from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds
from greenbench.core.writing import kept_in
from greenbench.energy.changes import changes_of
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import Sensor

LENGTH_S = 6.0
"""The next edge is looked for where the period says: after 3 s it was 0.07% off on an H100, 7 ms in 10 s."""

FEWEST_CHANGES = 8

TIGHT = 1.5
"""Changes between two reads this many times as far apart as usual do not tell the phase."""

NEARLY = 0.9
"""Periods whose agreement is this share of the best one's fit as well."""

SHORTEST = 3.0
"""The typical gap between two changes that were seen is at most so many periods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a counter does.

    Attributes:
        period_s: Between two changes, seconds.
        read_p50_s: Median cost of one read, seconds.
        read_p95_s: 95th percentile of it, seconds.
        changes: Changes that the period rests on.
        length_s: For how long the counter was read, seconds; what an earlier version kept does not say.
    """

    period_s: float
    read_p50_s: float
    read_p95_s: float
    changes: int
    length_s: float


def sensor_period(series: Series) -> float:
    """Return a counter's period from a dense record, seconds.

    The period is the one at which the changes' phases agree best. Median gaps do not tell it where a read
    takes a good part of a period: they are whole reads long, and slow reads pass changes over.

    Raises:
        MeterError: Too few changes.
    """
    changes = changes_of(series)
    if len(changes.by_ns) < FEWEST_CHANGES:
        raise MeterError(
            f"{series.stream} changed {len(changes.by_ns)} times while it was calibrated; is it stuck?"
        )
    widths = (changes.by_ns - changes.after_ns) / ns_from_seconds(1.0)
    tight = widths <= TIGHT * np.median(widths)
    middles = (changes.by_ns + changes.after_ns)[tight] / 2
    times = (middles - middles[0]) / ns_from_seconds(1.0)
    typical = float(np.median(np.diff(changes.by_ns))) / ns_from_seconds(1.0)
    # Below twice the width of a read its own rhythm would be found; above the typical gap lies no period.
    lowest = min(max(typical / SHORTEST, 2 * float(np.median(widths))), 0.9 * typical)
    periods = np.arange(lowest, 1.2 * typical, typical**2 / (8 * times[-1]))
    agreement = _agreement(times, periods)
    # Parts of the period fit a regular grid as well as the whole: the longest that fits is meant.
    period = float(periods[agreement >= NEARLY * agreement.max()].max())
    near = period + period**2 / times[-1] * np.linspace(-1, 1, 1001)
    return float(near[np.argmax(_agreement(times, near))])


def _agreement(times: NDArray[np.float64], periods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how well the phases of some instants agree under each period: float64 [n]."""
    agreement: NDArray[np.float64] = np.abs(np.exp(2j * np.pi * times / periods[:, None]).sum(axis=1))
    return agreement


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
        period_s=sensor_period(series),
        read_p50_s=p50,
        read_p95_s=p95,
        changes=len(changes_of(series).by_ns),
        length_s=length_s,
    )


def counter_period(meters: MeterSet, folder: Path, *, anew: bool = False) -> float | None:
    """Return the period of this host's GPU energy counter in seconds; arguments and errors as below."""
    known = counter_calibration(meters, folder, anew=anew)
    return known.period_s if known else None


def counter_calibration(meters: MeterSet, folder: Path, *, anew: bool = False) -> Calibration | None:
    """Return what this host's GPU energy counter does, measured where it is not known yet.

    Args:
        meters: Of this host.
        folder: Where calibrations are kept, by GPU and driver.
        anew: Measure even where it is known.

    Returns:
        None where there is no GPU energy counter.

    Raises:
        MeterError: The counter does not answer, or hardly changes.
        GreenbenchError: The state folder's disk is full.
    """
    counter = next((sensor for sensor in meters.sensors if sensor.dense), None)
    gpu = meters.facts.get("gpu")
    if counter is None or not gpu:
        return None
    path = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", f"{gpu['uuid']}-{gpu['driver']}") + ".json")
    known = None if anew else _known(path)
    if known is None:
        known = calibrate(counter)
        with kept_in(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(asdict(known), indent=1))
            partial.replace(path)
    return known


def _known(path: Path) -> Calibration | None:
    try:
        known = Calibration(**json.loads(path.read_text()))
        usable = known.period_s > 0
    except (OSError, ValueError, TypeError):
        return None  # measured anew: nothing is lost but some seconds
    return known if usable else None
