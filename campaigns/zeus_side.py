"""ZeusMonitor in a process and an environment of its own, told when to begin and end its windows.

`python zeus_side.py GPU` imports nothing but Zeus. One JSON object a line on standard input, ``begin_ns`` and
``end_ns`` by CLOCK_MONOTONIC; for each, one on standard output with the stamps taken just before the
two calls and the joules of that GPU. The first line out, before any in, names Zeus's version.
"""

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any


def wait_until(instant_ns: int) -> None:
    """Sleep until an instant of CLOCK_MONOTONIC."""
    while (left_ns := instant_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


def measured(monitor: Any, gpu: int, begin_ns: int, end_ns: int) -> dict[str, float]:
    """Let a monitor measure one window; its calls' own stamps, since a window may be late."""
    wait_until(begin_ns)
    began_ns = time.monotonic_ns()
    # Without synchronising: the load runs in another process and through both edges.
    monitor.begin_window("window", sync_execution=False)
    wait_until(end_ns)
    ended_ns = time.monotonic_ns()
    found = monitor.end_window("window", sync_execution=False)
    return {"begin_ns": began_ns, "end_ns": ended_ns, "joules": found.gpu_energy[gpu]}


def main(arguments: list[str]) -> int:
    """Serve standard input until it ends."""
    gpu = int(arguments[0])
    # By name: Zeus is in this process's environment, not in the one that checks types.
    monitor = import_module("zeus.monitor").ZeusMonitor(gpu_indices=[gpu], cpu_indices=[])
    print(json.dumps({"zeus": version("zeus")}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measured(monitor, gpu, **json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
