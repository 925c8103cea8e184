"""Runs inside a runtime's own environment: the real server, and on command a bare loop over the same model.

The bare loop is what a user would write around the framework: forward pass, wait, stamp. It runs on the same
thread and the same loaded model as the server's loop, so that nothing differs but the server around it.

Commands on standard input, one a line: ``bare SECONDS EXTRA_S`` (burns EXTRA_S after each pass; the positive
control) answers the iteration times as one JSON list of seconds; ``quit`` ends.
"""

import importlib
import json
import sys
from itertools import pairwise
from pathlib import Path
from time import monotonic_ns, perf_counter
from typing import Any

from greenbench_runtime.server import Places, serving
from greenbench_runtime.session import EngineParts, Session


def bare(model: Any, seconds: float, extra_s: float) -> list[float]:
    """Return the time of each pass of a bare loop, seconds."""
    ends = [monotonic_ns()]
    until = ends[0] + int(seconds * 1e9)
    infer, synchronize, append = model.infer, model.synchronize, ends.append
    while ends[-1] < until:
        infer()
        synchronize()
        if extra_s:
            burn = perf_counter() + extra_s
            while perf_counter() < burn:
                pass
        append(monotonic_ns())
    return [(after - before) / 1e9 for before, after in pairwise(ends)]


def main() -> None:
    """Serve, and run bare loops on command."""
    engine_name, address, models, outbox = sys.argv[1:5]
    module = importlib.import_module(f"greenbench_runtime.engines.{engine_name}")
    parts = EngineParts(engine=module.engine)
    session = Session(parts, device="cpu")
    with serving(session, Places(address=address, models=Path(models), outbox=Path(outbox))):
        print("ready", flush=True)
        for line in sys.stdin:
            words = line.split()
            if words[0] == "quit":
                break
            model = session._loaded.model  # noqa: SLF001 - the very model that the server's loop runs
            times = session._thread.submit(bare, model, float(words[1]), float(words[2])).result()  # noqa: SLF001
            print(json.dumps(times), flush=True)
    session.close(deadline_s=5.0)


if __name__ == "__main__":
    main()
