"""A run that goes on in a runtime while the host reads its sensors."""

import threading
import time
from array import array
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from greenbench.core.errors import FleetError, RuntimeCallError
from greenbench.fleet.answers import RunSummary
from greenbench.fleet.channel import CallErrors
from greenbench_wire import benchmark_pb2 as wire

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 120.0
STALL_S = 300.0


class RunStream:
    """Collects a run's events on a thread of its own while entered; leaving cancels what still runs.

    The thread sleeps inside gRPC between events, at most one a second: it costs nothing beside a window.
    """

    def __init__(
        self,
        begin: Callable[[], Any],
        *,
        request_stop: Callable[[], bool],
        errors: CallErrors,
        stall_s: float = STALL_S,
    ) -> None:
        """Prepare a run; `RuntimeClient.run` does this.

        Args:
            begin: Begins the Run call and returns its stream of events.
            request_stop: Calls Stop.
            errors: Translates what the stream raises.
            stall_s: Longest silence of the stream, seconds, before `wait` takes it for hung.
        """
        self._begin = begin
        self._request_stop = request_stop
        self._errors = errors
        self._stall_s = stall_s
        self._call: Any = None
        self._lock = threading.Lock()
        self._ends = array("q")
        self._started_ns: int | None = None
        self._finished: wire.RunFinished | None = None
        self._begun = threading.Event()
        self._over = threading.Event()
        self._heard_s = time.monotonic()
        self._left = False
        self._thread = threading.Thread(target=self._collect, name="greenbench-run", daemon=True)
        self.error: FleetError | None = None

    def __enter__(self) -> Self:
        self._call = self._begin()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._call.cancel()
        self._thread.join()

    @property
    def started_ns(self) -> int:
        """CLOCK_MONOTONIC of the run's begin, nanoseconds; waits for it.

        Raises:
            FleetError: The run broke, or did not begin in time.
        """
        if not self._begun.wait(START_DEADLINE_S):
            raise self._errors.timeout("the begin of Run", START_DEADLINE_S)
        if self._started_ns is None:
            raise self.error or RuntimeCallError("the run ended before it began", code="ABORTED")
        return self._started_ns

    def ends_ns(self) -> NDArray[np.int64]:
        """Return the end stamps told so far: int64 [n], CLOCK_MONOTONIC, nanoseconds.

        The runtime tells them about once a second; all of them are there after `stop`.
        """
        with self._lock:
            return np.array(self._ends, dtype=np.int64)

    def wait(self, seconds: float) -> bool:
        """Let the run go on for a while.

        Args:
            seconds: How long at most; less where it ends by itself.

        Returns:
            Whether it still runs.

        Raises:
            FleetError: It broke, its runtime died, or nothing was heard of it for too long.
        """
        over = self._over.wait(seconds)
        if self.error is not None:
            raise self.error
        if not over and time.monotonic() - self._heard_s > self._stall_s:
            raise self._errors.timeout("the progress of Run", self._stall_s)
        return not over

    def stop(self, *, deadline_s: float = STOP_DEADLINE_S) -> RunSummary:
        """End the run after its current iteration and return all of it.

        Args:
            deadline_s: Longest wait for the end, seconds.

        Raises:
            FleetError: It broke before, or does not end.
        """
        if not self._over.is_set():
            self._request_stop()
            if not self._over.wait(deadline_s):
                raise self._errors.timeout("Stop", deadline_s)
        if self.error is not None:
            raise self.error
        return self._summary()

    def _summary(self) -> RunSummary:
        started_ns, finished = self.started_ns, self._finished
        if finished is None:
            raise RuntimeCallError("the run's stream ended without its summary", code="DATA_LOSS")
        ends_ns = self.ends_ns()
        if len(ends_ns) != finished.iterations:
            raise RuntimeCallError(
                f"the run told {len(ends_ns)} end stamps for {finished.iterations} iterations",
                code="DATA_LOSS",
            )
        stamps = np.concatenate([[started_ns], ends_ns, [finished.monotonic_ns]])
        if (np.diff(stamps) < 0).any():
            raise RuntimeCallError(
                "the run told end stamps that go back, or lie outside of its own begin and end",
                code="DATA_LOSS",
            )
        return RunSummary(
            started_ns=started_ns,
            finished_ns=finished.monotonic_ns,
            iterations=finished.iterations,
            ends_ns=ends_ns,
            reason=finished.reason,
        )

    def _collect(self) -> None:
        try:
            for event in self._call:
                self._hear(event)
        except grpc.RpcError as error:
            # What the host cancelled itself is no failure, and nobody waits for its reason.
            if not self._left:
                self.error = self._errors.translate(error, call="Run", deadline_s=None)
        finally:
            self._over.set()
            self._begun.set()

    def _hear(self, event: wire.RunEvent) -> None:
        self._heard_s = time.monotonic()
        kind = event.WhichOneof("event")
        if kind == "started":
            self._started_ns = event.started.monotonic_ns
            self._begun.set()
        elif kind == "progress":
            self._extend(event.progress.end_ns)
        elif kind == "finished":
            self._extend(event.finished.end_ns)
            self._finished = event.finished

    def _extend(self, end_ns: Any) -> None:
        with self._lock:
            self._ends.extend(end_ns)
