"""How far a run is, from its folder."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from greenbench.report.structured import status_as_json
from greenbench.report.terminal import status_table
from greenbench.results.folder import RunFolder
from greenbench.results.status import status_of


def print_status(folder: Path, console: Console | None = None) -> None:
    """Print how far a run is; `console` is standard output where none is given.

    Raises:
        DamagedResultsError: Its manifest or its log are damaged.
    """
    with RunFolder.open(folder, folder.parent) as run:
        status_table(status_of(run), console or Console(file=sys.stdout, highlight=False))


def status_json(folder: Path) -> dict[str, Any]:
    """Return the same as plain values.

    Raises:
        DamagedResultsError: Its manifest or its log are damaged.
    """
    with RunFolder.open(folder, folder.parent) as run:
        return status_as_json(status_of(run))
