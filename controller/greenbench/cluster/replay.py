"""What the log of an interrupted run over several hosts says: its request, and which blocks are measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from greenbench.cluster.card import HostCard
from greenbench.cluster.dispatch import Task
from greenbench.cluster.request import FleetRequest
from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.core.suite import parse_suite
from greenbench.results.events import read_events

STARTED, ADMITTED, DEALT, FINISHED = "fleet_started", "host_admitted", "blocks_dealt", "block_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What an earlier controller left.

    Attributes:
        finished: Blocks whose shards are on this disk, whole.
        kinds: Kinds of host that each measure every block; empty where each block is measured once.
        like: The host that all are compared with; None before one was admitted.
    """

    finished: tuple[Task, ...] = ()
    kinds: tuple[str, ...] = ()
    like: HostCard | None = None


def started(request: FleetRequest, version: str) -> dict[str, Any]:
    """Return the log's first event's fields: all that a resume asks for again."""
    return {
        "run_id": request.run_id,
        "greenbench_version": version,
        "suite": request.suite.as_mapping(),
        "seed": request.seed,
        "launcher": request.launcher,
        "device": request.device,
        "gpu_model": request.gpu_model,
        "replicate": request.replicate,
    }


def find_log(run: str, out: Path) -> Path | None:
    """Return the log of a run over several hosts, by its id or merged folder; None where there is none."""
    # Absolute first: "." has no name of its own.
    names = [path for path in (Path(run).absolute(), (out / run).absolute()) if path.name]
    return next(
        (log for name in names if (log := name.with_name(f"{name.name}.fleet.jsonl")).is_file()), None
    )


def replay(log: Path, *, version: str) -> tuple[FleetRequest, Replay]:
    """Read what is left of a run.

    Args:
        log: Its ``RUN.fleet.jsonl``.
        version: Of the greenbench that asks: blocks of two versions are not one run.

    Returns:
        The request as it was, and what is measured.

    Raises:
        ConfigurationError: It was begun by another version.
        DamagedResultsError: The log has no header that can be read.
    """
    events = list(read_events(log))
    if not events or events[0]["event"] != STARTED:
        raise DamagedResultsError(f"{log} does not begin with {STARTED!r}: it cannot be resumed")
    header = events[0]
    if header["greenbench_version"] != version:
        raise ConfigurationError(
            f"{header['run_id']} was begun by greenbench {header['greenbench_version']}, this is {version}; "
            "resume it with that version, or begin anew"
        )
    request = FleetRequest(
        suite=parse_suite(header["suite"], str(log)),
        out=log.parent,
        **{name: header[name] for name in ("run_id", "seed", "launcher", "device", "gpu_model", "replicate")},
    )
    return request, Replay(finished=_finished(events, request), kinds=_kinds(events), like=_like(events))


def _finished(events: Iterable[Mapping[str, Any]], request: FleetRequest) -> tuple[Task, ...]:
    """A block counts where the log and the disk both have it: a shard is renamed into place whole."""
    found = {
        (one["shard"], one["kind"] if request.replicate else None): Task(
            index=one["shard"], kind=one["kind"], attempt=one["attempt"]
        )
        for one in events
        if one["event"] == FINISHED
    }
    return tuple(task for task in found.values() if request.folder_of(task).is_dir())


def _kinds(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return next((tuple(one["kinds"]) for one in events if one["event"] == DEALT), ())


def _like(events: Iterable[Mapping[str, Any]]) -> HostCard | None:
    card = next((one["card"] for one in events if one["event"] == ADMITTED), None)
    known = {field.name for field in fields(HostCard)}
    return HostCard(**{name: value for name, value in card.items() if name in known}) if card else None
