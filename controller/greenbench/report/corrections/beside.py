"""One run beside another: conditions, what each run shows of them, and what they come to together."""

from dataclasses import dataclass

from greenbench.report.comparison import unlike
from greenbench.report.corrections.conditions import Condition, conditions_of
from greenbench.report.corrections.evidence import Evidence, evidence_of
from greenbench.report.corrections.pairs import PairedCell, between
from greenbench.report.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBeside:
    """One claim of the study in two runs.

    Attributes:
        name: ``C1`` to ``C9``.
        text: What the study says.
        a: The first run's decision.
        b: The second's.
    """

    name: str
    text: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Two runs, one beside the other; the first is 1.

    Attributes:
        a: Run id of the first.
        b: Run id of the second.
        suite_a: Name of its suite.
        suite_b: Likewise.
        conditions: All of them, equal ones too.
        evidence: What each run shows of a correction by itself, all else equal; with its run id.
        cells: Cells of both; figures hold every difference of the two runs at once. Empty where refused.
        refused: Why their figures cannot be compared; empty where they can.
        claims: Decided by both.
    """

    a: str
    b: str
    suite_a: str
    suite_b: str
    conditions: tuple[Condition, ...]
    evidence: tuple[tuple[str, Evidence], ...]
    cells: tuple[PairedCell, ...]
    refused: tuple[str, ...]
    claims: tuple[ClaimBeside, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        """Names of the conditions that differ."""
        return tuple(one.name for one in self.conditions if one.differs)


def beside_of(a: Document, b: Document) -> Beside:
    """Put a run beside another.

    Args:
        a: The run that is 1.
        b: The other.
    """
    refused = _refused(a, b)
    return Beside(
        a=a.manifest.run_id,
        b=b.manifest.run_id,
        suite_a=str(a.manifest.suite.get("name", "unnamed")),
        suite_b=str(b.manifest.suite.get("name", "unnamed")),
        conditions=conditions_of(a, b),
        evidence=tuple((one.manifest.run_id, found) for one in (a, b) for found in evidence_of(one)),
        cells=() if refused else between(a.trials, b.trials),
        refused=refused,
        claims=_claims(a, b),
    )


def _refused(a: Document, b: Document) -> tuple[str, ...]:
    hosts = [", ".join(sorted({trial.host_id for trial in one.trials})) for one in (a, b)]
    found = list(unlike(a.manifest, b.manifest))
    if hosts[0] != hosts[1]:
        # Two boards of one model differ by more than a correction may change.
        found.append(f"other hosts: {hosts[0] or 'none'} and {hosts[1] or 'none'}")
    return tuple(found)


def _claims(a: Document, b: Document) -> tuple[ClaimBeside, ...]:
    theirs = {claim.name: claim for claim in b.study.claims}
    return tuple(
        ClaimBeside(
            name=claim.name,
            text=claim.text,
            a=str(claim.decision),
            b=str(theirs[claim.name].decision),
        )
        for claim in a.study.claims
        if claim.name in theirs
    )
