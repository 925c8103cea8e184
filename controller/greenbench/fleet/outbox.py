"""Files that a runtime made, taken out of the folder that it writes."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from greenbench.core.errors import FleetError


def take_made(outbox: Path, told: str, into: Path) -> Path:
    """Move a file out of a runtime's outbox, so that the runtime cannot change it any more.

    The runtime names the file and may lay links: neither may lead the controller, who may be root, to any
    other file of the host. So every step of the path is opened below the one before, never through a link.

    Args:
        outbox: The folder that the runtime writes.
        told: What the runtime called the file, relative to `outbox`.
        into: A folder that no runtime can write.

    Returns:
        The file in `into`, under the same name.

    Raises:
        FleetError: `told` leads out of the outbox or to something else than a regular file.
    """
    path = PurePosixPath(told)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in told:
        raise FleetError(f"the runtime named the file {told[:200]!r}, which is not inside its outbox")
    try:
        with _opened_below(outbox, path) as (folder, file):
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FleetError(f"the runtime named {told[:200]!r}, which is not a regular file")
            target = into / path.name
            with os.fdopen(os.dup(file), "rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            os.unlink(path.name, dir_fd=folder)
    except OSError as error:
        raise FleetError(
            f"the runtime's file {told[:200]!r} cannot be taken from its outbox: {error.strerror}"
        ) from error
    return target


@contextmanager
def _opened_below(outbox: Path, path: PurePosixPath) -> Iterator[tuple[int, int]]:
    """Open a file and the folder it lies in without following a link, nor waiting for a pipe."""
    opened = [os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)]
    try:
        for step in path.parts[:-1]:
            opened.append(os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        opened.append(os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        yield opened[-2], opened[-1]
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)
