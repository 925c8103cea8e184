"""What a query found, as text or as JSON."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from greenbench.core.errors import ConfigurationError
from greenbench.report.visible import shown
from greenbench.results.events import plain
from greenbench.results.stored import StoredRun
from greenbench.results.views import VIEWS, Rows, RunViews

SUFFIXES = ("csv", "json", "parquet")
_EXPORTED = ("trials", "baselines", "doubts", "absent", "readings", "iterations")


def query_run(folder: Path, sql: str) -> tuple[Rows, tuple[str, ...]]:
    """Return what a query over a run's views finds, and one sentence per damaged file.

    Raises:
        ConfigurationError: The query is refused.
        DamagedResultsError: The run cannot be read.
    """
    with RunViews(StoredRun(folder)) as views:
        return views.query(sql), tuple(views.damaged)


def export_run(folder: Path, to: Path, *, suffix: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write a run's views as files; return them, and one sentence per damaged file.

    Args:
        folder: The run.
        to: Where the files go.
        suffix: ``csv``, ``json`` or ``parquet``; CSV and JSON hold no nested columns well, so those of
            trials are files of their own: doubts and absent.

    Raises:
        ConfigurationError: The suffix is unknown, or a file cannot be written.
        DamagedResultsError: The run cannot be read.
    """
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"--format {suffix!r} is not known; allowed: {', '.join(SUFFIXES)}")
    with RunViews(StoredRun(folder)) as views:
        names = [name for name in _EXPORTED if name in views.names]
        return views.export(to, names, suffix=suffix), tuple(views.damaged)


def rows_json(rows: Rows) -> list[dict[str, Any]]:
    """Return the rows as plain values by column."""
    return [dict(zip(rows.columns, map(plain, row), strict=True)) for row in rows.rows]


def print_rows_found(rows: Rows, console: Console) -> None:
    """Print the rows as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows.columns:
        table.add_column(shown(column), overflow="fold")
    for row in rows.rows:
        table.add_row(*(shown("" if value is None else str(value)) for value in row))
    console.print(table)


def views_help() -> str:
    """Return the views and what their rows are, a line each."""
    return "\n".join(f"{name}: {meaning}" for name, meaning in VIEWS.items())
