"""Comparisons and gates on the terminal and as JSON."""

from typing import Any

from rich.console import Console
from rich.table import Table

from greenbench.report.comparison import Comparison
from greenbench.report.contrast import Contrast
from greenbench.report.gate import Gate
from greenbench.report.numbers import change
from greenbench.report.visible import shown
from greenbench.results.events import plain


def percent(found: Contrast | None) -> str:
    """Return by how many percent B is above A, with its interval."""
    if found is None:
        return "-"
    said = change(found.ratio, found.low, found.high)
    return f"{said} (one round: no interval)" if found.low is None else said


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what B costs more or less than A, cell by cell."""
    table = Table(title=shown(f"{comparison.b} against {comparison.a}"), show_lines=True)
    for column in ("cell", "J/sample", "seconds/sample", "rounds", ""):
        table.add_column(column, overflow="fold")
    for cell in comparison.cells:
        known = cell.energy or cell.time
        rounds = (
            f"{known.rounds_a} and {known.rounds_b}, {'paired' if known.paired else 'unpaired'}"
            if known
            else ""
        )
        names = cell.b if cell.a == cell.b else f"{cell.b}\nagainst {cell.a}"
        said = "not comparable: " + "; ".join(cell.refused) if cell.refused else ""
        if not cell.refused and cell.energy is None:
            said = "no energy on both sides" if cell.time else "no valid or doubtful trial on both sides"
        table.add_row(
            *(shown(value) for value in (names, percent(cell.energy), percent(cell.time), rounds, said))
        )
    console.print(table)
    for label, lone in ((comparison.a, comparison.only_a), (comparison.b, comparison.only_b)):
        if lone:
            console.print(shown(f"only in {label}: {', '.join(lone)}"))


def print_gate(gate: Gate, console: Console) -> None:
    """Print each cell's outcome, then the gate's."""
    for cell in gate.cells:
        figure = f"{cell.quantity} {percent(cell.contrast)}: " if cell.contrast else ""
        console.print(shown(f"{cell.outcome.value:13} {cell.cell}: {figure}{cell.reason}"), soft_wrap=True)
    console.print(shown(f"gate: {gate.outcome.value} (limit +{gate.limit:.3%})"))


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values."""
    values: dict[str, Any] = plain(comparison)
    return values


def gate_json(gate: Gate) -> dict[str, Any]:
    """Return a gate as plain values."""
    values: dict[str, Any] = plain(gate)
    return values
