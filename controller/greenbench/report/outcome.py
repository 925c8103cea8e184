"""What a finished or interrupted run found, from its folder."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from greenbench.core.plan import LeftOut
from greenbench.report.answer import Answer, answer_of
from greenbench.report.structured import answer_as_json
from greenbench.report.study import Study, study_of
from greenbench.report.tariff import Tariff, footprint_of
from greenbench.report.terminal import result_table
from greenbench.results.events import plain
from greenbench.results.folder import RunFolder


def print_outcome(folder: Path, console: Console | None = None, tariff: Tariff | None = None) -> None:
    """Print the tables and answers of a run.

    Args:
        folder: The run.
        console: Where to; standard output where none is given.
        tariff: What a kilowatt-hour means to the reader; nothing is converted where none is given.

    Raises:
        DamagedResultsError: A file of the run cannot be read.
    """
    answer, study = _told(folder)
    footprint = footprint_of(answer.groups, tariff) if tariff else None
    result_table(answer, console or Console(file=sys.stdout, highlight=False), study, footprint)


def outcome_json(folder: Path) -> dict[str, Any]:
    """Return the same as plain values, SI units; the study's answers under ``study``.

    Raises:
        DamagedResultsError: A file of the run cannot be read.
    """
    answer, study = _told(folder)
    return answer_as_json(answer) | {"study": plain(study)}


def _told(folder: Path) -> tuple[Answer, Study]:
    with RunFolder.open(folder, folder.parent) as run:
        manifest, trials = run.manifest(), run.final_trials()
    left_out = tuple(LeftOut(cell=item.cell, reason=item.reason) for item in manifest.left_out)
    answer = answer_of(
        trials,
        run_id=manifest.run_id,
        folder=str(folder),
        left_out=left_out,
        absent=manifest.absent,
    )
    return answer, study_of(trials, manifest)
