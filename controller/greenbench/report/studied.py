"""The study's answers as a page and tables show them."""

from collections.abc import Iterator
from typing import Any

from greenbench.report.numbers import change, figure
from greenbench.report.statistics import Outcome
from greenbench.report.study import STUDY, Decision, Effect, Group, Study
from greenbench.report.study.comparing import ENERGY, NET, TIME, Finding
from greenbench.report.study.questions import Question
from greenbench.report.study.sentences import (
    could_see,
    course_sentences,
    group_sentence,
    lacks_energy,
    notes_of,
    question_sentence,
    tally_sentence,
)

CLAIM_HEADER = ("claim", "what the study says", "here", "why")
FINDING_COLUMNS = (
    "cell", "against", "energy", "energy net of idle", "time", "p, Holm: energy", "p, Holm: time",
    "Cliff's delta: energy", "rounds",
)  # fmt: skip
COMPARISON_HEADER = ("question", "setting", *FINDING_COLUMNS)
COMPARISON_CAPTION = "each cell against the other by the rounds of both, Hodges-Lehmann with its interval"
TEST_COLUMNS = (
    "cell", "against", "quantity", "could see", "could see: t", "ratio by t", "p, signed rank",
    "p, Shapiro-Wilk", "p, Mann-Whitney", "p, Welch",
)  # fmt: skip
TEST_HEADER = ("question", "setting", *TEST_COLUMNS)
TEST_CAPTION = (
    "for comparison: the smallest difference that these rounds could see by the signed-rank test and by "
    "Student's t, the paired ratio by Student's t, normality of the differences (Shapiro-Wilk), and the "
    "unpaired tests that the study used; they decide nothing here"
)
_QUANTITIES = {ENERGY.name: "energy", NET.name: "energy net of idle", TIME.name: "time"}
_SIGNS = {
    Decision.REPRODUCED: "✓",
    Decision.CONTRADICTED: "✕",
    Decision.INCONCLUSIVE: "?",
    Decision.NOT_MEASURED: "-",
}


def study_values(study: Study) -> dict[str, Any]:
    """Return the questions, claims and what holds over the run, as `run.html.j2` asks for them."""
    return {
        "name": STUDY,
        "questions": [
            {
                "name": question.name,
                "title": question.title,
                "sentence": tally_sentence(question),
                "groups": list(_groups(question)),
            }
            for question in study.questions
        ],
        "claims": [
            {
                "name": claim.name,
                "text": claim.text,
                "decision": str(claim.decision),
                "tag": claim.decision.name.lower(),
                "sign": _SIGNS[claim.decision],
                "reason": claim.reason,
            }
            for claim in study.claims
        ],
        "claim_columns": CLAIM_HEADER,
        "course": course_sentences(study),
        "finding_columns": FINDING_COLUMNS,
        "caption": COMPARISON_CAPTION,
        "test_columns": TEST_COLUMNS,
        "test_caption": TEST_CAPTION,
    }


def answer_sentences(study: Study) -> tuple[str, ...]:
    """Return every sentence: questions, their groups with notes, and what holds over the run."""
    said: list[str] = []
    for question in study.questions:
        said.append(question_sentence(question))
        for group in question.groups:
            notes = notes_of(group)
            said.append(group_sentence(group) + (f" Note: {'; '.join(notes)}." if notes else ""))
    return (*said, *course_sentences(study))


def comparison_table(study: Study) -> list[list[str]]:
    """Return a row per comparison, in the columns of `COMPARISON_HEADER`."""
    return [
        [question.name, finding.setting, *finding_row(finding)]
        for question in study.questions
        for finding in question.findings
    ]


def usual_table(study: Study) -> list[list[str]]:
    """Return a row per comparison and quantity, in the columns of `TEST_HEADER`."""
    return [
        [question.name, finding.setting, *row]
        for question in study.questions
        for finding in question.findings
        for row in _usual_rows(finding)
    ]


def claim_table(study: Study) -> list[list[str]]:
    """Return a row per claim, in the columns of `CLAIM_HEADER`."""
    return [[claim.name, claim.text, str(claim.decision), claim.reason] for claim in study.claims]


def _groups(question: Question) -> Iterator[dict[str, Any]]:
    """Yield a question's groups; why there is no energy is said once, by the first that lacks it."""
    told = False
    for group in question.groups:
        yield _group(group, told=told)
        told = told or lacks_energy(group)


def _group(group: Group, *, told: bool) -> dict[str, Any]:
    decided = any(
        effect.outcome not in {None, Outcome.OPEN}
        for finding in group.findings
        for effect in (finding.energy, finding.time)
    )
    return {
        "setting": group.setting,
        "sentence": group_sentence(group, told=told),
        "notes": notes_of(group),
        "tone": "firm" if decided else "open",
        "rows": [finding_row(finding) for finding in group.findings],
        "tests": [row for finding in group.findings for row in _usual_rows(finding)],
    }


def finding_row(finding: Finding) -> list[str]:
    """Return a finding in the columns of `FINDING_COLUMNS`."""
    energy, time = finding.energy, finding.time
    known = energy.difference or time.difference
    return [
        finding.b,
        finding.a,
        *(_change(effect) for effect in finding.effects),
        figure(energy.p_holm, 2),
        figure(time.p_holm, 2),
        figure(energy.difference.cliffs_delta, 2) if energy.difference else "-",
        str(known.pairs) if known else "-",
    ]


def _usual_rows(finding: Finding) -> list[list[str]]:
    """Return what stands beside a finding and decides nothing, in the columns of `TEST_COLUMNS`."""
    return [
        [
            finding.b,
            finding.a,
            _QUANTITIES[effect.quantity],
            could_see(found.smallest_ratio),
            could_see(found.smallest_ratio_t),
            change(student.ratio, student.low, student.high) if (student := effect.student) else "-",
            *(figure(p, 2) for p in (found.p, found.shapiro_p, found.mann_whitney_p, found.welch_p)),
        ]
        for effect in finding.effects
        if (found := effect.difference)
    ]


def _change(effect: Effect) -> str:
    found = effect.difference
    return change(found.ratio, found.low, found.high) if found else "-"
