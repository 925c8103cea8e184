"""What `greenbench doctor` found, as lines or as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from greenbench.core.check import Check, Level
from greenbench.report.visible import shown

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def print_checks(checks: Sequence[Check], console: Console) -> None:
    """Print one line per check: the word, what was looked at, the figure; the remedy below."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        line = shown(f"{check.level:<5}", _STYLES[check.level])
        line.append_text(shown(f"{check.name:<{width}}  {check.figure}", "default"))
        console.print(line, soft_wrap=True)
        if check.remedy:
            console.print(shown(f"{'':<5}{'':<{width}}  -> {check.remedy}", "dim"), soft_wrap=True)


def checks_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as one JSON object, with the worst level."""
    levels = [check.level for check in checks]
    worst = next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)
    rows = [
        {
            "name": check.name,
            "level": check.level.value,
            "figure": check.figure,
            "remedy": check.remedy or None,
        }
        for check in checks
    ]
    return {"level": worst.value, "checks": rows}
