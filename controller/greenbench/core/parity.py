"""How far a runtime's outputs are from the reference's: the figures of ``parity.json``."""

from dataclasses import dataclass

from greenbench.core.doubt import Doubt, Rule, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a runtime's outputs are from the reference's.

    Attributes:
        relative_error: Largest over rows of the error's norm over the reference's norm.
        cosine: Smallest over rows of the cosine between output and reference.
        top1_agreement: Share of positions with the same largest entry on the last axis.
        rows: Samples compared.
        limit: Largest relative error allowed.
        passed: Whether the error is finite and within the limit.
    """

    relative_error: float
    cosine: float
    top1_agreement: float
    rows: int
    limit: float
    passed: bool

    @property
    def sentence(self) -> str:
        """One line for the user."""
        verdict = "agree with" if self.passed else "differ from"
        return (
            f"outputs {verdict} the reference: relative error {self.relative_error:.2g} "
            f"(limit {self.limit:.0e}), cosine {self.cosine:.6f}, "
            f"top-1 agreement {self.top1_agreement:.0%} over {self.rows} samples"
        )

    @property
    def doubt(self) -> Doubt | None:
        """The doubt that a failed proof raises; None where it passed."""
        if self.passed:
            return None
        return Doubt(rule=Rule.PARITY, value=self.relative_error, limit=self.limit, verdict=Verdict.INVALID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One parity result: which runtime, mode, source, model, precision and weights, and how it ended.

    Matched outputs are compared with the reference runtime's, native ones with those of the network's own
    framework on the CPU: native networks of two frameworks are never compared.

    `conversion` compares a converted model with what its own framework gave for the same photographs or
    passages before converting it; None where nothing was converted, or that framework was not run.
    """

    runtime: str
    mode: str
    source: str | None
    model: str
    sequence_length: int | None
    precision: str
    weights: str = "matched"
    parity: Parity
    conversion: Parity | None = None
