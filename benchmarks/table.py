"""The lines as a table on the terminal, as Markdown and as JSON, with the machine they were taken on."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.lines import Line, Verdict
from greenbench.bench.host_checks import PACED_S, PIECE, piece_s
from greenbench.core.units import milliseconds_from_seconds

_COLOURS = {Verdict.WITHIN: "green", Verdict.FOUND: "green", Verdict.BEYOND: "red", Verdict.NOT_FOUND: "red"}
TITLE = "What greenbench itself costs"
_COLUMNS = ("", "figure, 90% interval", "limit", "verdict", "")


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Mapping[str, Any]:
    """Return what has to be known of this host with the figures."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in fields.items()}
    return {
        "cpu": known.get("model name", platform.machine()),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "logical_cores": os.cpu_count(),
        "virtualised": "hypervisor" in known.get("flags", "").split(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "piece_ms": round(milliseconds_from_seconds(piece_s(PACED_S)), 3),
    }


def head(host: Mapping[str, Any], command: str, subject: str) -> str:
    """Return the sentence above the table."""
    virtual = "virtualised" if host["virtualised"] else "not virtualised"
    load = host["load_average"][0]
    return (
        f"`{command}`, {host['date']}: {subject}. {host['cpu']}, {host['cores']} cores "
        f"({host['logical_cores']} logical), {virtual}, Linux {host['kernel']}, Python {host['python']}, "
        f"load average {load} at the start; to sum {PIECE:,} numbers in Python took {host['piece_ms']} ms."
    )


def show(lines: Sequence[Line], console: Console, *, title: str = TITLE) -> None:
    """Print the lines as a table."""
    table = Table(title=title, show_lines=True)
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for line in lines:
        colour = _COLOURS.get(line.verdict, "yellow")
        verdict = f"[{colour}]{line.says}[/]" if line.says else ""
        table.add_row(line.what, line.figure, line.limit, verdict, line.note)
    console.print(table)


def as_markdown(lines: Sequence[Line], above: str, *, title: str = TITLE) -> str:
    """Return the lines as a page."""
    rows = [(line.what, line.figure, line.limit, line.says, line.note) for line in lines]
    table = ["| " + " | ".join(cells) + " |" for cells in (_COLUMNS, ("---",) * len(_COLUMNS), *rows)]
    return "\n".join([f"# {title}", "", above, "", *table, ""])


def as_json(lines: Sequence[Line], host: Mapping[str, Any], command: str) -> Mapping[str, Any]:
    """Return the lines, what they were taken on and how."""
    return {"host": host, "command": command, "lines": [asdict(line) | {"says": line.says} for line in lines]}


def exit_status(lines: Sequence[Line]) -> int:
    """Return 1 where a line is beyond its limit with its whole interval, else 0."""
    return int(any(line.verdict is Verdict.BEYOND for line in lines))
