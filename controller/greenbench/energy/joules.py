"""Joules of every domain between two edges, and how well the edges know them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Domain, Series, delta
from greenbench.core.trial import Absent
from greenbench.energy.edges import Edges
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import middle
from greenbench.energy.recorder import Record

PLAUSIBLE = 1.5
"""A step that implies more than this many times a zone's largest power is refused."""

RAPL_UPDATE_S = 0.001
"""RAPL's own period: a reading is at most so old."""

INTERVALS = 6
"""How a trial's intervals and doubts are computed; raised with every change: `verify` compares equals.

1: standard deviation of the steps around the edges. 2: their scatter about a line; net totals have intervals.
3: the changes around an edge that tell its instant are chosen by whole periods. 4: a change between two close
reads ends one step, whatever came before it. 5: whether power changed between a window's halves is told by
the board's average, and where there is none by no more than readings of the instant can tell. 6: an edge's
instant is also bounded by a change a period away that one read shows, as far as changes keep to their grid.
"""

HALVED_SINCE = 6
"""Under these `INTERVALS` and later ones an edge is bounded by a change that one read shows."""

_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of one domain over one window.

    Attributes:
        joules: Gross.
        edge_u95_j: Half the width of the 95% interval that the two edges leave, joules; None where unknown.
    """

    joules: float
    edge_u95_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joules:
    """What the counters say of one window.

    Attributes:
        energy: By domain.
        absent: Domains without a value in this window, with the reason.
        resets: Counters that went backwards without a wrap, or stepped implausibly far.
    """

    energy: Mapping[Domain, Energy]
    absent: tuple[Absent, ...]
    resets: tuple[str, ...]


class UncoveredError(Exception):
    """A stream was not read on both sides of a stretch."""


def joules_of(record: Record, meters: MeterSet, edges: Edges) -> Joules:
    """Return the energy of every domain between two edges.

    A domain of which one counter has no sure value is absent as a whole.

    Args:
        record: Covers the edges.
        meters: Which streams make which domain.
        edges: Of the window.
    """
    energy: dict[Domain, Energy] = {}
    absent: list[Absent] = []
    resets: list[str] = []
    for domain, streams in meters.domains.items():
        try:
            parts = [_energy(record, meters, stream, edges) for stream in streams]
        except (UncoveredError, ValueError) as err:
            absent.append(Absent(domain=domain, reason=str(err)))
            resets += [str(err)] if isinstance(err, ValueError) else []
            continue
        energy[domain] = Energy(
            joules=sum(part.joules for part in parts),
            edge_u95_j=together([part.edge_u95_j for part in parts]),
        )
    return Joules(energy=energy, absent=tuple(absent), resets=tuple(resets))


def together(parts: Sequence[float | None]) -> float | None:
    """Return what independent parts leave open together; None where one of them is unknown."""
    known = [part for part in parts if part is not None]
    return hypot(*known) if len(known) == len(parts) else None


def cumulative(series: Series, meters: MeterSet) -> NDArray[np.float64]:
    """Return a counter without its wraps: float64 [n], joules since the first reading.

    Raises:
        ValueError: It went backwards without a wrap, or stepped further than its zone could.
    """
    wraps_at = meters.wraps.get(series.stream)
    steps = np.diff(series.value)
    if wraps_at is not None and meters.handles_wraps:
        steps = np.where(steps < 0, steps + wraps_at, steps)
    if (steps < 0).any():
        raise ValueError(f"{series.stream} went backwards by {-steps.min():.3g} J")
    limit_w = meters.max_power_w.get(series.stream)
    if limit_w is not None:
        watts = steps / _longest_s(series)
        if (watts > PLAUSIBLE * limit_w).any():
            raise ValueError(
                f"{series.stream} stepped by {watts.max():.0f} W, its zone can do {limit_w:.0f} W"
            )
    return np.concatenate([[0.0], np.cumsum(steps)])


def _longest_s(series: Series) -> NDArray[np.float64]:
    """Return the longest time that may lie between two readings: a late stamp must not look like power."""
    longest: NDArray[np.float64] = (series.t_after_ns[1:] - series.t_before_ns[:-1]) / 1e9 + RAPL_UPDATE_S
    return longest


def around(series: Series, begin_ns: int, end_ns: int) -> Series:
    """Return the readings from the last before a stretch to the first after it.

    What a counter did before or after must not void the stretch.

    Raises:
        UncoveredError: It was not read on both sides.
    """
    times = middle(series)
    first = int(np.searchsorted(times, begin_ns, side="right")) - 1
    last = int(np.searchsorted(times, end_ns, side="left"))
    if first < 0 or last >= len(times):
        raise UncoveredError(f"{series.stream} was not read on both sides of the window")
    kept = slice(first, last + 1)
    return Series(
        stream=series.stream,
        unit=series.unit,
        t_before_ns=series.t_before_ns[kept],
        t_after_ns=series.t_after_ns[kept],
        value=series.value[kept],
    )


def _energy(record: Record, meters: MeterSet, stream: str, edges: Edges) -> Energy:
    series = record.get(stream)
    if series is None or not len(series):
        raise UncoveredError(_silent(record, stream))
    if stream not in record.dense:
        return _of_polls(series, meters, edges)
    if edges.source != "counter":
        # Read elsewhere than at its own changes it is wrong by up to a step at each edge.
        unchanged = "did not change close after both of the window's asked edges"
        raise UncoveredError(f"{stream} {unchanged}{_said(record, stream)}")
    return _of_changes(series, meters, edges)


def _silent(record: Record, stream: str) -> str:
    return f"{stream} gave no reading{_said(record, stream)}"


def _said(record: Record, stream: str) -> str:
    """Return what the stream's last failed reading said, behind a colon; empty where none failed."""
    said = [fault.message for fault in record.faults if fault.stream == stream]
    return f": {said[-1]}" if said else ""


def _of_changes(series: Series, meters: MeterSet, edges: Edges) -> Energy:
    # Checked over the whole stretch: a reset between the edges would hide in their difference.
    cumulative(series.between(edges.begin.t_ns, edges.end.t_ns), meters)
    joules = delta(edges.begin.value, edges.end.value, wraps_at=None)
    watts = joules / edges.duration_s
    stamps_j = [watts * edge.uncertainty_s / sqrt(3) for edge in (edges.begin, edges.end)]
    open_j = together([*stamps_j, edges.scatter_j])
    return Energy(joules=joules, edge_u95_j=None if open_j is None else _TWO_SIDED_95 * open_j)


def _of_polls(series: Series, meters: MeterSet, edges: Edges) -> Energy:
    near = around(series, edges.begin.t_ns, edges.end.t_ns)
    total = cumulative(near, meters)
    times = middle(near)
    instants = np.array([edges.begin.t_ns, edges.end.t_ns])
    joules = float(np.diff(np.interp(instants, times, total))[0])
    update_j = joules / edges.duration_s * RAPL_UPDATE_S
    halves = [_between_polls_j(times, total, instant) + update_j for instant in instants]
    return Energy(joules=joules, edge_u95_j=_TWO_SIDED_95 * sqrt(sum(half**2 / 3 for half in halves)))


def _between_polls_j(times: NDArray[np.int64], total: NDArray[np.float64], instant_ns: int) -> float:
    """Return how far a value interpolated between two polls may be off, joules.

    With power on one side of the instant up to three times that on the other, share f of the time holds
    f(1-f) more or less of the energy.
    """
    after = min(max(int(np.searchsorted(times, instant_ns)), 1), len(times) - 1)
    share = (instant_ns - times[after - 1]) / (times[after] - times[after - 1])
    return float(share * (1 - share) * (total[after] - total[after - 1]))
