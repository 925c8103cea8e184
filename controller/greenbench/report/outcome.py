"""What a finished or interrupted run found, from its folder."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from greenbench.core.plan import LeftOut
from greenbench.report.answer import Answer, answer_of
from greenbench.report.structured import answer_as_json
from greenbench.report.terminal import result_table
from greenbench.results.folder import RunFolder


def print_outcome(folder: Path, console: Console | None = None) -> None:
    """Print the tables of a run; `console` is standard output where none is given.

    Raises:
        DamagedResultsError: A file of the run cannot be read.
    """
    result_table(_answer(folder), console or Console(file=sys.stdout, highlight=False))


def outcome_json(folder: Path) -> dict[str, Any]:
    """Return the same as plain values, SI units.

    Raises:
        DamagedResultsError: A file of the run cannot be read.
    """
    return answer_as_json(_answer(folder))


def _answer(folder: Path) -> Answer:
    with RunFolder.open(folder, folder.parent) as run:
        manifest = run.manifest()
        left_out = tuple(LeftOut(cell=item.cell, reason=item.reason) for item in manifest.left_out)
        return answer_of(
            run.final_trials(),
            run_id=manifest.run_id,
            folder=str(folder),
            left_out=left_out,
            absent=manifest.absent,
        )
