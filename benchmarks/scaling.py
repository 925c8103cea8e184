"""Runs of the same work per node over several numbers of nodes: what is kept of them, and the table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy import stats

LIMIT, LIMIT_NODES = 0.85, 8
"""Smallest efficiency with so many nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a plan.

    Attributes:
        nodes: How many hosts measured.
        wall_s: From the first host asked to the merged run, seconds.
        ideal_s: Length of all trials of one host, seconds.
        ray_cpu: CPU of all Ray processes, of one core.
        others_cpu: CPU of what else ran on the machine, of one core.
        date: When it ended, UTC.
    """

    nodes: int
    wall_s: float
    ideal_s: float
    ray_cpu: float
    others_cpu: float
    date: str

    @property
    def efficiency(self) -> float:
        """Share of the wall time in which hosts measured."""
        return self.ideal_s / self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept: how it was measured, on what, and every run."""

    command: str
    machine: str
    work: str
    runs: tuple[Run, ...] = ()

    @property
    def protocol(self) -> tuple[str, str]:
        """What must be the same where runs are added later."""
        return self.machine, self.work

    def of(self, nodes: int) -> tuple[Run, ...]:
        """Return the runs with so many nodes."""
        return tuple(run for run in self.runs if run.nodes == nodes)

    @property
    def missed(self) -> str:
        """Why the limit is not kept; empty where it is, or where it was not measured."""
        found = [run.efficiency for run in self.of(LIMIT_NODES)]
        if not found or mean(found) >= LIMIT:
            return ""
        return f"{LIMIT_NODES} nodes are {mean(found):.3f} efficient, promised is {LIMIT}"


def with_interval(values: Sequence[float]) -> str:
    """Return the mean and its 95% interval (Student's t over runs); one run has none."""
    if len(values) < 2:  # noqa: PLR2004 - a standard deviation takes two
        return f"{mean(values):.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3f} ({mean(values) - half:.3f} to {mean(values) + half:.3f})"


def table(kept: Kept) -> str:
    """Return the runs as a page."""
    lines = [
        "# Wall time against the number of nodes",
        "",
        f"`{kept.command}`, {kept.runs[0].date} to {kept.runs[-1].date} UTC, {kept.machine}.",
        f"{kept.work}. All nodes are Ray nodes of this one machine and share its cores, as hosts would not.",
        "Efficiency: length of a node's trials over wall time, from the first host asked to the merged run;",
        "mean of the runs and its 95% interval. CPU is in shares of one core.",
        "",
        "| nodes | runs | ideal s | wall s | efficiency | CPU of Ray | CPU of other work |",
        "|---:|---:|---:|---:|---|---:|---:|",
    ]
    lines += [_row(kept.of(nodes)) for nodes in sorted({run.nodes for run in kept.runs})]
    if kept.of(LIMIT_NODES):
        answer = f"**no**: {kept.missed}" if kept.missed else "yes"
        lines += ["", f"At least {LIMIT} efficient with {LIMIT_NODES} nodes: {answer}."]
    return "\n".join(lines) + "\n"


def _row(runs: Sequence[Run]) -> str:
    walls = [run.wall_s for run in runs]
    cells = (
        str(runs[0].nodes),
        str(len(runs)),
        f"{runs[0].ideal_s:.0f}",
        f"{mean(walls):.1f} ({min(walls):.1f} to {max(walls):.1f})",
        with_interval([run.efficiency for run in runs]),
        f"{mean(run.ray_cpu for run in runs):.1%}",
        f"{mean(run.others_cpu for run in runs):.0%}",
    )
    return f"| {' | '.join(cells)} |"


def read_kept(path: Path, fresh: Kept) -> Kept:
    """Return `fresh` with the runs, and the commands of other sessions, that are kept already.

    Raises:
        SystemExit: They were measured otherwise, or on another machine.
    """
    if not path.exists():
        return fresh
    values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    kept = Kept(**{**values, "runs": tuple(Run(**run) for run in values["runs"])})
    if kept.protocol != fresh.protocol:
        raise SystemExit(
            f"{path} holds runs of {kept.protocol}, asked is {fresh.protocol}; name another --kept"
        )
    if fresh.command in kept.command.split("; "):
        return kept
    return replace(kept, command=f"{kept.command}; {fresh.command}")


def keep(path: Path, kept: Kept) -> None:
    """Keep the runs as JSON, and the table beside them."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(kept), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    path.with_suffix(".md").write_text(table(kept), encoding="utf-8")
