"""Wall time of one plan against the number of nodes, and what Ray's own processes cost beside windows.

``python -m benchmarks.fleet [--window-s S] [--nodes N ...]``. A Ray cluster on this machine; windows only
sleep, so that several nodes of one machine do not slow each other down: what is timed is the engine, not
inference.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from greenbench.cluster.agent import Programs
from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.ray_hosts import RESOURCE, ray_hosts
from greenbench.cluster.request import FleetRequest
from greenbench.core.progress import Silence
from greenbench.core.suite import Suite, parse_suite

HOST = str(Path(__file__).parents[1] / "tests" / "cluster" / "measuring_host.py")
PROGRAMS = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))
BATCHES, ROUNDS, RUNTIMES = [1, 2, 4, 8, 16, 32, 64, 128], 3, ("pytorch", "jax")
MODELS = ["resnet50", "bert_base"]
BLOCKS = len(BATCHES) * len(MODELS)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window-s", type=float, default=10.0, help="length of a trial")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    asked = parser.parse_args()
    window_s, nodes = asked.window_s, sorted(asked.nodes)
    suite = _suite(window_s)
    host = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, {datetime.now(UTC):%Y-%m-%d}"
    trials = ROUNDS * len(RUNTIMES)
    command = f"python -m benchmarks.fleet --window-s {window_s:g} --nodes {' '.join(map(str, nodes))}"
    print(f"{host}, `{command}`: {BLOCKS} blocks of {trials} trials, {window_s:g} s each\n")
    print("| nodes | wall s | ideal s | efficiency | CPU of all Ray processes, % of one core |")
    print("|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for count, before in zip(nodes, (0, *nodes), strict=False):
                for number in range(before, count):
                    _add(cluster, Path(folder) / f"n{number}")
                print(_row(cluster, suite, Path(folder), count, window_s), flush=True)
        finally:
            cluster.shutdown()


def _suite(window_s: float) -> Suite:
    matrix = {"runtime": list(RUNTIMES), "model": MODELS, "batch_size": BATCHES}
    protocol = {"rounds": ROUNDS, "window_s": window_s}
    return parse_suite({"name": "fleet", "matrix": matrix, "protocol": protocol}, "benchmarks.fleet")


def _add(cluster: Cluster, state: Path) -> None:
    state.mkdir()
    cluster.add_node(num_cpus=1, resources={RESOURCE: 1}, env_vars={"GREENBENCH_STATE": str(state)})


def _row(cluster: Cluster, suite: Suite, folder: Path, count: int, window_s: float) -> str:
    request = FleetRequest(suite=suite, seed=0, out=folder / "results", run_id=f"on{count}")
    with ray_hosts(cluster.address, PROGRAMS) as hosts:
        begin_s, before = time.monotonic(), _ray_cpu_s()
        outcome = measure_fleet(hosts, request, Silence())
        wall_s, after = time.monotonic() - begin_s, _ray_cpu_s()
    # A process that is new counts from its start; Ray's long-lived ones are all still there.
    cpu_s = sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
    if outcome.missing:
        raise SystemExit("; ".join(outcome.missing))
    ideal_s = BLOCKS * ROUNDS * len(RUNTIMES) * window_s / count
    share = cpu_s / wall_s
    return f"| {count} | {wall_s:.1f} | {ideal_s:.1f} | {ideal_s / wall_s:.2f} | {share:.1%} |"


def _ray_cpu_s() -> dict[int, float]:
    """Return pid -> CPU seconds so far of what this cluster runs, controllers and this process left out."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if HOST not in process.cmdline():
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
