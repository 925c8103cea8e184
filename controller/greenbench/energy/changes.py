"""The instants at which a sensor's counter changed, fitted to the sensor's regular grid.

A read says that the value was there just before the call began; the change happened after the call
before it had begun. Each change is so known as an interval. The sensor keeps a regular period, so
the intervals of neighbouring changes, moved onto each other by whole periods, overlap where the
change really was.

A change that fell into a slow read is passed over for the next one: the sensor itself was late there
(on the recorded H100 trace such a change held 3.5 J more than its place on the grid explains).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenbench.core.reading import Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns

LOOSE = 1.5
"""A change whose interval is this many times the median of its neighbours' fell into a slow read."""

NEIGHBOURS_PERIODS = 8
"""Changes this many periods on either side of an edge fix the grid there."""

SOON = 0.25
"""Of a period: a read so soon after an expected change can't have missed the one after it."""

JITTER = 0.003
"""Of a period: so far changes leave their grid by themselves. A recorded H100's do by 0.14%, idle, to 0.6%,
loaded; with this, simulated windows whose sensors do so hold the truth in 96% of their intervals."""

LESS_CLOSE = 2.0
"""A change whose interval is so many times as wide as another's was seen less closely."""

FEWEST_STEPS = 3
"""So many steps leave something about a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Every observed change of a counter.

    Attributes:
        after_ns: int64 [n], begin of the last read that showed the old value.
        by_ns: int64 [n], begin of the first read that showed the new value.
        value: float64 [n], the new value.
    """

    after_ns: NDArray[np.int64]
    by_ns: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One edge of a window.

    Attributes:
        t_ns: The instant of the change, fitted, nanoseconds.
        value: The counter after it.
        uncertainty_s: Half the width of what the fit leaves open, seconds.
    """

    t_ns: int
    value: float
    uncertainty_s: float


def changes_of(series: Series) -> Changes:
    """Return every change that a record of a counter shows."""
    at = np.nonzero(np.diff(series.value))[0] + 1
    return Changes(after_ns=series.t_before_ns[at - 1], by_ns=series.t_before_ns[at], value=series.value[at])


def first_edge_after(
    changes: Changes, instant_ns: int, period_s: float, *, halved: bool = True
) -> Edge | None:
    """Return the counter's first change after an instant, fitted to the grid of its neighbours.

    Args:
        changes: Observed around the instant.
        instant_ns: The asked edge.
        period_s: The sensor's period, calibrated.
        halved: Whether a change that one read shows, a period after one that was seen closely, tells of the
            grid too. Else only changes between two close reads do, and none leaves the grid: as runs before
            `greenbench.energy.joules.INTERVALS` 6 were computed.

    Returns:
        The edge; None where the record shows no change closely enough after it.
    """
    period_ns = ns_from_seconds(period_s)
    index = _tight_change_after(changes, instant_ns, period_ns)
    if index is None:
        return None
    low, high = _phase(changes, index, period_ns, halved=halved)
    return Edge(
        t_ns=int(changes.by_ns[index]) + (low + high) // 2,
        value=float(changes.value[index]),
        uncertainty_s=seconds_from_ns(high - low) / 2,
    )


def _tight_change_after(changes: Changes, instant_ns: int, period_ns: int) -> int | None:
    first = int(np.searchsorted(changes.by_ns, instant_ns, side="right"))
    last = int(np.searchsorted(changes.by_ns, instant_ns + NEIGHBOURS_PERIODS * period_ns, side="right"))
    widths = changes.by_ns - changes.after_ns
    # Where nothing was read for longer, a change may be as old as that: the counter may have stopped since.
    near = (np.abs(changes.by_ns - instant_ns) <= NEIGHBOURS_PERIODS * period_ns) & (widths <= 2 * period_ns)
    close = near & (widths <= period_ns / 2)
    # Values that were read once, to end a step, tell nothing of how close reads lie.
    limits = [LOOSE * float(np.median(widths[chosen])) for chosen in (close, near) if chosen.any()]
    # One seen between two close reads, even where most were not.
    for widest in (min([*limits, period_ns / 2]), min([*limits[-1:], 2 * period_ns])):
        found = np.nonzero(widths[first:last] <= widest)[0]
        if len(found):
            return first + int(found[0])
    return None


def _phase(changes: Changes, index: int, period_ns: int, *, halved: bool) -> tuple[int, int]:
    """Return the bounds, relative to change `index`'s `by_ns`, between which its true instant lies."""
    origin = changes.by_ns[index]
    if origin - changes.after_ns[index] > period_ns // 2:
        # Its neighbours may be counted a period off: all that is known is that it is no older than a period.
        return -min(int(origin - changes.after_ns[index]), period_ns), 0
    # Chosen by whole periods: by the instants of reads, those at the rim would be the ones read early.
    periods = np.round((changes.by_ns - origin) / period_ns)
    near = np.abs(periods) <= NEIGHBOURS_PERIODS
    near &= _countable(changes, period_ns, halved=halved)
    steps = periods[near] * period_ns
    # The latest change before a read is never older than a period, however long the read before it took.
    own = max(changes.after_ns[index] - origin, -period_ns)
    # One that was seen less closely bounds by one read alone, and neither change is quite on the grid.
    less_close = (changes.by_ns - changes.after_ns)[near] > LESS_CLOSE * (origin - changes.after_ns[index])
    off_ns = np.where(less_close & halved, int(JITTER * period_ns), 0)
    low = (changes.after_ns[near] - origin - steps - off_ns).max(initial=own)
    high = (changes.by_ns[near] - origin - steps + off_ns).min(initial=0)
    # Neighbours that contradict each other show the sensor's own jitter: what they leave open is as wide,
    # and never outside of what this change's own two reads showed.
    return max(int(own), int(min(low, high))), min(0, int(max(low, high)))


def _countable(changes: Changes, period_ns: int, *, halved: bool) -> NDArray[np.bool_]:
    """Return which changes tell the phase: bool [n]. Others may be counted a period off.

    Those between two close reads, and one that was seen a period after such a one: no other lies between.
    One that may itself have come long before its read says nothing of what followed in that time.
    """
    widths = changes.by_ns - changes.after_ns
    close = widths <= period_ns // 2
    if not halved:
        return np.asarray(close)
    gaps = np.diff(changes.by_ns)
    next_one = (gaps > period_ns / 2) & (gaps <= (1 + SOON) * period_ns)
    return np.asarray(close | np.concatenate([[False], (widths[:-1] <= SOON * period_ns) & next_one]))


def step_scatter(changes: Changes, instants_ns: tuple[int, ...], period_s: float) -> float | None:
    """Return how much single steps of the counter differ around some edges, in the counter's unit.

    None where fewer than `FEWEST_STEPS` were seen around each: then nothing is known of it.

    A window's energy is no better known than one step's: the sensor closes a step a little early or late at
    either end of both. The standard deviation of the steps around each edge, about a line through them, since
    power drifts, says how much.

    Args:
        changes: Observed around the edges.
        instants_ns: The edges.
        period_s: The sensor's period.
    """
    period_ns = ns_from_seconds(period_s)
    gaps = np.diff(changes.by_ns)
    steps = np.diff(changes.value)
    # Between two close reads there was one change, whatever happened since the change before.
    close = changes.by_ns[1:] - changes.after_ns[1:] <= period_ns / 2
    single = close | ((gaps > period_ns / 2) & (gaps < period_ns * LOOSE))
    near = [
        np.nonzero(single & (np.abs(changes.by_ns[1:] - edge) <= NEIGHBOURS_PERIODS * period_ns))[0]
        for edge in instants_ns
    ]
    places = np.round((changes.by_ns[1:] - changes.by_ns[:1]) / period_ns)
    fits = [_about_line(places[chosen], steps[chosen]) for chosen in near if len(chosen) >= FEWEST_STEPS]
    expected = sum(expected for _, expected in fits)
    return float(np.sqrt(sum(squares for squares, _ in fits) / expected)) if expected > 0 else None


def _about_line(places: NDArray[np.float64], steps: NDArray[np.float64]) -> tuple[float, float]:
    """Return the squares of some steps about their line, and those of steps whose variance is 1.

    A change that comes late lengthens one step and shortens the next, so neighbours vary against each
    other: a line through them takes up less of that than of independent noise.
    """
    design = np.stack([np.ones(len(places)), places - places.mean()], axis=1)
    residual = np.eye(len(places)) - design @ np.linalg.pinv(design)
    apart = np.abs(places[:, None] - places)
    covariance = np.where(apart == 0, 1.0, np.where(apart == 1, -0.5, 0.0))
    return float(((residual @ steps) ** 2).sum()), float(np.trace(residual @ covariance))
