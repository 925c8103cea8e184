"""Ctrl-C, SIGTERM, a closing terminal: the first ends the work, later ones leave its cleaning up alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = b"greenbench: ending already; the runtime is being stopped and what is finished is kept\n"


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT, SIGTERM or SIGHUP and only say so at every later one.

    A second one in the middle of cleaning up would leave a server running, with its memory on the GPU
    and its watts in the next baseline. A shell's ``timeout`` and schedulers of clusters send two.
    What the caller has set to be ignored (``nohup``, a shell's background job) stays ignored.
    """
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in asked if signal.getsignal(number) is not signal.SIG_IGN]

    def again(_number: int, _frame: FrameType | None) -> None:
        os.write(2, _ENDING)

    def first(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, again)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, first) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
