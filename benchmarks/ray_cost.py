"""What Ray's own processes cost inside greenbench's windows, on a host that measures and on the head.

``python -m benchmarks.ray_cost [--window-s S] [--rounds N] [--table FILE]``. A head and one measuring node
on this machine; the node runs a real plan (MobileNetV2 in two runtimes, ``--launcher venv``; `greenbench up`
must have made it in GREENBENCH_STATE). The CPU seconds of all Ray processes are read four times a second and
cut at each window's own edges. After the plan the same is read while the cluster idles.
"""

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import psutil
from ray.cluster_utils import Cluster
from scipy import stats

from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.ray_hosts import RESOURCE, ray_hosts
from greenbench.cluster.request import FleetRequest
from greenbench.core.progress import Silence
from greenbench.core.suite import Suite, parse_suite
from greenbench.results.stored import StoredRun

EVERY_S = 0.25
NS = 1e9
MODEL = "mobilenet_v2"
CONTROLLER = ("greenbench.cli", "greenbench.cluster.host_program", "greenbench_runtime")
"""What our own processes have in their command line: they are measured on every host, with Ray or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """CPU of one group of processes.

    Attributes:
        group: ``measuring host`` or ``head``.
        shares: Of one core, a figure a window.
    """

    group: str
    shares: tuple[float, ...]

    @property
    def line(self) -> str:
        """A row of the table: mean and its 95% interval (Student's t over windows), and the largest."""
        half = float(stats.t.ppf(0.975, len(self.shares) - 1)) * stdev(self.shares) / len(self.shares) ** 0.5
        point = mean(self.shares)
        return f"{point:.2%} ({max(point - half, 0.0):.2%} to {point + half:.2%}) | {max(self.shares):.2%}"


class Sampler:
    """Reads CPU seconds of groups of processes, on CLOCK_MONOTONIC."""

    def __init__(self, roots: Mapping[str, Sequence[int]]) -> None:
        """Take each group's first processes; their descendants belong to it."""
        self._roots = roots
        self._at_ns: list[int] = []
        self._cpu_s: dict[str, list[float]] = {group: [] for group in roots}
        self._ended_s = dict.fromkeys(roots, 0.0)
        self._last: dict[str, dict[int, float]] = {group: {} for group in roots}
        self._stop = threading.Event()

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Read until the end of the block."""
        thread = threading.Thread(target=self._loop)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def shares(self, group: str, windows: Sequence[tuple[int, int]]) -> tuple[float, ...]:
        """Return CPU seconds per second inside each window (begin and end, ns)."""
        at, cpu = np.array(self._at_ns, np.float64), np.array(self._cpu_s[group])
        edges = np.array(windows, np.float64)
        used = np.diff(np.interp(edges, at, cpu), axis=1)[:, 0]
        return tuple(used / (np.diff(edges, axis=1)[:, 0] / NS))

    def _loop(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._at_ns.append(time.monotonic_ns())
            for group, pids in self._roots.items():
                now = dict(_cpu_of(pids))
                # A process that ended took its seconds with it: what it had at the last look is kept.
                gone = self._last[group].keys() - now.keys()
                self._ended_s[group] += sum(self._last[group][pid] for pid in gone)
                self._last[group] = now
                self._cpu_s[group].append(sum(now.values()) + self._ended_s[group])


def _cpu_of(pids: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield pid and CPU seconds of processes and their descendants, ours and what ours started left out."""
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if any(word in " ".join(process.cmdline()) for word in CONTROLLER):
                continue
            times = process.cpu_times()
            children = [child.pid for child in process.children()]
        except psutil.Error:
            continue
        yield pid, times.user + times.system
        yield from _cpu_of(children)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window-s", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    state = Path(os.environ.get("GREENBENCH_STATE", ".state")).absolute()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        node = cluster.add_node(
            num_cpus=1, resources={RESOURCE: 1}, env_vars={"GREENBENCH_STATE": str(state)}
        )
        groups = {"measuring host": _pids(node), "head": _pids(cluster.head_node)}
        told = tuple(_measured(cluster, groups, _suite(asked.window_s, asked.rounds)))
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's
    command = f"python -m benchmarks.ray_cost --window-s {asked.window_s:g} --rounds {asked.rounds}"
    host = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, {datetime.now(UTC):%Y-%m-%d}"
    text = "\n".join([f"{host}, `{command}`:", "", *told])
    if asked.table:
        asked.table.write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"{text}\n")


def _suite(window_s: float, rounds: int) -> Suite:
    matrix = {"runtime": ["pytorch", "onnxruntime"], "model": [MODEL], "batch_size": [1]}
    protocol = {
        "rounds": rounds,
        "window_s": window_s,
        "windows": 2,
        "warmup_cap_s": 5.0,
        "baseline_host_s": 1.0,
        "baseline_loaded_s": 1.0,
    }
    return parse_suite({"name": "ray-cost", "matrix": matrix, "protocol": protocol}, "benchmarks.ray_cost")


def _pids(node: Any) -> list[int]:
    return [info.process.pid for infos in node.all_processes.values() for info in infos]


def _measured(cluster: Cluster, groups: Mapping[str, Sequence[int]], suite: Suite) -> Iterator[str]:
    sampler = Sampler(groups)
    with tempfile.TemporaryDirectory() as folder, sampler.sampling():
        request = FleetRequest(
            suite=suite, seed=0, out=Path(folder), run_id="cost", launcher="venv", device="cpu"
        )
        with ray_hosts(cluster.address) as hosts:
            outcome = measure_fleet(hosts, request, Silence())
            if outcome.missing:
                raise SystemExit("; ".join(outcome.missing))
            idle = _idle_windows(suite.protocol.window_s)
        trials = StoredRun(outcome.folders[0]).trials()
    windows = [(row.begin_ns, row.end_ns) for row in trials if row.begin_ns and row.end_ns]
    yield "| processes | in windows, % of one core | largest window | idle, % of one core | largest |"
    yield "|---|---:|---:|---:|---:|"
    for group in groups:
        inside = Share(group=group, shares=sampler.shares(group, windows))
        beside = Share(group=group, shares=sampler.shares(group, idle))
        yield f"| Ray on the {group} | {inside.line} | {beside.line} |"
    yield ""
    yield f"{len(windows)} windows of {suite.protocol.window_s:g} s; idle: {len(idle)} without a block."


def _idle_windows(window_s: float) -> list[tuple[int, int]]:
    windows = []
    for _ in range(6):
        begin_ns = time.monotonic_ns()
        time.sleep(window_s)
        windows.append((begin_ns, time.monotonic_ns()))
    time.sleep(2 * EVERY_S)
    return windows


if __name__ == "__main__":
    main()
