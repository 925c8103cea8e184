"""All that a report of one run tells, gathered once: figures, tables and pages are made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from greenbench.core.errors import DamagedResultsError
from greenbench.core.plan import LeftOut
from greenbench.core.trial import Baseline, Trial
from greenbench.report.answer import Answer, answer_of
from greenbench.report.study import Study, study_of
from greenbench.report.trace import Trace, traces_of
from greenbench.results.cells import CellSummary, last_attempts
from greenbench.results.folder import FINISHED, RunFolder
from greenbench.results.manifest import Manifest
from greenbench.results.stored import StoredRun
from greenbench.results.views import RunViews

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One run, ready to be told.

    Attributes:
        folder: The run's folder.
        manifest: What was run, on what.
        answer: Groups, marks, doubts and what is missing.
        study: The study's questions and claims, answered.
        trials: Last attempts, in the order in which they ended.
        baselines: In the order in which they were measured.
        parity: One row per compared cell.
        traces: Power over time; empty where no reading is in watts or joules.
        readings: How many raw readings there are.
        finished: Whether the run came to its end.
        problems: One sentence per file that could not be read.
    """

    folder: Path
    manifest: Manifest
    answer: Answer
    study: Study
    trials: tuple[Trial, ...]
    baselines: tuple[Baseline, ...]
    parity: tuple[dict[str, object], ...]
    traces: tuple[Trace, ...]
    readings: int
    finished: bool
    problems: tuple[str, ...]

    @property
    def cells(self) -> tuple[CellSummary, ...]:
        """Every cell, group by group."""
        return tuple(cell for group in self.answer.groups for cell in group.cells)

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Every runtime, sorted: the order of their colours."""
        return tuple(sorted({trial.runtime for trial in self.trials}))

    @property
    def has_energy(self) -> bool:
        """Whether any cell has joules per sample."""
        return any(cell.energy_j_per_sample for cell in self.cells)


def read_document(folder: Path) -> Document:
    """Gather what is told of a run; a damaged table is named and the rest is told.

    Raises:
        DamagedResultsError: Manifest or event log cannot be read: nothing can be told without them.
    """
    with RunFolder.open(folder, folder.parent) as run:
        manifest = run.manifest()
        problems: list[str] = []
        trials = _or_less(problems, run.final_trials, run.trials)
        traces, readings = _traces(run, problems)
        return Document(
            folder=folder,
            manifest=manifest,
            answer=_answer(folder, manifest, trials),
            study=study_of(trials, manifest),
            trials=last_attempts(trials),
            baselines=run.baselines(),
            parity=run.parity(),
            traces=traces,
            readings=readings,
            finished=any(True for _ in run.events(FINISHED)),
            problems=tuple(dict.fromkeys(problems)),
        )


def _answer(folder: Path, manifest: Manifest, trials: tuple[Trial, ...]) -> Answer:
    return answer_of(
        trials,
        run_id=manifest.run_id,
        folder=str(folder),
        left_out=tuple(LeftOut(cell=item.cell, reason=item.reason) for item in manifest.left_out),
        absent=manifest.absent,
    )


def _traces(run: StoredRun, problems: list[str]) -> tuple[tuple[Trace, ...], int]:
    with RunViews(run) as views:
        problems.extend(views.damaged)
        if "readings" not in views.names:
            return (), 0
        try:
            return traces_of(views), views.count_readings()
        except DamagedResultsError as err:
            problems.append(str(err))
            return (), 0


def _or_less(problems: list[str], best: Callable[[], _Found], less: Callable[[], _Found]) -> _Found:
    try:
        return best()
    except DamagedResultsError as err:
        problems.append(str(err))
        return less()
