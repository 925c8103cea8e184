"""Runs inside a runtime's own environment: the real server, and on command a bare loop over the same model.

The bare loop is what a user would write around the framework: forward pass, wait, stamp. It runs on the same
thread and the same loaded model as the server's loop, in the same process, so that nothing differs but the
server around it. Garbage is set aside for both, or the bare loop would pay for collections that the server
avoids.

Commands on standard input, one a line: ``bare SECONDS EXTRA_S`` (burns EXTRA_S after each pass; the positive
control) answers one JSON list of end stamps (CLOCK_MONOTONIC, nanoseconds); ``quit`` ends. It imports
nothing of this package: the runtime's environment has only the runtime.
"""

import gc
import importlib
import json
import os
import sys
from pathlib import Path
from time import monotonic_ns
from typing import Any

from greenbench_runtime.server import Places, serving
from greenbench_runtime.session import EngineParts, Session

CLOSE_S = 5.0


def bare(model: Any, seconds: float, extra_s: float) -> list[int]:
    """Return the end of each pass of a bare loop, CLOCK_MONOTONIC nanoseconds."""
    gc.collect()
    gc.freeze()
    try:
        return _burning(model, seconds, int(extra_s * 1e9)) if extra_s else _plain(model, seconds)
    finally:
        gc.unfreeze()


def _plain(model: Any, seconds: float) -> list[int]:
    ends = [monotonic_ns()]
    until = ends[0] + int(seconds * 1e9)
    infer, synchronize, append = model.infer, model.synchronize, ends.append
    while ends[-1] < until:
        infer()
        synchronize()
        append(monotonic_ns())
    return ends


def _burning(model: Any, seconds: float, extra_ns: int) -> list[int]:
    ends = [monotonic_ns()]
    until = ends[0] + int(seconds * 1e9)
    infer, synchronize, append = model.infer, model.synchronize, ends.append
    while ends[-1] < until:
        infer()
        synchronize()
        burnt = monotonic_ns() + extra_ns
        while monotonic_ns() < burnt:
            pass
        append(monotonic_ns())
    return ends


def _end() -> None:
    """Without its GPU no loop goes on."""
    os._exit(1)


def main() -> None:
    """Serve, and run bare loops on command."""
    engine, address, models, outbox, device = sys.argv[1:6]
    module = importlib.import_module(f"greenbench_runtime.engines.{engine}")
    session = Session(EngineParts(engine=module.engine), device=device)
    places = Places(address=address, models=Path(models), outbox=Path(outbox))
    with serving(session, places, on_lost_context=_end):
        print("ready", flush=True)
        for line in sys.stdin:
            words = line.split()
            if words[0] == "quit":
                break
            model = session._staged_model()  # noqa: SLF001 - the very model that the server's loop runs
            ends = session._thread.submit(bare, model, float(words[1]), float(words[2]))  # noqa: SLF001
            print(json.dumps(ends.result()), flush=True)
    session.close(deadline_s=CLOSE_S)


if __name__ == "__main__":
    main()
