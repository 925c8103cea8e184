"""The study's answers as a page and tables show them."""

from typing import Any

from greenbench.report.numbers import change, figure
from greenbench.report.statistics import Outcome
from greenbench.report.study import STUDY, Decision, Effect, Group, Study
from greenbench.report.study.comparing import Finding
from greenbench.report.study.sentences import course_sentences, group_sentence, notes_of, tally_sentence

CLAIM_COLUMNS = ("claim", "what the study says", "here", "why")
FINDING_COLUMNS = (
    "cell", "against", "energy", "energy net of idle", "time", "p, Holm: energy", "p, Holm: time",
    "Cliff's delta: energy", "rounds",
)  # fmt: skip
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
                "groups": [_group(group) for group in question.groups],
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
        "claim_columns": CLAIM_COLUMNS,
        "course": course_sentences(study),
        "finding_columns": FINDING_COLUMNS,
    }


def _group(group: Group) -> dict[str, Any]:
    decided = any(
        effect.outcome not in {None, Outcome.OPEN}
        for finding in group.findings
        for effect in (finding.energy, finding.time)
    )
    return {
        "setting": group.setting,
        "sentence": group_sentence(group),
        "notes": notes_of(group),
        "tone": "firm" if decided else "open",
        "rows": [finding_row(finding) for finding in group.findings],
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


def _change(effect: Effect) -> str:
    found = effect.difference
    return change(found.ratio, found.low, found.high) if found else "-"
