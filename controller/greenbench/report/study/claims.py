"""The study's nine claims, decided by rules that were fixed before any data.

The claims are those of Alizadeh and Castor, arXiv 2402.13640, about a GPU. Each comparison is judged twice,
by its energy net of the idle host (as the study took it) and by its time; its outcome is what the interval
says.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from greenbench.report.numbers import change, counted
from greenbench.report.statistics import EQUIVALENCE, FEWEST_PAIRS, Outcome
from greenbench.report.study.comparing import Effect, Finding

STUDY = "arXiv 2402.13640"
TEXTS = {
    "C1": "MXNet beats PyTorch and TensorFlow on the vision models at batch 1",
    "C2": "At batch 64 PyTorch and MXNet are practically indistinguishable on the vision models",
    "C3": "TensorFlow is outperformed consistently on the vision models at batch 64",
    "C4": "PyTorch is best for BERT",
    "C5": "Converting to ONNX usually improves energy and time",
    "C6": "ResNet-50 converted to ONNX costs more than PyTorch at batch 64",
    "C7": "TensorRT always outperforms CUDA",
    "C8": "Energy and time are almost perfectly correlated",
    "C9": "BERT converted from MXNet and TensorFlow is rejected by ONNX Runtime; only PyTorch's runs",
}


class Decision(StrEnum):
    """What a run says of a claim."""

    REPRODUCED = "reproduced"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim, decided.

    Attributes:
        name: ``C1`` to ``C9``.
        text: What the study says.
        decision: What this run says of it.
        reason: Why, with the effect and interval that decided.
        findings: The comparisons that it rests on.
    """

    name: str
    text: str
    decision: Decision
    reason: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The comparisons that a claim asks for.

    Attributes:
        findings: Those that were measured.
        missing: What was not.
    """

    findings: tuple[Finding, ...]
    missing: tuple["Missing", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A comparison that a claim asks for and the run does not have.

    Attributes:
        place: Model and batch size.
        reason: Why, in a sentence.
    """

    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One quantity of one comparison, with the comparison that it belongs to."""

    finding: Finding
    effect: Effect


Test = Callable[[Effect], bool]


def lower(effect: Effect) -> bool:
    """Tell whether the interval lies below 1, and not within 5% of it."""
    return effect.outcome is Outcome.LOWER


def higher(effect: Effect) -> bool:
    """Tell whether the interval lies above 1, and not within 5% of it."""
    return effect.outcome is Outcome.HIGHER


def equivalent(effect: Effect) -> bool:
    """Tell whether the interval lies within 5% of 1."""
    return effect.outcome is Outcome.EQUIVALENT


def not_higher(effect: Effect) -> bool:
    """Tell whether the interval lies below 1 or within 5% of it."""
    return lower(effect) or equivalent(effect)


def beyond(effect: Effect) -> bool:
    """Tell whether the whole interval is more than 5% away from 1."""
    found = effect.difference
    if found is None or found.low is None or found.high is None:
        return False
    return found.low > 1 + EQUIVALENCE or found.high < 1 - EQUIVALENCE


def decide_all(name: str, evidence: Evidence, *, reproduces: Test, contradicts: Test) -> Claim:
    """Decide a claim that holds for every comparison and falls with one.

    One comparison that contradicts is enough, whatever else is missing.

    Args:
        name: Of the claim.
        evidence: What was measured and what was not.
        reproduces: What every comparison has to say.
        contradicts: What none may say.
    """
    judged, missing = _judged(evidence)
    against = [one for one in judged if contradicts(one.effect)]
    if against:
        return _claim(name, Decision.CONTRADICTED, _said(against[0]), evidence)
    if missing or not judged:
        return _claim(name, Decision.NOT_MEASURED, _missing(missing), evidence)
    short = [one for one in judged if not reproduces(one.effect)]
    if short:
        fit = f"{len(judged) - len(short)} of {len(judged)} comparisons fit; {_said(short[0])}"
        return _claim(name, Decision.INCONCLUSIVE, fit, evidence)
    weakest = min(judged, key=_distance)
    said = f"all {len(judged)} comparisons fit; the closest: {_said(weakest)}"
    return _claim(name, Decision.REPRODUCED, said, evidence)


def decide_mostly(name: str, evidence: Evidence) -> Claim:
    """Decide a claim that things are usually lower: more than half lower, fewer than a quarter higher."""
    judged, missing = _judged(evidence)
    if missing or not judged:
        return _claim(name, Decision.NOT_MEASURED, _missing(missing), evidence)
    counts = Counter(str(one.effect.outcome) for one in judged)
    said = f"of {counted(len(judged), 'comparison')} {_counts(counts)}; {_middle(judged)}"
    if counts[Outcome.LOWER] > len(judged) / 2 and counts[Outcome.HIGHER] < len(judged) / 4:
        return _claim(name, Decision.REPRODUCED, said, evidence)
    contradicted = counts[Outcome.HIGHER] > len(judged) / 2
    return _claim(name, Decision.CONTRADICTED if contradicted else Decision.INCONCLUSIVE, said, evidence)


def not_measured(name: str, reason: str) -> Claim:
    """Return a claim of which this run says nothing."""
    return Claim(name=name, text=TEXTS[name], decision=Decision.NOT_MEASURED, reason=reason)


def _claim(name: str, decision: Decision, reason: str, evidence: Evidence) -> Claim:
    return Claim(name=name, text=TEXTS[name], decision=decision, reason=reason, findings=evidence.findings)


def _judged(evidence: Evidence) -> tuple[list[Judged], list[Missing]]:
    judged, missing = [], list(evidence.missing)
    for finding in evidence.findings:
        for effect in (finding.energy_net, finding.time):
            if effect.difference:
                judged.append(Judged(finding=finding, effect=effect))
            else:
                missing.append(Missing(place=finding.setting, reason=effect.absent))
    return judged, missing


def _missing(missing: Iterable[Missing]) -> str:
    places: dict[str, dict[str, None]] = {}
    for one in missing:
        places.setdefault(one.reason, {})[one.place] = None
    said = [f"{reason} ({', '.join(own)})" for reason, own in places.items()]
    return "; ".join(said) or "no comparison was measured"


def _said(one: Judged) -> str:
    finding, difference = one.finding, one.effect.difference
    if difference is None:
        return one.effect.absent
    what = "time" if one.effect.quantity == "time" else "energy net of idle"
    said = change(difference.ratio, difference.low, difference.high)
    rounds = counted(difference.pairs, "round")
    if difference.low is None:
        rounds += f", and a 95% interval takes {FEWEST_PAIRS}"
    gross = finding.energy.difference
    beside = (
        f"; gross {change(gross.ratio, gross.low, gross.high)}"
        if gross and one.effect.quantity != "time"
        else ""
    )
    return f"{what} of {finding.b} against {finding.a}, {finding.setting}: {said}{beside} ({rounds})"


def _distance(one: Judged) -> float:
    difference = one.effect.difference
    return abs(difference.ratio - 1) if difference else 0.0


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def _middle(judged: Sequence[Judged]) -> str:
    ordered = sorted(judged, key=lambda one: one.effect.difference.ratio if one.effect.difference else 0.0)
    return f"in the middle, {_said(ordered[len(ordered) // 2])}"
