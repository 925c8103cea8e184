"""The two edges of a window: the sensor's own changes where there is one, else the runtime's stamps."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain, Series
from greenbench.core.units import ns_from_seconds, seconds_from_ns
from greenbench.energy.changes import Edge, changes_of, first_edge_after, step_scatter
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import iterations_at, middle
from greenbench.energy.recorder import Record

_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Where a window begins and ends.

    Attributes:
        source: ``counter``, ``rapl`` or ``runtime``.
        begin: First edge.
        end: Last edge, later than the first.
        scatter_j: Standard deviation of single steps of the counter around the edges; 0 for other sources,
            None where too few steps were seen to tell.
        iterations_u95: Half the width of the 95% interval of the iterations between the edges, as a share
            of them: what interpolating inside an iteration leaves open.
    """

    source: str
    begin: Edge
    end: Edge
    scatter_j: float | None = 0.0
    iterations_u95: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return seconds_from_ns(self.end.t_ns - self.begin.t_ns)


def edges_of(
    record: Record,
    meters: MeterSet,
    *,
    asked_ns: tuple[int, int],
    ends_ns: NDArray[np.int64],
    sensor_period_s: float,
) -> Edges:
    """Return a window's edges, at the first sensor that has both inside the runtime's own stamps.

    Args:
        record: From before the asked begin to after the asked end.
        meters: Which streams make which domain.
        asked_ns: Begin and end as asked for; the edges are the first changes after them.
        ends_ns: int64 [n], end of every iteration, ascending.
        sensor_period_s: Calibrated period of the energy counter; 0 where there is none.

    Raises:
        MeterError: Fewer than two iterations ended: there is no window.
    """
    if len(ends_ns) < 2:  # noqa: PLR2004 - a whole iteration has two ends
        raise MeterError(
            f"{len(ends_ns)} iterations ended while the load was held; make protocol.window_s longer"
        )
    found = _counter(record, meters, asked_ns, sensor_period_s) or _rapl(record, meters, asked_ns)
    if found is None or found.begin.t_ns < ends_ns[0] or found.end.t_ns > ends_ns[-1]:
        return _runtime(ends_ns, asked_ns)
    period_s = sensor_period_s if found.source == "counter" else 0.0
    return Edges(
        source=found.source,
        begin=found.begin,
        end=found.end,
        scatter_j=found.scatter_j,
        iterations_u95=_iterations_u95(ends_ns, found, period_s),
    )


def _counter(
    record: Record, meters: MeterSet, asked_ns: tuple[int, int], sensor_period_s: float
) -> Edges | None:
    series = _series(record, meters, Domain.GPU)
    if series is None or not sensor_period_s or series.stream not in record.dense:
        return None
    changes = changes_of(series)
    begin, end = (
        first_edge_after(changes, instant, sensor_period_s, halved=record.halved) for instant in asked_ns
    )
    scatter_j = step_scatter(changes, asked_ns, sensor_period_s)
    return _ordered("counter", begin, end, scatter_j)


def _rapl(record: Record, meters: MeterSet, asked_ns: tuple[int, int]) -> Edges | None:
    series = _series(record, meters, Domain.CPU)
    if series is None:
        return None
    begin, end = (_first_reading_after(series, instant) for instant in asked_ns)
    return _ordered("rapl", begin, end, 0.0)


def _series(record: Record, meters: MeterSet, domain: Domain) -> Series | None:
    streams = meters.domains.get(domain, ())
    return record.get(streams[0]) if streams else None


def _ordered(source: str, begin: Edge | None, end: Edge | None, scatter_j: float | None) -> Edges | None:
    if begin is None or end is None or end.t_ns <= begin.t_ns:
        return None
    return Edges(source=source, begin=begin, end=end, scatter_j=scatter_j)


def _first_reading_after(series: Series, instant_ns: int) -> Edge | None:
    """Return the first changed reading after an instant: what RAPL says is a millisecond old at most."""
    times = middle(series)
    changed = np.concatenate([[False], np.diff(series.value) != 0])
    found = np.nonzero(changed & (times > instant_ns))[0]
    if not len(found):
        return None
    return Edge(t_ns=int(times[found[0]]), value=float(series.value[found[0]]), uncertainty_s=0.0)


def _runtime(ends_ns: NDArray[np.int64], asked_ns: tuple[int, int]) -> Edges:
    last = len(ends_ns) - 1
    begin, end = (min(int(np.searchsorted(ends_ns, instant)), last) for instant in asked_ns)
    if begin == end:  # one iteration is longer than the window: all of it is the window
        begin, end = (end - 1, end) if end else (0, 1)
    edges = (Edge(t_ns=int(ends_ns[index]), value=float(index), uncertainty_s=0.0) for index in (begin, end))
    return Edges(source="runtime", begin=next(edges), end=next(edges))


def _iterations_u95(ends_ns: NDArray[np.int64], edges: Edges, period_s: float) -> float:
    """Return how uncertain the interpolated iterations are, as a share of them.

    Where an iteration is shorter than the sensor's period, the sensor averages over whole ones and nothing
    is added. Else share f of an iteration's time may hold f(1-f) more or less of its energy: power in one
    part of it up to three times that in the other.
    """
    counts = [iterations_at(ends_ns, edge.t_ns) for edge in (edges.begin, edges.end)]
    between = counts[1] - counts[0]
    mean_ns = (edges.end.t_ns - edges.begin.t_ns) / between if between else np.inf
    if mean_ns <= ns_from_seconds(period_s):
        return 0.0
    shares = [count % 1 for count in counts]
    halves = [share * (1 - share) for share in shares]
    return _TWO_SIDED_95 * sqrt(sum(half**2 / 3 for half in halves)) / between if between else 0.0
