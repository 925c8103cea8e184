"""The same objects as JSON: numbers in SI units, nothing formatted."""

from typing import Any

from greenbench.core.plan import Plan
from greenbench.report.answer import Answer
from greenbench.results.events import plain
from greenbench.results.status import RunStatus


def answer_as_json(answer: Answer) -> dict[str, Any]:
    """Return what a run found as plain values."""
    values: dict[str, Any] = plain(answer)
    return values


def status_as_json(status: RunStatus) -> dict[str, Any]:
    """Return how far a run is as plain values."""
    values: dict[str, Any] = plain(status)
    return values


def plan_as_json(
    plan: Plan, *, total_s: float, energy_j: float | None = None, energy_reason: str = ""
) -> dict[str, Any]:
    """Return a plan with its estimates as plain values.

    Args:
        plan: What will be measured.
        total_s: Estimated length of the run, seconds.
        energy_j: Estimated energy, joules; None where there is no estimate.
        energy_reason: Why there is none, or what the estimate rests on.
    """
    return {
        "cells": [{"cell_id": cell.cell_id, **plain(cell)} for cell in plan.cells],
        "order": [load.load_id for load in plan.loads],
        "left_out": plain(plan.left_out),
        "protocol": plain(plan.protocol),
        "seed": plan.seed,
        "estimated_s": total_s,
        "estimated_j": energy_j,
        "energy_note": energy_reason,
    }
