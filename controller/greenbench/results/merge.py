"""Joining the shards of one plan into one run's folder: no row is changed, every row says who measured it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from greenbench.core.errors import ConfigurationError
from greenbench.core.writing import kept_in
from greenbench.results.durable import replacing, sync_folder
from greenbench.results.events import EventLog, plain, utc_now
from greenbench.results.folder import FINISHED, INTERRUPTED
from greenbench.results.manifest import SCHEMA_VERSION, Manifest
from greenbench.results.parts import ITERATIONS_KIND, READINGS_KIND, Source, join_runs, write_rows
from greenbench.results.rows import row_of
from greenbench.results.runs import MANIFEST
from greenbench.results.schema import BASELINES, TRIALS
from greenbench.results.shards import ShardRun, check_one_plan, differences, gaps, read_shards
from greenbench.results.stored import EVENTS, TRIALS_FILE

_Value = TypeVar("_Value")
_ENDS = {FINISHED: "shard_finished", INTERRUPTED: "shard_interrupted"}
"""The end of a shard is not the end of the merged run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge came to.

    Attributes:
        folder: The merged run.
        notes: In what hosts differ, and what is missing.
    """

    folder: Path
    notes: tuple[str, ...]


def merge_shards(folders: Sequence[Path], out: Path, *, allow_incomplete: bool = False) -> Merged:
    """Join shards into the folder of one run, which `report`, `query`, `export` and `compare` read.

    Args:
        folders: Of the shards, in any order; they stay as they are.
        out: The merged run's folder; its name becomes the run's id.
        allow_incomplete: Whether missing and unfinished shards are named in the manifest instead of refused.

    Raises:
        ConfigurationError: `out` is there, or the shards don't belong together or are not all.
        DamagedResultsError: A file of a shard cannot be read.
        GreenbenchError: The disk is full or refuses.
    """
    if out.exists():
        raise ConfigurationError(f"{out} is already there; name a folder that is not")
    shards = read_shards(folders)
    check_one_plan(shards)
    missing = tuple(gaps(shards))
    if missing and not allow_incomplete:
        raise ConfigurationError(
            f"{'; '.join(missing)}; run or resume it first, or join what there is with --allow-incomplete"
        )
    _write(shards, out, missing)
    return Merged(folder=out, notes=(*differences(shards), *missing))


def _write(shards: Sequence[ShardRun], out: Path, missing: tuple[str, ...]) -> None:
    with kept_in(out):
        out.mkdir(parents=True)
        sync_folder(out.parent)
    _write_events(shards, out / EVENTS, complete=not missing)
    sources = [Source(folder=s.run.path, run_id=s.manifest.run_id, host_id=s.host_id) for s in shards]
    for kind in (READINGS_KIND, ITERATIONS_KIND):
        join_runs(kind.merged_in(out), kind, sources)
    trials = (trial for shard in shards for trial in shard.run.final_trials())
    write_rows(out / TRIALS_FILE, TRIALS, map(row_of, trials))
    baselines = (baseline for shard in shards for baseline in shard.run.baselines())
    write_rows(out / "baselines.parquet", BASELINES, map(row_of, baselines))
    with replacing(out / "parity.json") as file:
        cells = [cell for shard in shards for cell in shard.run.parity()]
        file.write(json.dumps({"schema_version": SCHEMA_VERSION, "cells": cells}, indent=2).encode() + b"\n")
    # Last: a folder without a manifest is no run, so a merge that was cut off is none either.
    merged_manifest([shard.manifest for shard in shards], run_id=out.name, missing=missing).write(
        out / MANIFEST
    )


def _write_events(shards: Sequence[ShardRun], path: Path, *, complete: bool) -> None:
    with replacing(path) as file:
        for event in _events(shards):
            file.write(json.dumps(plain(event), separators=(",", ":"), allow_nan=False).encode() + b"\n")
    with EventLog(path) as log:
        log.append(FINISHED if complete else INTERRUPTED)


def _events(shards: Sequence[ShardRun]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        whose = {"run_id": shard.manifest.run_id, "host_id": shard.host_id, "shard": shard.entry.label}
        for event in shard.run.events():
            yield {**event, "event": _ENDS.get(event["event"], event["event"]), **whose}


def merged_manifest(shards: Sequence[Manifest], *, run_id: str, missing: tuple[str, ...] = ()) -> Manifest:
    """Return the manifest of a merged run: at the top what all shards share, each shard's own below it.

    Args:
        shards: Manifests of one plan's shards.
        run_id: Of the merged run.
        missing: One sentence per shard that is missing or unfinished.
    """
    first = shards[0]
    return Manifest(
        run_id=run_id,
        created_utc=utc_now().isoformat(),
        greenbench_version=first.greenbench_version,
        git_commit=_one(shard.git_commit for shard in shards),
        suite=first.suite,
        suite_sha256=first.suite_sha256,
        seed=first.seed,
        plan_sha256=first.plan_sha256,
        order=tuple(load for shard in shards for load in shard.order),
        left_out=tuple({item: None for shard in shards for item in shard.left_out}),
        host=_shared(shard.host for shard in shards),
        device=first.device,
        gpu=_one(shard.gpu for shard in shards),
        sensor_periods_s=_shared(shard.sensor_periods_s for shard in shards),
        absent=_shared(shard.absent for shard in shards),
        runtimes=_joined(shard.runtimes for shard in shards),
        numeric_flags=_joined(shard.numeric_flags for shard in shards),
        thresholds=_shared(shard.thresholds for shard in shards),
        shards=tuple(shards),
        shards_missing=missing,
    )


def _one(values: Iterable[_Value | None]) -> _Value | None:
    found = list(values)
    return found[0] if all(value == found[0] for value in found) else None


def _shared(mappings: Iterable[Mapping[str, _Value]]) -> dict[str, _Value]:
    """Return the keys that have the same value everywhere."""
    found = list(mappings)
    return {key: value for key, value in found[0].items() if all(own.get(key) == value for own in found)}


def _joined(mappings: Iterable[Mapping[str, _Value]]) -> dict[str, _Value]:
    """Return every key; the first value where several have it, as the shards' own manifests tell them all."""
    result: dict[str, _Value] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            result.setdefault(key, value)
    return result
