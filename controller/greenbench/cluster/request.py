"""What is asked of several hosts."""

from dataclasses import dataclass
from pathlib import Path

from greenbench.cluster.dispatch import Task
from greenbench.core.suite import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRequest:
    """What is asked of several hosts.

    Attributes:
        suite: As resolved.
        seed: Of the order and of the windows' phases.
        out: Parent of the merged run's folder.
        run_id: Its name.
        launcher: As for one host.
        device: As for one host.
        gpu_model: Only hosts whose kind holds these words; None for all.
        replicate: Whether every kind of host measures every block.
    """

    suite: Suite
    seed: int
    out: Path
    run_id: str
    launcher: str = "auto"
    device: str = "auto"
    gpu_model: str | None = None
    replicate: bool = False

    @property
    def log(self) -> Path:
        """The log of what hosts did."""
        return self.out / f"{self.run_id}.fleet.jsonl"

    def folder_of(self, task: Task) -> Path:
        """Return where a measured shard lies."""
        kind = slug(task.kind or "") if self.replicate else "all"
        return self.out / f"{self.run_id}.shards" / kind / f"{task.index:04d}"

    def merged(self, kind: str) -> Path:
        """Return where the run of one kind of host is joined; of all where `kind` is empty."""
        return self.out / (self.run_id + (f"-{slug(kind)}" if kind else ""))


def slug(text: str) -> str:
    """Return a kind of host as a part of a file's name."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text).split()).lower()
