"""manifest.json: what was run, on what, with what; everything but the figures."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from greenbench.core.errors import DamagedResultsError
from greenbench.results.durable import replacing
from greenbench.results.events import plain

SCHEMA_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LeftOutEntry(_Part):
    """A cell that was asked for and not measured, and why."""

    cell: str
    reason: str


class RefusalEntry(_Part):
    """A conversion to ONNX that a converter or ONNX Runtime refused, and what it said."""

    model: str
    source: str
    sequence_length: int | None = None
    reason: str


class RoundsEntry(_Part):
    """The number of rounds as ``--target-u`` fixed it after the pilot.

    Attributes:
        rounds: Of the whole run, the pilot included.
        pilot: Rounds that it was fixed from.
        target_u: Half the width of the 95% interval over the mean that was asked for.
        cell: The cell that takes the most rounds; None where none has a spread.
        spread_rel: That cell's standard deviation of round means over their mean.
        seen: Rounds of the pilot in which that cell had a value.
        expected_u: The interval to be expected of it.
        capped: Whether it would take more.
    """

    rounds: int
    pilot: int
    target_u: float
    cell: str | None = None
    spread_rel: float | None = None
    seen: int = 0
    expected_u: float | None = None
    capped: bool = False


class ShardEntry(_Part):
    """Which part of a plan a run measured.

    Attributes:
        index: From 1.
        count: How many parts the plan was cut into.
        blocks: Model and batch size of its blocks, such as ``resnet50.b64``.
    """

    index: int
    count: int
    blocks: tuple[str, ...]

    @property
    def label(self) -> str:
        """As on the command line: ``2/3``."""
        return f"{self.index}/{self.count}"


class GpuEntry(_Part):
    """The GPU that was measured."""

    uuid: str
    name: str
    driver: str
    architecture: str | None = None
    memory_b: int | None = None


class RuntimeEntry(_Part):
    """One runtime as it was run.

    Attributes:
        launcher: ``docker`` or ``venv``.
        image_digest: Of its image; None under ``venv``.
        image_reference: ``REPOSITORY@sha256:...`` by which a registry has it; None where none does.
        lock_sha256: Of its requirements; None where an environment was adopted.
        python: Its Python.
        packages: Package -> version, all that is installed.
        adopted: Python of an adopted environment; None where greenbench made it.
    """

    launcher: str
    image_digest: str | None = None
    image_reference: str | None = None
    lock_sha256: str | None = None
    python: str | None = None
    packages: dict[str, str] = {}
    adopted: str | None = None


class ThresholdEntry(_Part):
    """The limits of one rule in force; None where the rule has no such verdict."""

    doubtful: float | None = None
    invalid: float | None = None
    low_is_bad: bool = False


class Manifest(_Part):
    """manifest.json.

    Attributes:
        schema_version: Of the run's folder as a whole.
        run_id: Name of the folder.
        created_utc: ISO 8601.
        greenbench_version: That measured.
        git_commit: Of the checkout that measured, with ``+dirty`` where it was changed; None outside one.
        suite: As resolved, every default written out.
        suite_sha256: Of the suite's canonical JSON.
        seed: Of the order.
        plan_sha256: Of suite, seed and device: equal where two hosts measured parts of one plan.
        shard: Which part of the plan this is; None for all of it.
        order: load_id of every load, in order.
        rounds: Fixed after the pilot of ``--target-u``; None before, or where the suite says how many.
        left_out: Cells asked for and not measured.
        refused_conversions: To ONNX, of weights of this origin, as known when the run began.
        host: Facts of the host, see `greenbench.results.host`.
        device: ``cpu`` or ``cuda``.
        gpu: The GPU; None on the CPU.
        sensor_periods_s: Stream -> seconds between its changes.
        absent: Domain -> why it cannot be measured here.
        runtimes: By name.
        numeric_flags: cell_id -> flag -> value as the runtime reads it back.
        thresholds: Rule -> limits in force.
        fleet_node: The node of a fleet; None where there is none.
        shards: Of a merged run, each shard's own manifest; `host`, `gpu` and the like above them hold only
            what all shards share.
        shards_missing: Of a merged run, one sentence per shard that is missing or unfinished.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    created_utc: str
    greenbench_version: str
    git_commit: str | None = None
    suite: dict[str, Any]
    suite_sha256: str
    seed: int
    plan_sha256: str | None = None
    shard: ShardEntry | None = None
    order: tuple[str, ...]
    rounds: RoundsEntry | None = None
    left_out: tuple[LeftOutEntry, ...] = ()
    refused_conversions: tuple[RefusalEntry, ...] = ()
    host: dict[str, Any]
    device: str
    gpu: GpuEntry | None = None
    sensor_periods_s: dict[str, float] = {}
    absent: dict[str, str] = {}
    runtimes: dict[str, RuntimeEntry] = {}
    numeric_flags: dict[str, dict[str, str]] = {}
    thresholds: dict[str, ThresholdEntry] = {}
    fleet_node: str | None = None
    shards: tuple["Manifest", ...] = ()
    shards_missing: tuple[str, ...] = ()

    @property
    def measured_on(self) -> tuple["Manifest", ...]:
        """The manifests that name a host: a merged run's shards, else this one."""
        return self.shards or (self,)

    def write(self, path: Path) -> None:
        """Write the manifest, whole or not at all.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        text = json.dumps(plain(self.model_dump(mode="json")), indent=2, allow_nan=False) + "\n"
        with replacing(path) as file:
            file.write(text.encode())


def _writer(values: Any) -> str:
    named = values.get("greenbench_version") if isinstance(values, dict) else None
    return f" ({named})" if isinstance(named, str) else ""


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        DamagedResultsError: It is not there, is damaged, or is of another schema version.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as err:
        raise DamagedResultsError(f"{path} cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise DamagedResultsError(f"{path} is damaged: it is not JSON") from err
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise DamagedResultsError(
            f"{path} has schema version {version}; this greenbench reads {SCHEMA_VERSION}; "
            f"use the greenbench that wrote it{_writer(values)}, or a newer one"
        )
    try:
        return Manifest.model_validate(values)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedResultsError(f"{path} is damaged: {where}: {first['msg']}") from err
