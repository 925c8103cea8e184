"""What a long run costs to tell: a run with millions of readings is opened, reported and asked.

``python -m benchmarks.large_run [--readings 10000000] [--from docs/results/h100-2026-11-23]`` copies a
run, gives it so many readings over its own span of time, and prints wall seconds and the largest resident
memory of each command, a process of its own; then how long Chromium takes to open the page and draw it all.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import sync_playwright

from greenbench.results.schema import READINGS

_BATCH = 500_000
_OPENINGS = 7
_RUSAGE_KIB = 1024  # Linux counts ru_maxrss in KiB
_SQL = "SELECT stream, count(*), min(value), max(value) FROM readings GROUP BY ALL ORDER BY 1"


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


def main() -> None:
    """Make the run, time the commands, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--from", dest="source", type=Path, default=Path("docs/results/h100-2026-11-23"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "large"
        enlarge(given.source, run, given.readings)
        commands = {
            "report (terminal)": ["report", str(run)],
            "report --html": ["report", str(run), "--html", str(run / "page.html")],
            "report --figures": ["report", str(run), "--figures", str(run / "figures")],
            "query, a group by over all readings": ["query", str(run), _SQL],
        }
        host = f"{os.cpu_count()} CPUs, {platform.platform()}"
        print(f"{given.readings:,} readings; {host}, {datetime.now(UTC):%F}")
        print("| command | s | peak MiB |\n|---|---:|---:|")
        for name, arguments in commands.items():
            seconds, peak = measured(arguments)
            print(f"| {name} | {seconds:.1f} | {peak:.0f} |")
        took = opened_s(run / "page.html")
        size = (run / "page.html").stat().st_size / 1024**2
        print(
            f"\nthe page holds {size:.2f} MiB; Chromium opens and draws it in "
            f"{median(took):.2f} s (median of {len(took)}; longest {max(took):.2f} s)"
        )


if __name__ == "__main__":
    main()
