"""What one turn of asking many hosts costs the one that asks.

``python -m benchmarks.asking [--hosts N ...]``. A Ray head on this machine with a few idle agents; each turn
asks them so often as there would be hosts, as many at a time as the engine does. The agents' own work is in
the wall time too, and a thousand hosts would do it elsewhere: CPU is what the asking process alone takes.
"""

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime
from statistics import median

from ray.cluster_utils import Cluster

from greenbench.cluster.agent import Heard
from greenbench.cluster.asking import ask_all
from greenbench.cluster.engine import Host
from greenbench.cluster.ray_hosts import RESOURCE, ray_hosts

AGENTS, TURNS = 4, 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1000])
    asked = parser.parse_args()
    host = f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, {datetime.now(UTC):%Y-%m-%d}"
    command = f"python -m benchmarks.asking --hosts {' '.join(map(str, asked.hosts))}"
    load = os.getloadavg()[0]
    lines = [
        f"{host}, `{command}`, load average {load:.1f}: median of {TURNS} turns\n",
        "| hosts | wall s | CPU s |",
    ]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(AGENTS):
            cluster.add_node(num_cpus=1, resources={RESOURCE: 1})
        with ray_hosts(cluster.address) as hosts:
            agents = list(hosts.arrived())
            lines += ["|---:|---:|---:|", *(_row(agents, count) for count in asked.hosts)]
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's
    sys.stdout.write("\n".join(lines) + "\n")


def _row(agents: list[Host], count: int) -> str:
    often = [agents[number % len(agents)] for number in range(count)]
    _turn(often)  # Agents start with their first question.
    turns = [_turn(often) for _ in range(TURNS)]
    wall_s, cpu_s = (median(values) for values in zip(*turns, strict=True))
    return f"| {count} | {wall_s:.2f} | {cpu_s:.2f} |"


def _turn(often: list[Host]) -> tuple[float, float]:
    begin_s, before_s = time.monotonic(), time.process_time()
    for host, heard in ask_all(often, lambda one: one.hear()):
        if not isinstance(heard, Heard):
            raise SystemExit(f"{host.name}: {heard}")
    return time.monotonic() - begin_s, time.process_time() - before_s


if __name__ == "__main__":
    main()
