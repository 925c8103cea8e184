"""All that a run says of the study's questions, from its trials and its manifest."""

from collections.abc import Iterable
from dataclasses import dataclass

from greenbench.core.trial import Trial
from greenbench.report.statistics import Correlation
from greenbench.report.study.claims import Claim
from greenbench.report.study.comparing import ENERGY, NET, TIME, cells_of
from greenbench.report.study.course import drift_of, energy_with_time
from greenbench.report.study.questions import Question, questions_of, settings_of
from greenbench.report.study.rules import claims_of
from greenbench.results.cells import last_attempts
from greenbench.results.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The study's questions and claims, answered.

    Attributes:
        questions: RQ1 to RQ3.
        claims: C1 to C9.
        energy_time: Rank correlation of gross energy and time over cells; None below three with both.
        energy_net_time: The same, net of idle.
        energy_drift: Rank correlation of a load's gross energy, relative to its cell, with its position.
        time_drift: The same of time.
    """

    questions: tuple[Question, ...]
    claims: tuple[Claim, ...]
    energy_time: Correlation | None
    energy_net_time: Correlation | None
    energy_drift: Correlation | None
    time_drift: Correlation | None


def study_of(trials: Iterable[Trial], manifest: Manifest) -> Study:
    """Answer the study's questions from one run.

    Args:
        trials: All of the run; only last attempts count, and of those the valid and doubtful ones.
        manifest: Of the run.
    """
    stood_by = last_attempts(trials)
    settings, cells = settings_of(stood_by), cells_of(stood_by)
    return Study(
        questions=questions_of(settings, manifest.absent),
        claims=claims_of(settings, manifest),
        energy_time=energy_with_time(cells, ENERGY),
        energy_net_time=energy_with_time(cells, NET),
        energy_drift=drift_of(cells, ENERGY),
        time_drift=drift_of(cells, TIME),
    )
