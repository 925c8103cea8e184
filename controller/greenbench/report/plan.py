"""A plan before it is measured."""

import sys
from typing import Any

from rich.console import Console

from greenbench.core.plan import Plan, Protocol
from greenbench.report.structured import plan_as_json
from greenbench.report.terminal import plan_table

_NO_ENERGY = "a host's watts are known once it has been measured"


def print_plan(plan: Plan, total_s: float, *, measured_before: bool, console: Console | None = None) -> None:
    """Print a plan.

    Args:
        plan: What will be measured.
        total_s: Estimated length, seconds.
        measured_before: Whether every cell's overhead was measured on this host; else it is a guess.
        console: Standard output where none is given.
    """
    target = console or Console(file=sys.stdout, highlight=False)
    for line in protocol_lines(plan.protocol):
        target.print(line, soft_wrap=True)
    plan_table(plan, target, total_s=total_s, guessed=not measured_before, energy_reason=_NO_ENERGY)


def protocol_lines(protocol: Protocol) -> list[str]:
    """Return a sentence for each part of a protocol that is not greenbench's own."""
    said = []
    if protocol.order == "fixed":
        said.append(
            "fixed order: every round in the order of the suite, so that drift falls on the last cells"
        )
    if not protocol.baseline_every_s:
        said.append(f"one idle baseline of {protocol.baseline_host_s:.0f} s, at the beginning")
    if protocol.gpu_energy == "polled":
        said.append("GPU energy: power polled every 10 ms and integrated, not the board's counter")
    if protocol.cpu_meter == "pyrapl":
        said.append("CPU energy: pyRAPL, which does not see a counter wrap")
    return said


def plan_json(plan: Plan, total_s: float) -> dict[str, Any]:
    """Return the same as plain values, SI units."""
    return plan_as_json(plan, total_s=total_s, energy_reason=_NO_ENERGY)
