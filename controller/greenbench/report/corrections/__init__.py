"""Two runs of one question under other protocols: what differs, and what each difference changes."""

from greenbench.report.corrections.beside import Beside, ClaimBeside, beside_of
from greenbench.report.corrections.conditions import Condition, conditions_of
from greenbench.report.corrections.evidence import Evidence, evidence_of
from greenbench.report.corrections.pairs import PairedCell

__all__ = [
    "Beside",
    "ClaimBeside",
    "Condition",
    "Evidence",
    "PairedCell",
    "beside_of",
    "conditions_of",
    "evidence_of",
]
