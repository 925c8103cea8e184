"""What a write that failed means: one line, with the file and the remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from greenbench.core.errors import GreenbenchError


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Turn a failed write under `path` into one line.

    Raises:
        GreenbenchError: The disk is full, read-only, or not ours to write; everything finished is kept.
    """
    try:
        yield
    except OSError as err:
        raise GreenbenchError(_refusal(path, err)) from err


def _refusal(path: Path, err: OSError) -> str:
    if err.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"cannot write {path}: the disk is full; everything finished before is kept, "
            "free some space and go on with --resume"
        )
    return f"cannot write {path}: {err.strerror or err}; everything finished before is kept"
