"""Measured shards on the disk of the host that asked: unpacked whole, never half."""

import io
import itertools
import shutil
import tarfile
from pathlib import Path

from greenbench.core.errors import FleetError
from greenbench.core.writing import kept_in
from greenbench.results.durable import sync_folder


class HostLostError(FleetError):
    """A host that no longer answers; its block is measured elsewhere, whole."""


def unpack(archive: bytes, folder: Path) -> None:
    """Put a measured shard in its place, whole or not at all.

    Raises:
        HostLostError: The host sent what cannot be unpacked, or must not be.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    for left in (partial, folder):
        # Of a controller that died before it wrote down that the block was measured.
        shutil.rmtree(left, ignore_errors=True)
    with kept_in(partial):
        partial.mkdir(parents=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as held:
                held.extractall(partial, filter="data")
        except tarfile.TarError as err:
            # A path or a link that leads out of the folder, a device, or bytes that are no archive.
            shutil.rmtree(partial)
            raise HostLostError(f"its archive is refused: {err}") from err
        partial.rename(folder)
        sync_folder(folder.parent)


def make_way(out: Path) -> None:
    """Move aside what an earlier controller joined of fewer blocks, or did not join to the end."""
    if not out.exists():
        return
    for number in itertools.count(1):
        aside = out.with_name(f"{out.name}.incomplete-{number}")
        if not aside.exists():
            out.rename(aside)
            return
