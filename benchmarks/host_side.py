"""Lines about the host's own process beside a window: its CPU, and what the run's messages take."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.lines import RATIO_WIDTH, Line, bound_line
from benchmarks.loops import Effort
from benchmarks.pairs import FEWEST, Estimate, centre_of, paired, ratio_of
from benchmarks.subject import Cost, Subject
from greenbench.bench.timeline import hold, lay_out
from greenbench.energy.recorder import Recorder
from greenbench.report.live import LiveObserver
from greenbench_wire import benchmark_pb2 as wire

WINDOW_S = 10.0
WARM_UP_S = 5.0
"""As long as a run warms up: what is known of the counter's phase gets old meanwhile."""

OFTEN_S = 0.01
"""Seconds between two messages where their cost is made large enough to see."""

CALLS = 300
HOST_CPU_LIMIT, RPC_LIMIT = 0.01, 1e-4
BUSY_SHARE = 0.05
"""Share of a core above which a thread computes the model and serves nobody."""


def host_cpu_lines(subject: Subject, *, windows: int = FEWEST) -> list[Line]:
    """Take this process's CPU while a window runs as in `greenbench run`, without and with its live line."""
    form = "{:.2%} of a core"
    note = f"{windows} windows of {WINDOW_S:g} s with their edges; recorder, stream and waiting"
    return [
        bound_line(
            f"CPU of the host side beside a window, {where}",
            centre_of([_cpu_share(subject, live=live) for _ in range(windows)]),
            limit=HOST_CPU_LIMIT,
            form=form,
            note=note,
        )
        for where, live in (("output to a file", False), ("live line on a terminal", True))
    ]


def _cpu_share(subject: Subject, *, live: bool) -> float:
    with ExitStack() as stack:
        if live:
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            observer = LiveObserver(Console(file=nowhere, force_terminal=True, width=120))
            stack.enter_context(observer).step("measuring")
        recorder = stack.enter_context(Recorder(subject.sensors(), sensor_period_s=subject.sensor_period_s))
        stream = stack.enter_context(subject.client.run())
        with recorder.dense():  # as in the loaded baseline before a run's windows
            stream.wait(1.0)
        stream.wait(WARM_UP_S)
        began_s, used_s = time.monotonic(), time.process_time()
        _hold_window(recorder, lambda: stream.wait(0.0), subject.sensor_period_s)
        share = (time.process_time() - used_s) / (time.monotonic() - began_s)
        stream.stop()
    return share


def _hold_window(recorder: Recorder, check: Callable[[], object], sensor_period_s: float) -> None:
    asked = lay_out(
        now_ns=time.monotonic_ns(),
        windows=1,
        window_s=WINDOW_S,
        sensor_period_s=sensor_period_s,
        phases=(0.0,),
    )
    hold(
        asked,
        sensor_period_s=sensor_period_s,
        dense=recorder.dense,
        check=check,
        clock=time.monotonic_ns,
        sleep=time.sleep,
    )


def message_lines(subject: Subject, effort: Effort) -> list[Line]:
    """Take what the messages of a run take from its loop, their threads' CPU, and what a call takes."""
    return [_message_line(subject, effort), _thread_line(subject), *_call_lines(subject)]


def _message_line(subject: Subject, effort: Effort) -> Line:
    """Take what messages take from the loop.

    They are made and sent by other threads than the loop's, so their CPU is not what the loop loses: that is
    the time for which they hold the interpreter's lock, and disturbance. Once a second it is too little to
    see, so the same loop runs with a message every 10 ms: the slowdown divided by how many more they are is
    one message's share of a second. So frequent a message holds few stamps: building as many as a second
    has is timed apart and added.
    """
    frequent, usual = paired(
        lambda: subject.server(effort.seconds, progress_s=OFTEN_S),
        lambda: subject.server(effort.seconds),
        least=effort.pairs,
        most=effort.patience * effort.pairs,
        enough=lambda ones, others: _ratio(ones, others).half_width <= RATIO_WIDTH / 2,
    )
    stamps = max(1, round(1 / usual[-1].mean_s))
    build_s = _median_s(lambda: _build(stamps))
    slowdown = _ratio(frequent, usual)
    return bound_line(
        "RPC share of a 10 s window: what its messages take from the loop",
        slowdown.scaled(1.0, offset=-1.0).scaled(1 / (1 / OFTEN_S - 1), offset=build_s),
        limit=RPC_LIMIT,
        form="{:.4%}",
        note=f"slowdown by {1 / OFTEN_S:.0f} messages/s against 1/s, per message, {slowdown.count} pairs; "
        f"of it building {stamps} stamps: {build_s:.4%}",
    )


def _ratio(ones: Sequence[Cost], others: Sequence[Cost]) -> Estimate:
    return ratio_of([cost.mean_s for cost in ones], [cost.mean_s for cost in others])


def _build(stamps: int) -> bytes:
    ends_ns = list(range(10**15, 10**15 + stamps * 10**6, 10**6))
    message: bytes = wire.RunEvent(progress=wire.RunProgress(end_ns=ends_ns)).SerializeToString()
    return message


def _thread_line(subject: Subject) -> Line:
    """Take the CPU of the threads that serve, on whichever core: more than what the loop loses."""
    with subject.client.run() as stream:
        stream.wait(1.5)
        before = _thread_cpu_s(subject.process.pid)
        stream.wait(WINDOW_S)
        after = _thread_cpu_s(subject.process.pid)
        stream.stop()
    used_s = [seconds - before.get(thread, 0.0) for thread, seconds in after.items()]
    serving_s = sum(seconds for seconds in used_s if seconds < BUSY_SHARE * WINDOW_S)
    return Line(
        what="CPU of the server's other threads beside a window",
        figure=f"{serving_s / WINDOW_S:.3%} of a core",
        note="gRPC and handlers, on any core",
    )


def _thread_cpu_s(pid: int) -> Mapping[int, float]:
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        found[int(folder.name)] = int((folder / "schedstat").read_text().split()[0]) / 1e9
    return found


def _call_lines(subject: Subject) -> list[Line]:
    # Stop has no call of its own in the client: runs are ended through their stream.
    calls: dict[str, Callable[[], object]] = {
        "Describe": subject.client.describe,
        "Stop, nothing running": lambda: subject.client._ask("Stop", wire.StopRequest(), 10.0),  # noqa: SLF001
    }
    return [
        Line(
            what=f"one gRPC call ({name}), p50",
            figure=f"{_median_s(call) * 1e3:.2f} ms",
            note=f"{CALLS} calls over the Unix socket, one after the other",
        )
        for name, call in calls.items()
    ]


def _median_s(call: Callable[[], object]) -> float:
    taken_s = []
    for _ in range(CALLS):
        began_s = time.perf_counter()
        call()
        taken_s.append(time.perf_counter() - began_s)
    return float(np.median(taken_s))
