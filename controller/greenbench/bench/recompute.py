"""Every row of a stored run computed again from its raw readings, by the code that made it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from math import isclose, isnan
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from greenbench.bench.basis import BASIS, Basis, basis_before_it_was_kept, basis_of
from greenbench.bench.rows import window_row
from greenbench.core.doubt import Doubt, Limits, Rule, Verdict, worst
from greenbench.core.errors import GreenbenchError
from greenbench.core.reading import Series
from greenbench.core.trial import Baseline, Trial
from greenbench.energy.joules import INTERVALS
from greenbench.energy.window import cut
from greenbench.results.finding import Finding
from greenbench.results.manifest import Manifest
from greenbench.results.rows import baseline_of, doubt_of, trial_of
from greenbench.results.seal import runs_of
from greenbench.results.stored import StoredRun

Key = tuple[str | None, int]
RELATIVE = 1e-9
"""Two libraries may add the same numbers up in another order."""

_COLUMNS = tuple(item.name for item in fields(Trial))
PLANNED = _COLUMNS[: _COLUMNS.index("begin_ns")]
"""Columns that name what was asked for; all others are figures."""

INTERVAL_COLUMNS = frozenset(
    {"energy_u95_j", "energy_net_b0_u95_j", "energy_net_b1_u95_j", "gain_u_rel", "absent"}
)
"""Columns that a log whose intervals were computed otherwise cannot give again."""

INEXACT = INTERVAL_COLUMNS | {"doubts", "verdict", "absent"}
"""Columns that a log without a basis cannot give again."""

SAME_INTERVALS = range(4, INTERVALS + 1)
"""Under these `INTERVALS` intervals were computed as they are now, or can be as they were by
`greenbench.energy.recorder.Record.halved` ..."""
SAME_HALVES = range(5, INTERVALS + 1)
"""... and under these so was what `not_steady` says of power."""


@dataclass(slots=True, kw_only=True)
class _Load:
    basis: Basis | None = None
    doubts: tuple[Doubt, ...] = ()
    baselines: list[Baseline] = field(default_factory=list)
    began_ns: int = 0
    trials: list[tuple[Trial, int]] = field(default_factory=list)


def row_findings(run: StoredRun, manifest: Manifest) -> Iterator[Finding]:
    """Compute every window of a run again and compare every column.

    Args:
        run: Any run, finished or not.
        manifest: Its own.

    Yields:
        One finding for each column that differs, and for each window that cannot be computed.
    """
    loads = _loads(run)
    limits = {Rule(name): Limits(**entry.model_dump()) for name, entry in manifest.thresholds.items()}
    older = basis_before_it_was_kept(manifest)
    ends = dict(_iterations(run))
    waiting = dict(loads)
    for key, series in _readings(run):
        if load := waiting.pop(key, None):
            yield from _of_load(load, load.basis or older, series, ends.get(key), limits)
    for load in waiting.values():
        yield from _of_load(load, load.basis or older, (), None, limits)


def exact(run: StoredRun) -> bool:
    """Return whether the log keeps what every window was cut with."""
    measured = {(trial.load_id, trial.attempt) for trial in run.trials() if trial.begin_ns is not None}
    kept = {(event["load_id"], event["attempt"]) for event in run.events(BASIS)}
    return measured <= kept


def older_intervals(run: StoredRun) -> bool:
    """Return whether a load's intervals were computed otherwise than they are now."""
    return any(event.get("intervals", 1) not in SAME_INTERVALS for event in run.events(BASIS))


def older_halves(run: StoredRun) -> bool:
    """Return whether `not_steady` was told otherwise than now in a load whose power was read."""
    return any(
        event.get("intervals", 1) not in SAME_HALVES and "instant" in event.get("periods_s", ())
        for event in run.events(BASIS)
    )


def _loads(run: StoredRun) -> dict[Key, _Load]:
    loads: dict[Key, _Load] = {}
    now = _Load()
    for event in run.events("load_started", BASIS, "baseline", "trial"):
        if event["event"] == "load_started":
            now = loads.setdefault((event["load_id"], event["attempt"]), _Load(began_ns=event["t_ns"]))
        elif event["event"] == BASIS:
            now.basis, now.doubts = basis_of(event), tuple(map(doubt_of, event["doubts"]))
        elif event["event"] == "baseline":
            now.baselines.append(baseline_of(event["baseline"]))
        else:
            trial = trial_of(event["trial"])
            loads.setdefault((trial.load_id, trial.attempt), _Load()).trials.append((trial, event["t_ns"]))
    return loads


def _of_load(
    load: _Load,
    basis: Basis,
    series: tuple[Series, ...],
    ends_ns: NDArray[np.int64] | None,
    limits: Mapping[Rule, Limits],
) -> Iterator[Finding]:
    for trial, logged_ns in load.trials:
        yield from _stamp_findings(trial, load.began_ns, logged_ns)
        if trial.begin_ns is None or trial.end_ns is None:
            yield from _differences(trial, _blank(trial, failure=trial.failure), skip=frozenset(_LABELS))
            continue
        try:
            ends = np.empty(0, dtype=np.int64) if ends_ns is None else ends_ns
            again = _again(trial, load, basis=basis, series=series, ends_ns=ends, limits=limits)
        except (GreenbenchError, ValueError, IndexError) as err:
            yield Finding(where=trial.trial_id, what=f"cannot be computed from its readings: {err}")
            continue
        skip = _not_again(basis)
        if basis.exact and basis.intervals not in SAME_HALVES and "instant" in basis.periods_s:
            hangs = any(doubt.rule is Rule.NOT_STEADY for doubt in trial.doubts)
            skip |= {"verdict"} if hangs else set()
            yield from _differences(_but_for_halves(trial), _but_for_halves(again), skip=skip)
        else:
            yield from _differences(trial, again, skip=skip)


def _but_for_halves(trial: Trial) -> Trial:
    left = tuple(doubt for doubt in trial.doubts if doubt.rule is not Rule.NOT_STEADY)
    changed = len(left) < len(trial.doubts)
    return replace(trial, doubts=left, verdict=worst(left) if changed else trial.verdict)


def _not_again(basis: Basis) -> frozenset[str]:
    if not basis.exact:
        return INEXACT
    return frozenset() if basis.intervals in SAME_INTERVALS else INTERVAL_COLUMNS


_LABELS = ("doubts", "verdict", "absent", "failure", "energy_scope")


def _stamp_findings(trial: Trial, began_ns: int, logged_ns: int) -> Iterator[Finding]:
    if trial.begin_ns is None or trial.end_ns is None:
        return
    if not began_ns <= trial.begin_ns < trial.end_ns <= logged_ns:
        yield Finding(
            where=trial.trial_id,
            what=f"its window ({trial.begin_ns} to {trial.end_ns} ns) does not lie between its load's begin "
            f"and its entry in the log ({began_ns} to {logged_ns} ns)",
        )


def _blank(trial: Trial, **more: Any) -> Trial:
    planned = {name: getattr(trial, name) for name in PLANNED}
    return Trial(**planned, verdict=Verdict.FAILED, **more)


def _again(
    trial: Trial,
    load: _Load,
    *,
    basis: Basis,
    series: tuple[Series, ...],
    ends_ns: NDArray[np.int64],
    limits: Mapping[Rule, Limits],
) -> Trial:
    record = basis.record(series)
    # Without what was asked for: the same first changes follow the instant before the stored edges.
    asked = _asked(basis, trial.window) or ((trial.begin_ns or 0) - 1, (trial.end_ns or 0) - 1)
    window = cut(
        record,
        basis.meters,
        asked_begin_ns=asked[0],
        asked_end_ns=asked[1],
        ends_ns=ends_ns,
        sensor_period_s=basis.sensor_period_s,
    )
    return window_row(
        _blank(trial),
        window,
        basis.instruments(limits),
        doubts=load.doubts,
        baselines=tuple(load.baselines),
        estimate_cpu=trial.energy_cpu_estimated_j is not None,
    )


def _asked(basis: Basis, window: int) -> tuple[int, int] | None:
    return basis.asked_ns[window - 1] if 0 < window <= len(basis.asked_ns) else None


def _differences(stored: Trial, again: Trial, *, skip: frozenset[str]) -> Iterator[Finding]:
    for item in fields(Trial):
        was, computed = getattr(stored, item.name), getattr(again, item.name)
        if item.name not in skip and not same(was, computed):
            yield Finding(
                where=stored.trial_id,
                what=f"{item.name} is {_shown(was)}, its readings give {_shown(computed)}",
            )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + "; ".join(getattr(item, "sentence", "") or str(item) for item in value) + "]"
    return "null" if value is None else f"{value!r}"


def same(left: Any, right: Any) -> bool:
    """Return whether two values of a column are the same but for the order of additions."""
    if isinstance(left, float) and isinstance(right, (float, int)):
        return isclose(left, right, rel_tol=RELATIVE, abs_tol=1e-12) or (isnan(left) and isnan(right))
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, Doubt) and isinstance(right, Doubt):
        return all(same(getattr(left, item.name), getattr(right, item.name)) for item in fields(Doubt))
    return bool(left == right)


def _iterations(run: StoredRun) -> Iterator[tuple[Key, NDArray[np.int64]]]:
    for key, table in _by_load(run.iterations()):
        yield key, table["end_ns"].to_numpy()


def _readings(run: StoredRun) -> Iterator[tuple[Key, tuple[Series, ...]]]:
    for key, table in _by_load(run.readings()):
        names = table["stream"].to_numpy()
        yield key, tuple(_series(table.filter(pa.array(names == stream)), stream) for stream in set(names))


def _series(table: pa.Table, stream: str) -> Series:
    return Series(
        stream=stream,
        unit=table["unit"][0].as_py(),
        t_before_ns=table["t_before_ns"].to_numpy(),
        t_after_ns=table["t_after_ns"].to_numpy(),
        value=table["value"].to_numpy(),
    )


def _by_load(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Key, pa.Table]]:
    """Gather one load's rows at a time: they lie together, as one part was written."""
    waiting: list[pa.RecordBatch] = []
    now: Key | None = None
    for batch in batches:
        for key, rows in runs_of(batch, "load_id", "attempt"):
            if waiting and key != now:
                yield _keyed(now, waiting)
                waiting = []
            now = key
            waiting.append(rows)
    if waiting:
        yield _keyed(now, waiting)


def _keyed(key: Key | None, rows: list[pa.RecordBatch]) -> tuple[Key, pa.Table]:
    return key or (None, 0), pa.Table.from_batches(rows)
