"""Rows as a table: what is known, built, prepared and proven."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenbench.core.parity import Proof


def print_rows(rows: Sequence[Mapping[str, Any]], console: Console, *, title: str) -> None:
    """Print rows that share their keys as a table; the keys are the columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console.print(table)


def proof_rows(proofs: Sequence[Proof]) -> list[dict[str, Any]]:
    """Return one row per parity result, errors as numbers."""
    return [
        {
            "runtime": proof.runtime,
            "mode": proof.mode,
            "source": proof.source or "-",
            "model": proof.model,
            "precision": proof.precision,
            "relative error": f"{proof.parity.relative_error:.1e}",
            "cosine": f"{proof.parity.cosine:.6f}",
            "top-1": f"{proof.parity.top1_agreement:.0%}",
            "outputs": "equal" if proof.parity.passed else "DIFFER",
        }
        for proof in proofs
    ]
