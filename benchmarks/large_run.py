"""What a long run costs to tell: a run with millions of readings is opened, reported, asked and exported.

``python -m benchmarks.large_run [--readings 10000000] [--from docs/results/h100-2026-11-23]`` copies a
run, gives it so many readings over its own span of time, and prints wall seconds and the largest resident
memory of each command, a process of its own; then how long Chromium takes to open the page and draw it all.
Each has its limit, printed beside it; one that is passed is named and the exit status is 1.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import sync_playwright

from greenbench.results.schema import READINGS

LIMIT_MIB = 1024.0
"""What a command may hold, whatever the run's size."""
OPENING_LIMIT_S = 2.0
"""What a page may take from opening to its last figure."""
_BATCH = 500_000
_OPENINGS = 7
_RUSAGE_KIB = 1024  # Linux counts ru_maxrss in KiB
_SQL = "SELECT stream, count(*), min(value), max(value) FROM readings GROUP BY ALL ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Command:
    """One greenbench command to measure.

    Attributes:
        name: In the table.
        arguments: Of the command line.
        limit_s: What it may take, for ten million readings on two shared CPUs.
    """

    name: str
    arguments: tuple[str, ...]
    limit_s: float


def enlarge(source: Path, target: Path, readings: int) -> None:
    """Copy a run and put so many readings in the place of its own, power and counter alternating."""
    shutil.copytree(source, target)
    times = pq.read_table(source / "readings.parquet", columns=["t_before_ns", "t_after_ns"])
    begin, end = min(times["t_before_ns"].to_numpy()), max(times["t_after_ns"].to_numpy())
    chance = np.random.default_rng(0)
    with pq.ParquetWriter(target / "readings.parquet", READINGS, compression="zstd") as writer:
        for first in range(0, readings, _BATCH):
            count = min(_BATCH, readings - first)
            t = begin + (np.arange(first, first + count) * ((end - begin) / readings)).astype(np.int64)
            writer.write_table(_batch(t, chance, first))


def _batch(t: np.ndarray, chance: np.random.Generator, first: int) -> pa.Table:
    count = len(t)
    power = np.arange(count) % 2 == 0
    value = np.where(power, 400 + 50 * chance.standard_normal(count), np.arange(first, first + count) * 0.04)
    columns = [
        pa.nulls(count, pa.string()),
        pa.array(np.ones(count, np.int32)),
        pa.array(np.where(power, "instant", "counter")),
        pa.array(t),
        pa.array(t + 20_000),
        pa.array(value),
        pa.array(np.where(power, "W", "J")),
    ]
    return pa.Table.from_arrays(columns, schema=READINGS)


def measured(arguments: list[str]) -> tuple[float, float]:
    """Return wall seconds and the largest resident memory in MiB of one greenbench command."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "greenbench.cli", *arguments]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begin, usage.ru_maxrss * _RUSAGE_KIB / 1024**2


def opened_s(page: Path) -> list[float]:
    """Return wall seconds from opening a page to its last figure drawn, each time in a fresh context.

    Args:
        page: A report.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("no Chromium here; on Debian: apt-get install chromium")
    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(_OPENINGS):
            context = browser.new_context(offline=True)
            view = context.new_page()
            begin = time.perf_counter()
            view.goto(page.as_uri())
            view.wait_for_selector("html[data-drawn]")
            found.append(time.perf_counter() - begin)
            context.close()
        browser.close()
    return found


def commands_on(run: Path) -> tuple[Command, ...]:
    """Return what is measured, with its limits.

    Args:
        run: The enlarged run; what is written goes into it.
    """
    name = str(run)
    return (
        Command("report (terminal)", ("report", name), limit_s=15),
        Command("report --html", ("report", name, "--html", str(run / "page.html")), limit_s=20),
        Command("report --figures", ("report", name, "--figures", str(run / "figures")), limit_s=40),
        Command("query, a group by over all readings", ("query", name, _SQL), limit_s=10),
        Command("export, CSV", ("export", name, "--to", str(run / "csv")), limit_s=40),
        Command(
            "export, Parquet",
            ("export", name, "--to", str(run / "parquet"), "--format", "parquet"),
            limit_s=40,
        ),
    )


def passed_limits(
    name: str, *, seconds: float, limit_s: float, peak_mib: float | None = None, limit_mib: float = LIMIT_MIB
) -> list[str]:
    """Return a sentence per limit that a measurement passed.

    Args:
        name: What was measured.
        seconds: Wall clock.
        limit_s: What it may take.
        peak_mib: Largest resident memory; None where it was not measured.
        limit_mib: What it may be.
    """
    said = [f"{name} took {seconds:.1f} s, the limit is {limit_s:g} s"] if seconds > limit_s else []
    if peak_mib is not None and peak_mib > limit_mib:
        said.append(f"{name} held {peak_mib:.0f} MiB, the limit is {limit_mib:g} MiB")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the run, time the commands, print the table; return 1 where a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--from", dest="source", type=Path, default=Path("docs/results/h100-2026-11-23"))
    parser.add_argument("--limit-mib", type=float, default=LIMIT_MIB, help="resident memory of a command")
    given = parser.parse_args(arguments)
    passed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "large"
        enlarge(given.source, run, given.readings)
        host = f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}"
        print(f"{given.readings:,} readings; {host}, {datetime.now(UTC):%F}")
        print("| command | s | limit, s | peak MiB | limit, MiB |\n|---|---:|---:|---:|---:|")
        for command in commands_on(run):
            seconds, peak = measured(list(command.arguments))
            limits = f"{command.limit_s:g} | {peak:.0f} | {given.limit_mib:g}"
            print(f"| {command.name} | {seconds:.1f} | {limits} |", flush=True)
            passed += passed_limits(
                command.name, seconds=seconds, limit_s=command.limit_s,
                peak_mib=peak, limit_mib=given.limit_mib,
            )  # fmt: skip
        took = opened_s(run / "page.html")
        size = (run / "page.html").stat().st_size / 1024**2
    print(
        f"\nthe page holds {size:.2f} MiB; Chromium opens and draws it in {median(took):.2f} s "
        f"(median of {len(took)}; longest {max(took):.2f} s; limit {OPENING_LIMIT_S:g} s)"
    )
    passed += passed_limits("opening the page", seconds=median(took), limit_s=OPENING_LIMIT_S)
    for sentence in passed:
        print(f"limit passed: {sentence}")
    return int(bool(passed))


if __name__ == "__main__":
    sys.exit(main())
