"""Rows as a table: what is known, built, prepared and proven."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from greenbench.core.parity import Proof
from greenbench.report.visible import shown


def print_rows(rows: Sequence[Mapping[str, Any]], console: Console, *, title: str) -> None:
    """Print rows that share their keys as a table; the keys are the columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(shown(str(value)) for value in row.values()))
    console.print(table)


def proof_lines(proofs: Sequence[Proof]) -> list[str]:
    """Return one line per parity result, in columns that need no table."""
    names = [
        " ".join([proof.runtime, proof.mode, *(["from", proof.source] if proof.source else [])])
        + (f" {proof.weights}" if proof.weights != "matched" else "")
        for proof in proofs
    ]
    width = max(map(len, names), default=0)
    models = max((len(proof.model) for proof in proofs), default=0)
    return [
        f"  {name:<{width}}  {proof.model:<{models}}  {proof.precision}  "
        f"error {proof.parity.relative_error:.1e}  cosine {proof.parity.cosine:.6f}  "
        f"top-1 {proof.parity.top1_agreement:.0%}  {'equal' if proof.parity.passed else 'DIFFER'}"
        for name, proof in zip(names, proofs, strict=True)
    ]


def conversion_lines(proofs: Sequence[Proof]) -> list[str]:
    """Return one line per conversion: its answers after converting against those before."""
    told = [
        (
            f"{proof.source} to {proof.runtime} {proof.mode}",
            f"{proof.weights} {proof.model}",
            proof.conversion,
        )
        for proof in proofs
        if proof.conversion
    ]
    way_width = max((len(way) for way, _, _ in told), default=0)
    model_width = max((len(model) for _, model, _ in told), default=0)
    return [
        f"  {way:<{way_width}}  {model:<{model_width}}  top-1 agreement {found.top1_agreement:.1%}  "
        f"cosine {found.cosine:.7f}  error {found.relative_error:.1e}  over {found.rows} samples"
        for way, model, found in told
    ]
