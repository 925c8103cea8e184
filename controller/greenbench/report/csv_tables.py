"""The cells of runs, their comparisons, claims and conversions as CSV for machines: full digits, SI units."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from greenbench.report.document import Document
from greenbench.report.study.rows import (
    CLAIM_COLUMNS,
    COMPARISON_COLUMNS,
    Row,
    claim_rows,
    comparison_rows,
)
from greenbench.report.tariff import FOOTPRINT_COLUMNS, Tariff, footprint_rows
from greenbench.report.visible import visible_values
from greenbench.results.cells import CellSummary, Estimate

CSV_COLUMNS = (
    "run_id", "cell_id", "runtime", "mode", "source", "model", "precision", "batch_size", "sequence_length",
    "weights", "path", "io", "device", "energy_scope", "energy_j_per_sample", "energy_j_per_sample_u95",
    "throughput_samples_per_s", "throughput_samples_per_s_u95", "latency_p50_s", "latency_p50_s_u95",
    "cpu_s_per_sample", "cpu_s_per_sample_u95", "memory_peak_b", "rounds", "verdict", "marked",
)  # fmt: skip
_ESTIMATES = ("energy_j_per_sample", "throughput_samples_per_s", "latency_p50_s", "cpu_s_per_sample")


def csv_of(documents: Iterable[Document]) -> str:
    """Return every cell with full digits, SI units; an empty field where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for document in documents:
        for group in document.answer.groups:
            for cell in group.cells:
                mark = group.mark if cell.cell_id == group.marked else ""
                row = {"run_id": document.manifest.run_id, "marked": mark} | _values(cell)
                writer.writerow(visible_values(row))
    return text.getvalue()


def _values(cell: CellSummary) -> dict[str, object]:
    row: dict[str, object] = {
        name: getattr(cell, name)
        for name in CSV_COLUMNS
        if name not in {"run_id", "marked"} and not name.endswith("_u95")
    }
    for name in _ESTIMATES:
        found: Estimate | None = getattr(cell, name)
        row |= {name: found.mean if found else None, f"{name}_u95": found.u95 if found else None}
    return row


def comparisons_csv_of(documents: Iterable[Document]) -> str:
    """Return every comparison of the research questions with full digits; ratios are of cell over against."""
    return _csv(COMPARISON_COLUMNS, documents, lambda document: comparison_rows(document.study))


def claims_csv_of(documents: Iterable[Document]) -> str:
    """Return every claim with its decision and reason."""
    return _csv(CLAIM_COLUMNS, documents, lambda document: claim_rows(document.study))


def footprints_csv_of(documents: Iterable[Document], tariff: Tariff) -> str:
    """Return the energy of a million samples, converted by the reader's figures, which each row holds."""
    return _csv(FOOTPRINT_COLUMNS, documents, lambda document: footprint_rows(document.answer.groups, tariff))


def _csv(
    columns: Sequence[str], documents: Iterable[Document], rows: Callable[[Document], Iterable[Row]]
) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("run_id", *columns), lineterminator="\n")
    writer.writeheader()
    for document in documents:
        writer.writerows(visible_values({"run_id": document.manifest.run_id} | row) for row in rows(document))
    return text.getvalue()
