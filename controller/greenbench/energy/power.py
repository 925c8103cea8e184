"""Mean power over a quiet stretch: the figure of a baseline."""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain, Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.changes import changes_of, first_edge_after
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import inside, integral, middle
from greenbench.energy.recorder import Record
from greenbench.energy.window import cumulative

SETTLED = 0.01
"""Largest relative difference of the two halves of a settled stretch."""

BLOCK_S = 1.0

REACH_PERIODS = 2.0
"""A stream that was last read longer than this many of its periods from an edge does not cover it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerMean:
    """Mean power of one domain.

    Attributes:
        power_w: Watts.
        standard_error_w: From the means of 1 s blocks; None below two blocks.
        settled: Whether the two halves agree within 1%.
    """

    power_w: float
    standard_error_w: float | None
    settled: bool


def mean_power(
    record: Record,
    meters: MeterSet,
    domain: Domain,
    *,
    begin_ns: int,
    end_ns: int,
    sensor_period_s: float,
) -> PowerMean:
    """Return the mean power of a domain over a stretch.

    Args:
        record: Covers the stretch.
        meters: Which streams make the domain.
        domain: Which.
        begin_ns: CLOCK_MONOTONIC, nanoseconds.
        end_ns: CLOCK_MONOTONIC, nanoseconds.
        sensor_period_s: Calibrated period of the energy counter; 0 where there is none.

    Raises:
        MeterError: No reading covers the stretch, or a counter went backwards or stepped too far in it.
    """
    streams = meters.domains[domain]
    watts = [_of_stream(record, meters, stream, (begin_ns, end_ns), sensor_period_s) for stream in streams]
    blocks = np.sum([_blocks(record, meters, stream, begin_ns, end_ns) for stream in streams], axis=0)
    half = len(blocks) // 2
    halves = [float(np.mean(part)) for part in (blocks[:half], blocks[half:]) if len(part)]
    settled = len(halves) == 2 and halves[0] > 0 and abs(halves[1] / halves[0] - 1) <= SETTLED  # noqa: PLR2004
    error = float(np.std(blocks, ddof=1)) / sqrt(len(blocks)) if len(blocks) > 1 else None
    return PowerMean(power_w=sum(watts), standard_error_w=error, settled=settled)


def _of_stream(
    record: Record, meters: MeterSet, stream: str, stretch_ns: tuple[int, int], sensor_period_s: float
) -> float:
    series = record.get(stream)
    if series is None or not len(series):
        raise MeterError(f"{stream} gave no reading over the baseline")
    if stream not in record.dense:
        reach = ns_from_seconds(REACH_PERIODS * record.periods_s[stream])
        if series.t_before_ns[0] > stretch_ns[0] + reach or series.t_before_ns[-1] < stretch_ns[1] - reach:
            raise MeterError(f"{stream} was not read over the whole baseline")
        joules = np.diff(_joules_at(series, meters, np.array(stretch_ns)))
        return float(joules[0]) / seconds_from_ns(stretch_ns[1] - stretch_ns[0])
    changes = changes_of(series)
    edges = [first_edge_after(changes, at, sensor_period_s, halved=record.halved) for at in stretch_ns]
    if not edges[0] or not edges[1] or edges[1].t_ns <= edges[0].t_ns:
        raise MeterError(f"{stream} did not change on both sides of the baseline")
    return (edges[1].value - edges[0].value) / seconds_from_ns(edges[1].t_ns - edges[0].t_ns)


def _joules_at(series: Series, meters: MeterSet, instants: NDArray[Any]) -> NDArray[np.float64]:
    try:
        total = cumulative(series, meters)
    except ValueError as err:
        raise MeterError(str(err)) from err
    joules: NDArray[np.float64] = np.interp(instants, middle(series), total)
    return joules


def _blocks(record: Record, meters: MeterSet, stream: str, begin_ns: int, end_ns: int) -> NDArray[np.float64]:
    """Return the mean powers of 1 s blocks: of a counter that is read throughout, else of instant power."""
    count = max(1, int(seconds_from_ns(end_ns - begin_ns) / BLOCK_S))
    edges = np.linspace(begin_ns, end_ns, count + 1)
    if stream not in record.dense:
        return np.diff(_joules_at(record[stream], meters, edges)) / (np.diff(edges) / 1e9)
    power = record.get("instant")
    watts = [integral(power, int(a), int(b)) for a, b in pairwise(edges)]
    known = [joules / seconds_from_ns(int(edges[1] - edges[0])) for joules in watts if joules is not None]
    return np.array(known) if len(inside(power, begin_ns, end_ns)) else np.empty(0)
