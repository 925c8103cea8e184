"""Outputs proven equal before anything is timed.

Errors are relative to the norm of the reference itself, row by row, so that a network whose outputs
are tiny cannot pass by being tiny; a reference without spread is refused.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from greenbench.core.doubt import Doubt, Limits, Rule, Verdict
from greenbench.core.parity import Parity
from greenbench.energy.validity import DEFAULT_LIMITS

ERROR_LIMITS = {"fp32": 1e-4, "tf32": 2e-2, "fp16": 2e-2, "bf16": 1e-1}
"""Largest relative error that still proves a precision's outputs equal to the fp32 reference.

Ten mantissa bits alone cost 0.1% (ResNet-50) to 0.7% (MobileNetV2) with seeded weights, about 0.05% with
trained ones; a wrong weight is found in fp32, whose limit is two hundred times tighter.
"""

ERROR_FLOORS = {"tf32": 2e-5, "fp16": 2e-5, "bf16": 2e-4}
"""Smallest relative error that such a precision can have: below it, fp32 ran in its place."""

SPREAD_FLOOR = 1e-6
"""Smallest standard deviation of a reference that can tell two networks apart."""


def compare(output: NDArray[np.floating], reference: NDArray[np.floating], *, precision: str) -> Parity:
    """Compare outputs with the fp32 reference of the same inputs.

    Args:
        output: float [n, ...], one row per sample.
        reference: float [n, ...], same shape.
        precision: Chooses the limit from `ERROR_LIMITS`.

    Returns:
        The comparison; not passed where the shapes differ, a value is not finite, or the reference
        has no spread.
    """
    limit = ERROR_LIMITS[precision]
    if output.shape != reference.shape or not len(reference):
        return _failed(limit, rows=len(reference))
    rows = len(reference)
    mine = output.reshape(rows, -1).astype(np.float64)
    theirs = reference.reshape(rows, -1).astype(np.float64)
    if not (np.isfinite(mine).all() and np.isfinite(theirs).all()) or theirs.std(axis=1).min() < SPREAD_FLOOR:
        return _failed(limit, rows=rows)
    norms = np.linalg.norm(theirs, axis=1)
    error = float((np.linalg.norm(mine - theirs, axis=1) / norms).max())
    cosines = (mine * theirs).sum(axis=1) / np.maximum(
        np.linalg.norm(mine, axis=1) * norms, np.finfo(float).tiny
    )
    agreement = float((output.argmax(axis=-1) == reference.argmax(axis=-1)).mean())
    return Parity(
        relative_error=error,
        cosine=float(cosines.min()),
        top1_agreement=agreement,
        rows=rows,
        limit=limit,
        passed=error <= limit,
    )


def _failed(limit: float, *, rows: int) -> Parity:
    return Parity(
        relative_error=float("inf"), cosine=0.0, top1_agreement=0.0, rows=rows, limit=limit, passed=False
    )


def numeric_mode_doubt(
    parity: Parity, *, precision: str, device: str, flags: Mapping[str, str], dtypes: Mapping[str, str]
) -> Doubt | None:
    """Return the doubt that a runtime computes in another numeric mode than asked for.

    Args:
        parity: The comparison with the fp32 reference.
        precision: What was asked for.
        device: ``cpu`` or ``cuda``; TF32 exists on CUDA devices only.
        flags: Numeric flags as the runtime reads them back; every flag whose name holds ``tf32`` counts.
        dtypes: Of ``weights``, ``inputs`` and ``outputs``.

    Returns:
        A doubt whose value counts the signs of another mode, or None.
    """
    signs = 0
    if device == "cuda":
        wanted = precision == "tf32"
        signs += sum(_is_on(value) != wanted for name, value in flags.items() if "tf32" in name.lower())
    expected = {"fp32": "float32", "tf32": "float32", "fp16": "float16", "bf16": "bfloat16"}[precision]
    signs += dtypes.get("weights", expected) != expected
    signs += parity.passed and parity.relative_error < ERROR_FLOORS.get(precision, 0.0)
    return Doubt(rule=Rule.NUMERIC_MODE, value=signs, limit=0, verdict=Verdict.INVALID) if signs else None


def _is_on(value: str) -> bool:
    return value.lower() in {"1", "true", "on", "tf32", "high", "medium"}


def fallback_doubt(
    nodes_per_provider: Mapping[str, int],
    *,
    wanted: str,
    limits: Limits = DEFAULT_LIMITS[Rule.PROVIDER_FALLBACK],
) -> Doubt | None:
    """Return the doubt that nodes ran on another execution provider than the one asked for.

    Args:
        nodes_per_provider: Graph nodes by provider name; empty where the runtime has none.
        wanted: The mode, matched against the provider's name without case.
        limits: Of the share.

    Returns:
        A doubt whose value is the share of nodes elsewhere, or None.
    """
    total = sum(nodes_per_provider.values())
    inside = sum(
        count for name, count in nodes_per_provider.items() if name.lower().startswith(wanted.lower())
    )
    return limits.judge(Rule.PROVIDER_FALLBACK, (total - inside) / total if total else 0.0)
