"""The two folders of a runtime: models, that it reads, and the outbox, that it writes."""

import hashlib
import shutil
import stat
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from greenbench_runtime.engine import Array, EngineError, InvalidRequestError


@cache
def own_folder() -> Path:
    """Return a folder for files that this process needs for itself; it makes one at the first call."""
    return Path(tempfile.mkdtemp(prefix="greenbench-runtime-"))


def remove_own_folder() -> None:
    """Remove it, where there is one: a runtime ends without Python's own ending, which would."""
    if own_folder.cache_info().currsize:
        shutil.rmtree(own_folder(), ignore_errors=True)


class MissingFileError(EngineError):
    """A file that a request names and that is not in the models folder."""


class ModelsFolder:
    """Finds files by relative path and lets nothing out of the folder."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it need not exist yet."""
        self._root = root

    def file(self, relative: str, *, key: str) -> Path:
        """Return the file that a request names.

        Args:
            relative: Path in the models folder.
            key: The request's field, for the message.

        Raises:
            InvalidRequestError: The path is absolute or leads out of the folder, by ``..`` or a link.
            MissingFileError: No such file is there.
        """
        shown = f"{key} {relative[:200]!r}"
        candidate = Path(relative)
        if candidate.is_absolute() or ".." in candidate.parts:
            raise InvalidRequestError(f"{shown} must be a path inside the models folder, without '..'")
        resolved = self._resolve(relative, shown)
        try:
            mode = resolved.stat().st_mode
        except FileNotFoundError as error:
            raise MissingFileError(
                f"{shown} is not in the models folder; run `greenbench up` to make it"
            ) from error
        except OSError as error:
            raise InvalidRequestError(f"{shown} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            raise InvalidRequestError(f"{shown} is not a file")
        return resolved

    def optional_file(self, relative: str, *, key: str) -> Path | None:
        """Return the file that a request names, None where it names none; raises as `file`."""
        return self.file(relative, key=key) if relative else None

    def arrays(self, relative: str, *, key: str) -> dict[str, Array]:
        """Return the arrays of an .npz file, none where no file is named; raises as `file`."""
        path = self.optional_file(relative, key=key)
        if path is None:
            return {}
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
            raise InvalidRequestError(
                f"{key} {relative[:200]!r} is not a .npz file of plain arrays"
            ) from error

    def _resolve(self, relative: str, shown: str) -> Path:
        try:
            root = self._root.resolve()
            resolved = (root / relative).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidRequestError(f"{shown} is not a path: {error}") from error
        if not resolved.is_relative_to(root):
            raise InvalidRequestError(f"{shown} leads out of the models folder; put the file itself there")
        return resolved


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
