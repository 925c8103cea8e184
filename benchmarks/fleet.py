"""Wall time against the number of nodes, the work of each node the same.

``python -m benchmarks.fleet [--window-s S] [--rounds N] [--nodes N ...] [--repeats N] [--kept FILE.json]``.
Ray clusters on this machine; windows only sleep, so that several nodes of one machine do not slow each other
down: what is timed is the engine, not inference. With ``--kept`` every run is kept when it ends, and the same
command goes on after the last. Status 1 where 8 nodes are less efficient than promised.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from benchmarks.scaling import Kept, Run, keep, read_kept, table
from greenbench.cluster.agent import Programs
from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.ray_hosts import RESOURCE, ray_hosts
from greenbench.cluster.request import FleetRequest
from greenbench.core.progress import Silence
from greenbench.core.suite import Suite, parse_suite

HOST = str(Path(__file__).parents[1] / "tests" / "cluster" / "measuring_host.py")
PROGRAMS = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))
RUNTIMES = ("pytorch", "jax")


def main() -> None:
    """Measure what is not kept yet, print the table."""
    asked = _arguments()
    nodes = sorted(set(asked.nodes))
    trials = asked.rounds * len(RUNTIMES)
    kept = Kept(
        command=f"python -m benchmarks.fleet --window-s {asked.window_s:g} --rounds {asked.rounds} "
        f"--nodes {' '.join(map(str, nodes))} --repeats {asked.repeats}",
        machine=f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        work=f"Each node measures one block of {trials} trials of {asked.window_s:g} s, which only sleep",
    )
    kept = read_kept(asked.kept, kept) if asked.kept else kept
    for count in _left(kept, nodes, asked.repeats):
        kept = replace(kept, runs=(*kept.runs, _run(count, asked.window_s, asked.rounds)))
        if asked.kept:
            keep(asked.kept, kept)
    sys.stdout.write(table(kept))
    sys.exit(kept.missed or 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window-s", type=float, default=10.0, help="length of a trial")
    parser.add_argument("--rounds", type=int, default=6, help="a node's block has two trials a round")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=3, help="runs with each number of nodes")
    parser.add_argument("--kept", type=Path)
    return parser.parse_args()


def _left(kept: Kept, nodes: list[int], repeats: int) -> Iterator[int]:
    """Yield numbers of nodes in turn, so that what else the machine does meets all of them."""
    for repeat in range(repeats):
        yield from (count for count in nodes if len(kept.of(count)) <= repeat)


def _run(count: int, window_s: float, rounds: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for number in range(count):
                _add(cluster, Path(folder) / f"n{number}")
            return _timed(cluster, _suite(count, window_s, rounds), Path(folder) / "results", count)
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's


def _suite(blocks: int, window_s: float, rounds: int) -> Suite:
    matrix = {
        "runtime": list(RUNTIMES),
        "model": ["resnet50"],
        "batch_size": [number + 1 for number in range(blocks)],
    }
    protocol = {"rounds": rounds, "window_s": window_s}
    return parse_suite({"name": "fleet", "matrix": matrix, "protocol": protocol}, "benchmarks.fleet")


def _add(cluster: Cluster, state: Path) -> None:
    state.mkdir()
    cluster.add_node(num_cpus=1, resources={RESOURCE: 1}, env_vars={"GREENBENCH_STATE": str(state)})


def _timed(cluster: Cluster, suite: Suite, out: Path, count: int) -> Run:
    request = FleetRequest(suite=suite, seed=0, out=out, run_id="fleet")
    with ray_hosts(cluster.address, PROGRAMS) as hosts:
        begin_s, ray_s, own_s, all_s = time.monotonic(), *_cpu_s()
        outcome = measure_fleet(hosts, request, Silence())
        wall_s = time.monotonic() - begin_s
        ray_end_s, own_end_s, all_end_s = _cpu_s()
    if outcome.missing:
        raise SystemExit("; ".join(outcome.missing))
    protocol = suite.protocol
    return Run(
        nodes=count,
        wall_s=round(wall_s, 2),
        ideal_s=protocol.rounds * len(RUNTIMES) * protocol.window_s,
        ray_cpu=round((ray_end_s - ray_s) / wall_s, 4),
        others_cpu=round(max(all_end_s - all_s - (own_end_s - own_s), 0.0) / wall_s, 4),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    )


def _cpu_s() -> tuple[float, float, float]:
    """Return CPU seconds so far of Ray's processes, of all that was started here, and of the machine."""
    ray_s = own_s = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times, controller = process.cpu_times(), HOST in process.cmdline()
        except psutil.Error:
            continue
        itself_s = times.user + times.system
        # What a process started and has seen end: an agent's cards and controllers.
        own_s += itself_s + times.children_user + times.children_system
        if not controller and process.pid != os.getpid():
            ray_s += itself_s
    times = psutil.cpu_times()
    return ray_s, own_s, times.user + times.nice + times.system + times.irq + times.softirq


if __name__ == "__main__":
    main()
