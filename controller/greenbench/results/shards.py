"""The shards of one plan, read and checked before they are joined."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import ConfigurationError
from greenbench.results.folder import FINISHED, INTERRUPTED
from greenbench.results.manifest import Manifest, ShardEntry
from greenbench.results.stored import StoredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRun:
    """One shard on disk.

    Attributes:
        run: Its folder.
        manifest: Its manifest.
        entry: Which part of the plan it is.
        loads_done: Loads that are on disk whole.
        finished: Whether it came to its end.
    """

    run: StoredRun
    manifest: Manifest
    entry: ShardEntry
    loads_done: int
    finished: bool

    @property
    def host_id(self) -> str:
        """The host that measured it."""
        return str(self.manifest.host["host_id"])


def read_shards(folders: Sequence[Path]) -> tuple[ShardRun, ...]:
    """Read shards, in the order of their numbers.

    Raises:
        ConfigurationError: A run is no shard.
        DamagedResultsError: Manifest or log of one cannot be read.
    """
    return tuple(sorted((_read(folder) for folder in folders), key=lambda shard: shard.entry.index))


def _read(folder: Path) -> ShardRun:
    run = StoredRun(folder)
    manifest = run.manifest()
    if manifest.shard is None:
        what = "is merged already" if manifest.shards else "was run without --shard"
        raise ConfigurationError(f"{folder} {what}; merge joins the shards of one plan")
    # A resumed shard says both: what it said last counts.
    outcomes = [event["event"] for event in run.events(FINISHED, INTERRUPTED, "run_resumed")]
    return ShardRun(
        run=run,
        manifest=manifest,
        entry=manifest.shard,
        loads_done=len(run.finished_loads()),
        finished=bool(outcomes) and outcomes[-1] == FINISHED,
    )


_SAME: tuple[tuple[str, Callable[[Manifest], object]], ...] = (
    ("greenbench versions", lambda manifest: manifest.greenbench_version),
    ("devices", lambda manifest: manifest.device),
    ("seeds", lambda manifest: manifest.seed),
    ("numbers of shards", lambda manifest: manifest.shard.count if manifest.shard else None),
    ("suites", lambda manifest: manifest.suite_sha256 if manifest.plan_sha256 is None else None),
    ("plans", lambda manifest: manifest.plan_sha256),
)
"""What shards of one plan have in common, in the order in which a reader understands it."""


def check_one_plan(shards: Sequence[ShardRun]) -> None:
    """Refuse shards that don't belong together, or whose trials would stand there twice.

    Raises:
        ConfigurationError: Names what differs, both values and both folders.
    """
    if not shards:
        raise ConfigurationError("merge needs the folders of the shards")
    first = shards[0]
    for other in shards[1:]:
        for words, value in _SAME:
            here, there = value(first.manifest), value(other.manifest)
            if here != there:
                raise ConfigurationError(
                    f"{first.run.path} and {other.run.path} are not of one plan: other {words}, "
                    f"{here} and {there}"
                )
    _check_runtimes(shards)
    _check_distinct(shards)


def _check_runtimes(shards: Sequence[ShardRun]) -> None:
    """Refuse a runtime with other packages elsewhere; images of the same packages have other digests."""
    seen: dict[str, ShardRun] = {}
    for shard in shards:
        for name, entry in shard.manifest.runtimes.items():
            earlier = seen.setdefault(name, shard)
            known = earlier.manifest.runtimes[name]
            changed = sorted(dict(known.packages.items() ^ entry.packages.items()))
            if changed or (known.lock_sha256, known.launcher) != (entry.lock_sha256, entry.launcher):
                what = f"packages ({', '.join(changed[:3])})" if changed else "requirements or launcher"
                raise ConfigurationError(
                    f"{name} has other {what} in {earlier.run.path} than in {shard.run.path}; "
                    "`greenbench up` on every host from the same version, then run that shard again"
                )


def _check_distinct(shards: Sequence[ShardRun]) -> None:
    twice = [index for index, count in Counter(shard.entry.index for shard in shards).items() if count > 1]
    if twice:
        own = [shard for shard in shards if shard.entry.index == twice[0]]
        folders = " and ".join(str(shard.run.path) for shard in own)
        raise ConfigurationError(f"shard {own[0].entry.label} is there twice: {folders}; leave one out")
    trials = Counter(trial.trial_id for shard in shards for trial in shard.run.trials())
    doubled = [name for name, count in trials.items() if count > 1]
    if doubled:
        raise ConfigurationError(f"trial {doubled[0]} is there twice, and {len(doubled) - 1} others")


def gaps(shards: Sequence[ShardRun]) -> Iterator[str]:
    """Yield a sentence for each shard that is missing or unfinished."""
    count = shards[0].entry.count
    there = {shard.entry.index: shard for shard in shards}
    for index in range(1, count + 1):
        shard = there.get(index)
        if shard is None:
            yield f"shard {index}/{count} is missing"
        elif not shard.finished:
            loads = f"{shard.loads_done} of {len(shard.manifest.order)} loads"
            yield f"shard {shard.entry.label} is unfinished ({loads}): {shard.run.path}"


def differences(shards: Sequence[ShardRun]) -> Iterator[str]:
    """Yield a sentence for each thing in which the hosts differ: their blocks stand side by side only."""
    pairs = (
        ("GPUs", [shard.manifest.gpu.name if shard.manifest.gpu else None for shard in shards]),
        ("drivers", [shard.manifest.gpu.driver if shard.manifest.gpu else None for shard in shards]),
        ("processors", [shard.manifest.host.get("cpu_model") for shard in shards]),
        ("energy scopes", [shard.manifest.host.get("energy_scope") for shard in shards]),
        ("greenbench commits", [shard.manifest.git_commit for shard in shards]),
    )
    for words, values in (*pairs, *_images(shards)):
        if len(set(values)) > 1:
            told = ", ".join(
                f"{value or 'unknown'} (shard {shard.entry.label})"
                for value, shard in zip(values, shards, strict=True)
            )
            yield f"other {words}: {told}"


def _images(shards: Sequence[ShardRun]) -> Iterator[tuple[str, list[str | None]]]:
    for name in sorted({name for shard in shards for name in shard.manifest.runtimes}):
        entries = [shard.manifest.runtimes.get(name) for shard in shards]
        if all(entries):
            yield f"images of {name}", [entry.image_digest if entry else None for entry in entries]
