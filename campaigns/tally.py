"""What a campaign of kills did and found: kept as JSON, a chunk an entry, and told as Markdown."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

KINDS = (
    "controller",
    "runtime",
    "torn write",
    "full disk",
    "full state",
    "engine killed",
    "engine restarted",
    "engine killed or restarted",
)
"""What is done to a run, in the order of the table's columns."""

TEXT = """\
`make kill-campaign`. A run of ONNX Runtime on the CPU is hit one to six times, resumed,
and verified. Each row is one chunk of the campaign, which goes on where it stopped. Under `docker` the
runtime that is killed is a container; the engine that is killed (SIGKILL) or restarted (SIGTERM) is one of
the campaign's own (an early chunk did not tell the two apart). `full disk` is the results' disk, `full state`
that of the state folder. A fault that the run went through without needing what failed is not counted (seed
15 counted those of `full state`)."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done and found.

    Attributes:
        kills: By what was hit.
        runs: Runs that were hit and ended whole.
        trials: Rows that had been written before a hit, each looked up afterwards.
        broken: One sentence for each broken promise.
        seed: Of the moments.
        launcher: What the runtimes were started by.
        cpus: Of the machine; None where it cannot say.
        seconds: How long it took.
        date: When, UTC.
    """

    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    runs: int = 0
    trials: int = 0
    broken: list[str] = field(default_factory=list)
    seed: int = 0
    launcher: str = "venv"
    cpus: int | None = field(default_factory=os.cpu_count)
    seconds: float = 0.0
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%F}")

    @property
    def hits(self) -> int:
        """Faults that hit a run."""
        return sum(self.kills.values())


def read_chunks(path: Path) -> list[Tally]:
    """Return the chunks kept so far; none where there is no such file."""
    return [Tally(**chunk) for chunk in json.loads(path.read_text())] if path.exists() else []


def keep_chunks(path: Path, chunks: Sequence[Tally]) -> None:
    """Keep the chunks as JSON, and beside it as a table."""
    path.write_text(json.dumps([asdict(chunk) for chunk in chunks], indent=1) + "\n")
    path.with_suffix(".md").write_text(table(chunks))


def table(chunks: Sequence[Tally]) -> str:
    """Return all chunks as Markdown, their sums in the last row."""
    head = (
        "date",
        "CPUs",
        "launcher",
        "seed",
        *KINDS,
        "runs that ended whole",
        "finished rows looked up",
        "broken",
    )
    lines = [
        "# Kills and other faults at random moments",
        "",
        TEXT,
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(
            _row((chunk.date, str(chunk.cpus or ""), chunk.launcher, str(chunk.seed)), chunk)
            for chunk in chunks
        ),
        _row(("all", "", "", ""), _sum(chunks)),
        "",
        *(f"- {sentence}" for chunk in chunks for sentence in chunk.broken),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _row(first: Sequence[str], tally: Tally) -> str:
    kinds: Mapping[str, int] = tally.kills
    numbers = (*(kinds.get(kind, 0) for kind in KINDS), tally.runs, tally.trials, len(tally.broken))
    return f"| {' | '.join([*first, *map(str, numbers)])} |"


def _sum(chunks: Sequence[Tally]) -> Tally:
    kills = {kind: sum(chunk.kills.get(kind, 0) for chunk in chunks) for kind in KINDS}
    broken = [sentence for chunk in chunks for sentence in chunk.broken]
    runs, trials = sum(chunk.runs for chunk in chunks), sum(chunk.trials for chunk in chunks)
    return Tally(kills=kills, runs=runs, trials=trials, broken=broken)
