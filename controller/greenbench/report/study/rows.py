"""Findings and claims as rows of tables: every figure, SI units or ratios, None where there is none."""

from collections.abc import Iterator

from greenbench.report.study.comparing import Effect, Finding
from greenbench.report.study.study import Study

COMPARISON_COLUMNS = (
    "question", "setting", "cell", "against", "quantity", "ratio", "low", "high", "confidence", "outcome",
    "rounds", "smallest_ratio", "p_signed_rank", "p_holm", "cliffs_delta", "shapiro_p", "t_ratio", "t_low",
    "t_high", "smallest_ratio_t", "mann_whitney_p", "welch_p", "absent",
)  # fmt: skip
CLAIM_COLUMNS = ("claim", "text", "decision", "reason")
Row = dict[str, str | float | int | None]


def comparison_rows(study: Study) -> Iterator[Row]:
    """Return a row per research question, pair of cells and quantity."""
    for question in study.questions:
        for finding in question.findings:
            for effect in finding.effects:
                yield _row(question.name, finding, effect)


def claim_rows(study: Study) -> Iterator[Row]:
    """Return a row per claim."""
    for claim in study.claims:
        yield {
            "claim": claim.name,
            "text": claim.text,
            "decision": str(claim.decision),
            "reason": claim.reason,
        }


def _row(question: str, finding: Finding, effect: Effect) -> Row:
    row: Row = dict.fromkeys(COMPARISON_COLUMNS)
    row |= {"question": question, "setting": finding.setting, "cell": finding.b, "against": finding.a}
    row |= {"quantity": effect.quantity, "absent": effect.absent or None, "p_holm": effect.p_holm}
    if found := effect.difference:
        row |= {
            "ratio": found.ratio,
            "low": found.low,
            "high": found.high,
            "confidence": found.confidence,
            "outcome": str(found.outcome),
            "rounds": found.pairs,
            "smallest_ratio": found.smallest_ratio,
            "p_signed_rank": found.p,
            "cliffs_delta": found.cliffs_delta,
            "shapiro_p": found.shapiro_p,
            "smallest_ratio_t": found.smallest_ratio_t,
            "mann_whitney_p": found.mann_whitney_p,
            "welch_p": found.welch_p,
        }
    if effect.student:
        row |= {"t_ratio": effect.student.ratio, "t_low": effect.student.low, "t_high": effect.student.high}
    return row
