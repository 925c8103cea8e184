"""Runs inside a runtime's own environment: the real server, and on command a bare loop over the same model.

The bare loop is what a user would write around the framework: forward pass, wait, stamp. It runs on the same
thread and the same loaded model as the server's loop, in the same process, so that nothing differs but the
server around it. Garbage is set aside for both, or the bare loop would pay for collections that the server
avoids.

Commands on standard input, one a line: ``bare SECONDS EXTRA_S`` (burns EXTRA_S after each pass; the positive
control) answers one JSON list of end stamps (CLOCK_MONOTONIC, nanoseconds); with ``SLICE_S PATTERN`` behind
it burns only in slices of its time that the pattern, ``0`` and ``1``, names; ``script SECONDS EXTRA_S``
does the same by the framework's own calls alone; ``quit`` ends. It is started as a file, so that its
neighbour is all it sees of this package: the runtime's environment has only the runtime.
"""

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import monotonic_ns
from typing import Any

from native_pass import native_pass

from greenbench_runtime.server import Places, serving
from greenbench_runtime.session import EngineParts, Session

CLOSE_S = 5.0


def timed(
    context: AbstractContextManager[Any],
    one: Callable[[], object],
    seconds: float,
    extra_s: float,
    sliced: tuple[float, str] = (1.0, "1"),
) -> list[int]:
    """Return the end of each pass of a loop, CLOCK_MONOTONIC nanoseconds.

    `sliced` holds the length of a slice, seconds, and which of them burn.
    """
    gc.collect()
    gc.freeze()
    try:
        with context:
            if not extra_s:
                return _plain(one, seconds)
            slice_s, pattern = sliced
            return _burning(one, seconds, int(extra_s * 1e9), int(slice_s * 1e9), pattern)
    finally:
        gc.unfreeze()


def bare_pass(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    """Return one pass of the server's own model object and the wait for it."""
    infer, synchronize = model.infer, model.synchronize

    def one() -> None:
        infer()
        synchronize()

    return nullcontext(), one


def _plain(one: Callable[[], object], seconds: float) -> list[int]:
    ends = [monotonic_ns()]
    until = ends[0] + int(seconds * 1e9)
    append = ends.append
    while ends[-1] < until:
        one()
        append(monotonic_ns())
    return ends


def _burning(
    one: Callable[[], object], seconds: float, extra_ns: int, slice_ns: int, pattern: str
) -> list[int]:
    ends = [monotonic_ns()]
    until = ends[0] + int(seconds * 1e9)
    append, last = ends.append, len(pattern) - 1
    while ends[-1] < until:
        one()
        burnt = monotonic_ns()
        if pattern[min((burnt - ends[0]) // slice_ns, last)] == "1":
            burnt += extra_ns
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
            context, one = bare_pass(model) if words[0] == "bare" else native_pass(engine, model)
            seconds, extra_s = float(words[1]), float(words[2])
            sliced = [(float(words[3]), words[4])] if words[3:] else []
            ends = session._thread.submit(timed, context, one, seconds, extra_s, *sliced)  # noqa: SLF001
            print(json.dumps(ends.result()), flush=True)
    session.close(deadline_s=CLOSE_S)


if __name__ == "__main__":
    main()
