"""When a server ends: at SIGTERM, at Ctrl-C, or when it is told to from within."""

import os
import select
import signal
from contextlib import suppress

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TOLD = 0


class Ending:
    """What the main thread waits for.

    The kernel may deliver a signal to any thread. The main thread's handler then runs only once that thread
    wakes, and waiting for a lock it never does; a pipe that the signal itself writes to wakes it.
    """

    def __init__(self) -> None:
        """Take over SIGTERM and SIGINT; only the main thread can."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)

    def set(self) -> None:
        """End the wait, from any thread."""
        with suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._write, bytes([_TOLD]))

    def wait(self) -> None:
        """Wait for the end; signals that a framework handles itself are not it."""
        wanted = {_TOLD, *_SIGNALS}
        while True:
            select.select([self._read], [], [])
            if wanted & set(os.read(self._read, select.PIPE_BUF)):
                return
