"""What must hold of a run that was hit, resumed and has ended."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from campaigns.site import Site
from greenbench.bench.breaker import ATTEMPTS


def events_of(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a run's log; none where there is no log yet."""
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def trials_of(folder: Path) -> dict[str, Any]:
    """Return trial_id -> row of every trial that is on disk."""
    rows = [event["trial"] for event in events_of(folder) if event["event"] == "trial"]
    return {row["trial_id"]: row for row in rows}


def broken_promises(
    site: Site, folder: Path, ended: subprocess.CompletedProcess[str], *, deaths: int
) -> Iterator[str]:
    """Yield a sentence for each promise that an ended run breaks.

    Args:
        site: Where it ran.
        folder: Its results.
        ended: Its last process.
        deaths: How often its runtime was made to die: so many attempts may have failed.
    """
    events = events_of(folder)
    if not events or events[-1]["event"] != "run_finished":
        yield f"it did not finish (status {ended.returncode}): {ended.stderr[-300:]}"
        return
    yield from _broken_rows(folder, events, deaths)
    if left := [str(item) for item in folder.rglob("*") if item.suffix == ".tmp" or item.name == "parts"]:
        yield f"leftovers: {left}"
    if running := site.victims.alive():
        yield f"runtimes that still run: {running}"
    verified = subprocess.run(
        site.command("verify", str(folder)), capture_output=True, text=True, check=False, env=site.environment
    )
    if verified.returncode:
        yield f"verify: {verified.stdout[:600]}"


def _broken_rows(folder: Path, events: list[dict[str, Any]], deaths: int) -> Iterator[str]:
    rows = [event["trial"] for event in events if event["event"] == "trial"]
    windows = [(row["load_id"], row["window"]) for row in rows if row["begin_ns"] is not None]
    if len(set(windows)) < len(windows):
        yield "a window was measured twice"
    failed = Counter(row["load_id"] for row in rows if row["failure"])
    if failed.total() > deaths:
        reasons = {row["failure"] for row in rows if row["failure"]}
        yield f"{failed.total()} attempts failed, the runtime was hit {deaths} times: {reasons}"
    # Where each attempt's runtime was killed the load stays failed, as it should.
    given_up = {load for load, times in failed.items() if times >= ATTEMPTS}
    order = json.loads((folder / "manifest.json").read_text())["order"]
    if {(load, number) for load in order if load not in given_up for number in (1, 2)} != set(windows):
        yield f"it holds {len(set(windows))} windows of {2 * (len(order) - len(given_up))}"
