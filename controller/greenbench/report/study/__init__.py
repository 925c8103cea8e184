"""The study's research questions and claims, answered from one run's trials."""

from greenbench.report.study.claims import STUDY, Claim, Decision
from greenbench.report.study.comparing import Effect, Finding
from greenbench.report.study.questions import Group, Question
from greenbench.report.study.study import Study, study_of

__all__ = ["STUDY", "Claim", "Decision", "Effect", "Finding", "Group", "Question", "Study", "study_of"]
