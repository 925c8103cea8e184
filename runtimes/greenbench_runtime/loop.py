"""The measured loop: forward passes one after the other, each with its end stamped.

What is timed here is the model, so nothing else happens between two passes: no lock, no allocation but
the stamp, no look at a clock for caps. Other threads stop the loop by emptying a list and read the
stamps by slicing another; both are single operations under the interpreter's lock.
"""

import gc
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, repeat
from time import monotonic_ns
from typing import Any

from greenbench_runtime.engine import InvalidRequestError, LoadedModel

SHORTEST_PROGRESS_S = 0.01
STOPPED, CAP = "stopped", "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """How long to run and what to keep.

    Attributes:
        cap_s: Seconds after which the run ends by itself; 0 for no cap.
        max_iterations: Iterations after which it ends by itself; 0 for no cap.
        keep_every: Keep every k-th output on the device; 0 for none.
        keep_max: How many of the newest are held.
        progress_s: Seconds between two events of progress.
    """

    cap_s: float = 0.0
    max_iterations: int = 0
    keep_every: int = 0
    keep_max: int = 0
    progress_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what can never work.

        Raises:
            InvalidRequestError: Names the value.
        """
        if not 0 <= self.cap_s <= threading.TIMEOUT_MAX:
            raise InvalidRequestError(f"cap_s {self.cap_s} must be seconds, or 0 for no cap")
        for name in ("max_iterations", "keep_every", "keep_max"):
            if getattr(self, name) < 0:
                raise InvalidRequestError(f"{name} {getattr(self, name)} is below 0")
        if self.keep_every and not self.keep_max:
            raise InvalidRequestError(
                f"keep_every {self.keep_every} needs keep_max, how many outputs are held"
            )
        if not SHORTEST_PROGRESS_S <= self.progress_s <= threading.TIMEOUT_MAX:
            raise InvalidRequestError(f"progress_s {self.progress_s} must be at least {SHORTEST_PROGRESS_S}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The loop began; `monotonic_ns` is CLOCK_MONOTONIC then."""

    monotonic_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """End stamps (CLOCK_MONOTONIC, ns) since the last event."""

    ends_ns: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The loop ended at `monotonic_ns`; `reason` is ``stopped`` or ``cap``."""

    monotonic_ns: int
    iterations: int
    ends_ns: list[int]
    reason: str


class Run:
    """One run of the loop: executed on the engine's thread, followed and stopped from others."""

    def __init__(self, order: RunOrder) -> None:
        """Prepare a run that has not begun."""
        self._order = order
        self._ends: list[int] = []
        self._live = [True]
        self._reason = CAP
        self._started_ns = 0
        self._finished_ns = 0
        self._error: BaseException | None = None
        self._begun = threading.Event()
        self._over = threading.Event()
        self.kept: deque[tuple[int, Any]] = deque(maxlen=order.keep_max)

    @property
    def is_over(self) -> bool:
        """Whether the loop has ended."""
        return self._over.is_set()

    @property
    def is_ending(self) -> bool:
        """Whether the loop has ended or was told to."""
        return not self._live or self._over.is_set()

    def stop(self) -> None:
        """End the loop after its current iteration."""
        self._end(STOPPED)

    def execute(self, staged_model: Callable[[], LoadedModel]) -> None:
        """Run the loop to its end; what goes wrong is raised by `follow`.

        Args:
            staged_model: Returns the model, or raises where there is none to run.
        """
        cap = threading.Timer(self._order.cap_s, self._end, [CAP])
        cap.daemon = True
        try:
            self._loop(staged_model(), cap)
        except BaseException as error:  # noqa: BLE001 - every failure belongs to the stream that follows
            self._error = error
        finally:
            cap.cancel()
            self._begun.set()
            self._over.set()

    def follow(self) -> Iterator[Started | Progress | Finished]:
        """Yield what happens until the loop has ended.

        Raises:
            Exception: What the engine raised.
        """
        self._begun.wait()
        if self._started_ns:
            yield Started(monotonic_ns=self._started_ns)
        told = 0
        while not self._over.wait(self._order.progress_s):
            fresh = self._ends[told:]
            told += len(fresh)
            if fresh:
                yield Progress(ends_ns=fresh)
        if self._error is not None:
            raise self._error
        yield Finished(
            monotonic_ns=self._finished_ns,
            iterations=len(self._ends),
            ends_ns=self._ends[told:],
            reason=self._reason,
        )

    def _loop(self, model: LoadedModel, cap: threading.Timer) -> None:
        gc.collect()
        # What is old is not traversed while timing; young garbage still is, or a long run could fill memory.
        gc.freeze()
        try:
            self._started_ns = monotonic_ns()
            self._begun.set()
            if self._order.cap_s:
                cap.start()
            if self._order.keep_every:
                self._spin_keeping(model)
            else:
                self._spin(model)
            self._finished_ns = monotonic_ns()
        finally:
            gc.unfreeze()

    def _spin(self, model: LoadedModel) -> None:
        infer, synchronize, stamp, now, live = (
            model.infer, model.synchronize, self._ends.append, monotonic_ns, self._live,
        )  # fmt: skip
        limit = self._order.max_iterations
        for _ in repeat(None, limit) if limit else repeat(None):
            if not live:
                break
            output = infer()  # noqa: F841 - held, as a caller would, until the next one is there
            synchronize()
            stamp(now())

    def _spin_keeping(self, model: LoadedModel) -> None:
        infer, synchronize, stamp, now, live = (
            model.infer, model.synchronize, self._ends.append, monotonic_ns, self._live,
        )  # fmt: skip
        every, limit, keep = self._order.keep_every, self._order.max_iterations, self.kept.append
        for iteration in range(limit) if limit else count():
            if not live:
                break
            output = infer()
            synchronize()
            stamp(now())
            if not (iteration + 1) % every:
                keep((iteration, output))

    def _end(self, reason: str) -> None:
        if self._live:
            self._reason = reason
            self._live.clear()
