"""The lease on a state folder: one measuring run at a time."""

import fcntl
import os
from types import TracebackType
from typing import Self

from greenbench.core.errors import StateLockedError
from greenbench.core.writing import kept_in
from greenbench.fleet.state import StateFolder


class StateLease:
    """Holds a state folder while entered.

    The kernel drops the lock with the process that holds it, so a lease of a dead process is none.
    """

    def __init__(self, state: StateFolder, *, purpose: str) -> None:
        """Prepare a lease; nothing is locked before it is entered.

        Args:
            state: The folder to hold.
            purpose: What the holder does, as a second one is told: ``greenbench run quick``.
        """
        self._state = state
        self._purpose = purpose
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._state.create()
        # Python opens files close-on-exec: a runtime that outlives its controller holds no lock.
        with kept_in(self._state.lock):
            descriptor = os.open(self._state.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with kept_in(self._state.lock):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n{self._purpose}\n".encode(), 0)
        except BlockingIOError as error:
            held = self._locked(os.pread(descriptor, 4096, 0).decode(errors="replace"))
            os.close(descriptor)
            raise held from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _locked(self, note: str) -> StateLockedError:
        pid, _, purpose = note.strip().partition("\n")
        holder = f"process {pid} ({purpose})" if pid else "another process"
        return StateLockedError(
            f"{holder} holds the state folder {self._state.root}; wait for it, "
            "or set GREENBENCH_STATE to another folder"
        )
