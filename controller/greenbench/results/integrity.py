"""Whether a run's files are as they were written: chain, digests, completeness, the seed's order."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from greenbench.core.plan import order_of_ids
from greenbench.core.units import seconds_from_ns
from greenbench.results.events import CHAIN, Event, line_digest, read_events
from greenbench.results.finding import Finding
from greenbench.results.folder import FINISHED, INTERRUPTED, WRITTEN
from greenbench.results.manifest import Manifest
from greenbench.results.seal import RAW, SEALED, file_digest, manifest_digest, stored_content
from greenbench.results.stored import EVENTS, StoredRun

Findings = Iterator[Finding]
STEP_S = 2.0
"""Two clocks that differ by more than this between two lines: one was set, or the host slept."""


def chain_findings(path: Path) -> Findings:
    """Follow the log's chain.

    Args:
        path: The log.

    Yields:
        One finding for each line that does not follow from the one before it.
    """
    last, begun = b"", False
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return
        said = json.loads(line).get(CHAIN)
        if said is None and begun:
            yield Finding(where=f"{EVENTS} line {number}", what="has no chain, though lines before it have")
        if said is not None and said != line_digest(last):
            yield Finding(
                where=f"{EVENTS} line {number}",
                what="does not follow from the line before it: one was changed, taken out or put in",
            )
        begun = begun or said is not None
        last = line


def chained(run: StoredRun) -> bool:
    """Return whether the log's lines name each other."""
    return any(CHAIN in event for event in run.events())


def file_findings(run: StoredRun) -> Findings:
    """Compare every file with the digest that the log keeps of it."""
    written = [event["sha256"] for event in run.events(WRITTEN)]
    if written and manifest_digest(run.path) != written[-1]:
        yield Finding(where="manifest.json", what="is not the one that the run wrote: its SHA-256 differs")
    sealed = _seal(run)
    for name in SEALED if sealed else ():
        path = run.path / name
        if not path.is_file():
            yield Finding(where=name, what="is missing")
        elif name not in sealed:
            yield Finding(where=name, what="was not there when the run ended")
        elif file_digest(path) != sealed[name]:
            yield Finding(where=name, what="is not the one that the run wrote: its SHA-256 differs")


def _seal(run: StoredRun) -> dict[str, str]:
    last: Event = {}
    for event in run.events():
        last = event
    found = last.get("files") if last.get("event") in {FINISHED, INTERRUPTED} else None
    return dict(found or {})


def raw_findings(run: StoredRun) -> Findings:
    """Compare the raw record, stream by stream, with what the log says was recorded."""
    stored = dict(stored_content(run.readings(), run.iterations()))
    for event in run.events(RAW, "host_recorded"):
        key = (event.get("load_id"), event["attempt" if event["event"] == RAW else "number"])
        for stream, said in event.get("content", {}).items():
            found = stored.get((*key, stream))
            if found != said:
                yield Finding(where=_place(*key, stream), what=_differs(said, found))


def _place(load_id: str | None, attempt: int, stream: str) -> str:
    of = f"{load_id} attempt {attempt}" if load_id else f"baseline {attempt} of the host"
    return f"{of}, {stream}"


def _differs(said: dict[str, Any], found: dict[str, Any] | None) -> str:
    if found is None:
        return f"its {said['rows']} rows are missing"
    if found["rows"] != said["rows"]:
        return f"{found['rows']} rows are there, {said['rows']} were recorded"
    return "its values are not those recorded: their SHA-256 differs"


def plan_findings(manifest: Manifest) -> Findings:
    """Derive the order anew from the seed, and the suite's digest from the suite."""
    text = json.dumps(manifest.suite, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if hashlib.sha256(text.encode()).hexdigest() != manifest.suite_sha256:
        yield Finding(where="manifest.json", what="suite_sha256 is not that of the suite in it")
    cells = tuple(dict.fromkeys(load.partition(".")[2] for load in manifest.order))
    rounds = len(manifest.order) // len(cells) if cells else 0
    fixed = manifest.suite.get("protocol", {}).get("order") == "fixed"
    drawn = order_of_ids(cells, rounds=rounds, seed=manifest.seed, fixed=fixed) if rounds else ()
    expected = [f"r{1 + at // len(cells):02d}.{cell}" for at, cell in enumerate(drawn)]
    if expected != list(manifest.order):
        at = next((i for i, (a, b) in enumerate(zip(expected, manifest.order, strict=False)) if a != b), 0)
        yield Finding(
            where="manifest.json",
            what=f"seed {manifest.seed} draws another order than the one stored, from position {at}",
        )


def completeness_findings(run: StoredRun, manifest: Manifest) -> Findings:
    """Check that every load that ended has its rows, each once, at their places."""
    trials, order = run.trials(), list(manifest.order)
    for trial_id, count in Counter(trial.trial_id for trial in trials).items():
        if count > 1:
            yield Finding(where=trial_id, what=f"is there {count} times")
    for trial in trials:
        if trial.load_id not in order or order.index(trial.load_id) != trial.position:
            yield Finding(
                where=trial.trial_id, what=f"position {trial.position} is not its place in the order"
            )
    yield from _missing_windows(run, manifest)
    ended = [event["event"] for event in run.events()][-1:]
    if ended == [FINISHED]:
        for load_id in sorted(set(order) - run.finished_loads()):
            yield Finding(where=load_id, what="was planned; the run ended and holds nothing of it")


def _missing_windows(run: StoredRun, manifest: Manifest) -> Findings:
    windows = set(range(1, 1 + int(manifest.suite["protocol"]["windows"])))
    for load_id in sorted(run.finished_loads()):
        own = [trial for trial in run.trials() if trial.load_id == load_id]
        measured = {trial.window for trial in own if trial.begin_ns is not None}
        if not own or (measured and measured != windows):
            lacking = sorted(windows - measured)
            yield Finding(where=load_id, what=f"ended, and the rows of windows {lacking} are missing")


def clock_findings(path: Path) -> Findings:
    """Check that CLOCK_MONOTONIC never goes back within a session."""
    last_ns = 0
    for number, event in enumerate(read_events(path), start=1):
        if event["event"] != "run_resumed" and event["t_ns"] < last_ns:
            yield Finding(where=f"{EVENTS} line {number}", what="is stamped earlier than the line before it")
        last_ns = event["t_ns"]


def clock_steps(path: Path) -> Iterator[str]:
    """Say where the time of day and CLOCK_MONOTONIC went different ways: no fault of the results."""
    before: Event | None = None
    for number, event in enumerate(read_events(path), start=1):
        if before is not None and event["event"] != "run_resumed":
            day = datetime.fromisoformat(event["utc"]) - datetime.fromisoformat(before["utc"])
            step_s = day.total_seconds() - seconds_from_ns(event["t_ns"] - before["t_ns"])
            if abs(step_s) > STEP_S:
                yield f"{EVENTS} line {number}: the clock was set by {step_s:+.1f} s, or the host slept"
        before = event
