"""Files that this process may not read, as far as it can tell."""

import os
from collections.abc import Callable
from pathlib import Path


def close_files(monkeypatch, closed: Callable[[Path], bool]) -> None:
    """Let opening a file for reading fail where `closed` says so of its path; not in other processes."""
    real_text, real_open = Path.read_text, os.open

    def refuse(path) -> None:
        if isinstance(path, str | Path) and closed(Path(path)):
            raise PermissionError(13, "Permission denied", str(path))

    def read_text(self, *args, **kwargs):
        refuse(self)
        return real_text(self, *args, **kwargs)

    def opened(path, flags, *args, **kwargs):
        if flags & os.O_ACCMODE == os.O_RDONLY:  # a test may write what it may not read
            refuse(path)
        return real_open(path, flags, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "open", opened)
