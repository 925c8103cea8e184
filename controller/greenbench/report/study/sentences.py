"""Findings in words: one sentence per question and per model and batch size."""

from collections import Counter
from collections.abc import Iterable, Sequence

from greenbench.report.numbers import change, counted
from greenbench.report.statistics import FEWEST_PAIRS, Correlation, Difference, Friedman, Outcome
from greenbench.report.study.claims import Claim
from greenbench.report.study.comparing import DOUBTFUL, Effect, Finding
from greenbench.report.study.questions import Group, Question
from greenbench.report.study.study import Study

_SIGNIFICANT = 0.05
_WIDE = 0.05
_ONE_SHORT = {
    "RQ1": "it takes two frameworks that run one model at one batch size",
    "RQ2": "it takes a framework and ONNX Runtime on the model converted from it",
    "RQ3": "it takes two execution providers that run the same converted model",
}


def question_sentence(question: Question) -> str:
    """Return what a question comes to over all models and batch sizes."""
    return f"{question.name}. {question.title} {tally_sentence(question)}"


def tally_sentence(question: Question) -> str:
    """Return how many of a question's comparisons came to what; why there is none where there is none."""
    if not question.findings:
        return f"Not measured: {_ONE_SHORT[question.name]}."
    parts = [_tally(question.findings, place, words) for place, words in ((0, "Energy"), (2, "time"))]
    return f"{'; '.join(parts)}."


def _tally(findings: Sequence[Finding], place: int, words: str) -> str:
    outcomes = Counter(outcome for finding in findings if (outcome := finding.effects[place].outcome))
    if not outcomes:
        return f"{words} was not compared"
    parts = {
        "different": outcomes[Outcome.LOWER] + outcomes[Outcome.HIGHER],
        "the same within 5%": outcomes[Outcome.EQUIVALENT],
        "open": outcomes[Outcome.OPEN],
    }
    said = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    return f"{words}: of {counted(outcomes.total(), 'comparison')} {said}"


def group_sentence(group: Group, *, told: bool = False) -> str:
    """Return what was found for one model and batch size, as one sentence.

    Args:
        group: All its comparisons.
        told: Whether a sentence before it has said why no energy is compared.
    """
    clauses = _clauses(group.findings) + ("" if told else _no_energy(group))
    tests = [_friedman(group.friedman_energy, "energy"), _friedman(group.friedman_time, "time")]
    several = f"; all at once (Friedman): {', '.join(filter(None, tests))}" if any(tests) else ""
    return f"{group.setting}: {clauses}{several}; {_rounds(group.findings)}."


def notes_of(group: Group) -> tuple[str, ...]:
    """Return what the sentence rests on and leaves out, without repeats."""
    notes = _joined(note for finding in group.findings for note in finding.notes)
    notes += [
        f"{effect.quantity} of {finding.b} and {finding.a} does not stand Holm's correction "
        f"(p {_p(effect.p_holm)})"
        for finding in group.findings
        for effect in (finding.energy, finding.time)
        if effect.outcome in {Outcome.LOWER, Outcome.HIGHER}
        and effect.p_holm is not None
        and effect.p_holm >= _SIGNIFICANT
    ]
    return tuple(dict.fromkeys(notes))


def _joined(notes: Iterable[str]) -> list[str]:
    """Return the notes with those of doubtful trials as one, each subject once."""
    others, subjects = [], []
    for note in notes:
        if note.startswith(DOUBTFUL):
            subjects += note.removeprefix(DOUBTFUL).split(" and ")
        else:
            others.append(note)
    return [*([DOUBTFUL + " and ".join(dict.fromkeys(subjects))] if subjects else []), *others]


def claim_sentences(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return a sentence per claim; claims with one decision and one reason share theirs."""
    names: dict[tuple[str, str], list[str]] = {}
    for claim in claims:
        names.setdefault((claim.decision, claim.reason), []).append(claim.name)
    return tuple(f"{', '.join(own)} {decision}: {reason}" for (decision, reason), own in names.items())


def course_sentences(study: Study) -> tuple[str, ...]:
    """Return what holds over the whole run: energy with time, costs with position."""
    found = (
        ("energy per sample and time per sample over cells", study.energy_time),
        ("energy net of idle and time over cells", study.energy_net_time),
        ("drift of energy with position in the run", study.energy_drift),
        ("drift of time with position in the run", study.time_drift),
    )
    return tuple(f"{words}: {_correlation(one)}" for words, one in found if one)


def _correlation(found: Correlation) -> str:
    interval = "" if found.low is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"Spearman's rho {found.rho:.2f}{interval}, {counted(found.points, 'point')}"


def lacks_energy(group: Group) -> bool:
    """Tell whether time was compared in a group, and energy in no comparison of it."""
    return any(one.time.difference for one in group.findings) and not any(
        one.energy.difference for one in group.findings
    )


def _no_energy(group: Group) -> str:
    """Return why comparisons have no energy, each reason once."""
    lacking = [one for one in group.findings if one.time.difference and not one.energy.difference]
    reasons = list(dict.fromkeys(one.energy.absent for one in lacking))
    if len(reasons) > 1 and lacks_energy(group):
        # One sensor is absent for all of them: each names its own framework before the same reason.
        reasons = list(dict.fromkeys(reason.partition(": ")[2] or reason for reason in reasons))
    return f" (no energy is compared: {'; '.join(reasons)})" if reasons else ""


def _clauses(findings: Sequence[Finding]) -> str:
    """Return what was found; what nothing is decided of says so once, after all of it."""
    undecided = [finding for finding in findings if _is_undecided(finding)]
    if len(undecided) < 2:  # noqa: PLR2004
        return "; ".join(map(_clause, findings))
    decided = [_clause(finding) for finding in findings if not _is_undecided(finding)]
    came = [_came(finding) for finding in undecided]
    return "; ".join([*decided, f"{', '.join(came)}, all of which decides nothing ({_few(undecided)})"])


def _known(finding: Finding) -> list[tuple[str, Difference]]:
    both = (("energy per sample", finding.energy.difference), ("time", finding.time.difference))
    return [(words, one) for words, one in both if one]


def _is_undecided(finding: Finding) -> bool:
    return any(one.low is None for _, one in _known(finding))


def _clause(finding: Finding) -> str:
    known = _known(finding)
    if not known:
        return f"{finding.b} and {finding.a} cannot be compared ({finding.time.absent})"
    if _is_undecided(finding):
        return f"{_came(finding)}, which decides nothing ({_few([finding])})"
    if all(one.outcome in _SIDES for _, one in known):
        return f"{finding.b} {' and '.join(_sided(*one) for one in known)} than {finding.a}"
    clauses = [_decided(words, one, finding.a) for words, one in known]
    return f"{finding.b} {' and '.join(clauses)}"


_SIDES = frozenset({Outcome.LOWER, Outcome.HIGHER})
_VERBS = {"energy per sample": "uses", "time": "takes"}


def _decided(words: str, found: Difference, other: str) -> str:
    """Return what an interval says; before "cannot be told" and "the same", what could have been seen."""
    interval = change(found.ratio, found.low, found.high)
    seen = f"by {words}, where a difference of {could_see(found.smallest_ratio)} could be seen,"
    if found.outcome is Outcome.OPEN:
        return f"{seen} cannot be told from {other} ({interval})"
    if found.outcome is Outcome.EQUIVALENT:
        return f"{seen} is the same as {other} within 5% ({interval})"
    return f"{_sided(words, found)} than {other}"


def _sided(words: str, found: Difference) -> str:
    direction = "less" if found.outcome is Outcome.LOWER else "more"
    return f"{_VERBS[words]} {_amount(found)} {direction} {words}"


def _came(finding: Finding) -> str:
    """Return the points of a comparison."""
    came = " and ".join(
        f"{abs(100 * (one.ratio - 1)):.1f}% {'less' if one.ratio < 1 else 'more'} {words}"
        for words, one in _known(finding)
    )
    return f"{finding.b} came to {came} than {finding.a}"


def _few(findings: Sequence[Finding]) -> str:
    """Return why too few rounds decide nothing, and what Student's t would make of them."""
    ratios = [
        one.smallest_ratio_t for finding in findings for _, one in _known(finding) if one.smallest_ratio_t
    ]
    seen = list(dict.fromkeys(could_see(ratio) for ratio in sorted(ratios)))
    between = f"{seen[0]} at best and {seen[-1]} at worst" if len(findings) > 1 else " and ".join(seen)
    could = f", Student's t could see {between}" if seen else ""
    return f"a 95% interval takes {FEWEST_PAIRS} rounds{could}"


def could_see(ratio: float | None) -> str:
    """Return the smallest difference that could be seen: ``4.2%``, ``a factor of 3``, or ``nothing``."""
    if ratio is None:
        return "nothing"
    return f"{100 * (ratio - 1):.1f}%" if ratio < 2 else f"a factor of {ratio:.3g}"  # noqa: PLR2004


def _amount(found: Difference) -> str:
    """Return the size of a difference with its interval: ``23% (20 to 26)``."""
    low, high = found.low or found.ratio, found.high or found.ratio
    ends = sorted(abs(100 * (end - 1)) for end in (low, high))
    digits = 1 if high - low < _WIDE else 0
    return f"{abs(100 * (found.ratio - 1)):.{digits}f}% ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"


def _friedman(found: Friedman | None, words: str) -> str:
    return f"{words} p {_p(found.p)}" if found else ""


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "below 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004


def _rounds(findings: Sequence[Finding]) -> str:
    counts = sorted({difference.pairs for difference in _differences(findings)})
    if not counts:
        return "no round is shared"
    if len(counts) == 1:
        return counted(counts[0], "round")
    return f"{counts[0]} to {counts[-1]} rounds"


def _differences(findings: Iterable[Finding]) -> Iterable[Difference]:
    effects: list[Effect] = [effect for finding in findings for effect in (finding.energy, finding.time)]
    return (effect.difference for effect in effects if effect.difference)
