"""Small files of the kernel, kept open and read by one system call."""

import os
import weakref
from pathlib import Path

ENOUGH_B = 4096
"""More than any figure that is read here takes; of ``/proc/stat`` only the first line is wanted."""


class KeptFile:
    """One file of ``/proc``, ``/sys`` or a cgroup, whose content the kernel makes anew for every read.

    A sensor is read between two long sleeps, from a cold cache: opening the file for each reading took two
    thirds of the CPU of a reading (0.26 against 0.09 ms for ``/proc/PID/stat``). Kept open it also stays
    that process's or zone's own, whoever gets its number later. It is closed with this object's last use.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet.

        Args:
            path: The file.
        """
        self._path = path
        self._descriptor: int | None = None

    def read(self) -> str:
        """Return the begin of the file, at most `ENOUGH_B` bytes.

        Raises:
            OSError: It is not there, may not be read, or what it tells of is gone.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._descriptor)
        try:
            return os.pread(self._descriptor, ENOUGH_B, 0).decode()
        except OSError as err:  # says nothing of the file by itself
            raise OSError(err.errno, err.strerror, str(self._path)) from err


class KeptFiles:
    """Reads files by their paths, each kept open from its first reading on."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._files: dict[Path, KeptFile] = {}

    def __call__(self, path: Path) -> str:
        """Return what a file holds; errors as of `KeptFile.read`."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = KeptFile(path)
        try:
            return file.read()
        except OSError:
            del self._files[path]  # by that path there may be another one next time
            raise
