"""What a process holds over time, and whether it grows: memory, descriptors, sockets, threads."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import altair as alt
import psutil
from scipy.stats import theilslopes

MEBIBYTE = 1 << 20
WARMUP_SHARE = 1 / 3
"""Share of the samples that is left out: pools fill and caches warm up there."""

FEWEST_SAMPLES = 12
"""Fewer than these cannot tell growth from chance; the judge then says so, which is a failure."""

LIMITS: dict[str, float] = {
    "memory_bytes": 24.0 * MEBIBYTE,
    "descriptors": 2.0,
    "sockets": 2.0,
    "threads": 2.0,
}
"""Largest growth over the judged part of a campaign, by what grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at one process.

    Attributes:
        elapsed_s: Since the first look, seconds.
        work: Requests or cycles done by then.
        memory_bytes: Resident set.
        descriptors: Open, sockets included.
        sockets: Open, of every family.
        threads: Of the process.
    """

    elapsed_s: float
    work: int
    memory_bytes: int
    descriptors: int
    sockets: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a quantity grew by, over the judged part.

    Attributes:
        name: Of the quantity, a key of `LIMITS`.
        median: Over the judged part, in the quantity's unit.
        grown: Theil-Sen slope times span, in the quantity's unit.
        limit: Largest growth that is let pass.
    """

    name: str
    median: float
    grown: float
    limit: float

    @property
    def flat(self) -> bool:
        """Whether it stayed within the limit."""
        return self.grown <= self.limit


@dataclass(slots=True)
class Watch:
    """Looks at one process again and again."""

    process: psutil.Process
    samples: list[Sample] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def look(self, work: int) -> None:
        """Keep one sample; raises `OSError` or `psutil.Error` where the process is gone."""
        targets = list(_descriptors(self.process.pid))
        self.samples.append(
            Sample(
                elapsed_s=time.monotonic() - self.began_s,
                work=work,
                memory_bytes=self.process.memory_info().rss,
                descriptors=len(targets),
                sockets=sum(target.startswith("socket:") for target in targets),
                threads=self.process.num_threads(),
            )
        )


def _descriptors(pid: int) -> Iterator[str]:
    for item in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            yield str(item.readlink())


def judge(samples: Sequence[Sample], limits: dict[str, float] | None = None) -> tuple[Growth, ...]:
    """Return the growth of every quantity once the warm-up is left out.

    The slope is Theil and Sen's, which a third of strange samples cannot bend: *Sen, Estimates of the
    regression coefficient based on Kendall's tau, 1968*.

    Raises:
        ValueError: There are fewer than `FEWEST_SAMPLES`.
    """
    if len(samples) < FEWEST_SAMPLES:
        raise ValueError(f"{len(samples)} samples cannot show growth; {FEWEST_SAMPLES} are needed")
    judged = samples[int(len(samples) * WARMUP_SHARE) :]
    times = [sample.elapsed_s for sample in judged]
    found = []
    for name, limit in (limits or LIMITS).items():
        values = [float(getattr(sample, name)) for sample in judged]
        grown = float(theilslopes(values, times).slope) * (times[-1] - times[0])
        found.append(Growth(name=name, median=statistics.median(values), grown=grown, limit=limit))
    return tuple(found)


def growth_table(growths: Sequence[Growth]) -> list[str]:
    """Return the judgement as lines of a Markdown table."""
    lines = ["| | median | growth over the last two thirds | limit | |", "|---|---|---|---|---|"]
    for growth in growths:
        unit = MEBIBYTE if growth.name == "memory_bytes" else 1
        name = "memory, MiB" if growth.name == "memory_bytes" else growth.name
        said = "flat" if growth.flat else "**grows**"
        figures = (f"{value / unit:.1f}" for value in (growth.median, growth.grown, growth.limit))
        lines.append(f"| {name} | {' | '.join(figures)} | {said} |")
    return lines


def plot(named: dict[str, Sequence[Sample]], path: Path, *, work: str) -> None:
    """Draw every quantity of every process over the work done, as PNG or SVG by the path's ending.

    Args:
        named: Samples by the process's name.
        path: Of the picture.
        work: What the horizontal axis counts: ``requests``, ``cycles``.
    """
    rows = [
        asdict(sample) | {"process": name, "memory, MiB": sample.memory_bytes / MEBIBYTE}
        for name, samples in named.items()
        for sample in samples
    ]
    quantities = ("memory, MiB", "descriptors", "sockets", "threads")
    panels = [
        alt.Chart(alt.InlineData(values=rows), width=420, height=110)
        .mark_line()
        .encode(
            x=alt.X("work:Q", title=work),
            y=alt.Y(f"{quantity}:Q", title=quantity, scale=alt.Scale(zero=True)),
            color=alt.Color("process:N", title=None),
        )
        for quantity in quantities
    ]
    alt.vconcat(*panels).save(path)
