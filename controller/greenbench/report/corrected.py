"""Two runs beside each other as a page, tables and a terminal show them."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from greenbench.report.contrast import Contrast
from greenbench.report.corrections import Beside, ClaimBeside, Evidence, PairedCell, beside_of
from greenbench.report.document import Document
from greenbench.report.numbers import change, counted
from greenbench.report.visible import visible_values

CONDITION_HEADER = ("condition", "first", "second", "")
ALONE_HEADER = ("correction", "seen in", "what", "of", "change", "least to most", "cells")
CELL_HEADER = ("cell", "first", "second", "J/sample", "J/sample net of idle", "seconds/sample", "rounds", "")
CLAIMS_HEADER = ("claim", "what the study says", "first", "second", "")
ALONE_CAPTION = "What each condition changes by itself, all else equal, as one run shows it"
CELL_CAPTION = "Second against first, cell by cell, with 95% intervals (Welch)"
_CSV_COLUMNS = (
    "a", "b", "part", "name", "run", "value_a", "value_b", "quantity", "ratio", "low", "high", "count",
)  # fmt: skip
Row = dict[str, str | float | int | None]


def besides_of(documents: Sequence[Document]) -> tuple[Beside, ...]:
    """Return every run beside the first; none where there is one run alone."""
    return tuple(beside_of(documents[0], other) for other in documents[1:])


def summary_of(beside: Beside) -> tuple[str, ...]:
    """Return in sentences what differs, and what the figures of the two may be used for."""
    said = [f"First: {beside.a}, suite {beside.suite_a}. Second: {beside.b}, suite {beside.suite_b}."]
    if not beside.differing:
        said.append("They differ in none of the conditions below.")
    else:
        said.append(f"They differ in {_listed(beside.differing)}.")
    if beside.refused:
        said.append(f"Their figures are not compared: {'; '.join(beside.refused)}.")
    elif not beside.cells:
        said.append("They share no cell.")
    elif len(beside.differing) > 1:
        said.append(
            "A cell's change holds all of these at once; what one does alone stands where a run shows it."
        )
    turned = [claim.name for claim in beside.claims if claim.a != claim.b]
    said.append(f"Decided otherwise: {_listed(turned)}." if turned else "Every claim is decided alike.")
    return tuple(said)


def condition_rows(beside: Beside) -> list[list[str]]:
    """Return a row per condition, in the columns of `CONDITION_HEADER`."""
    return [[one.name, one.a, one.b, "differs" if one.differs else ""] for one in beside.conditions]


def alone_rows(beside: Beside) -> list[list[str]]:
    """Return a row per change that a run shows by itself, in the columns of `ALONE_HEADER`."""
    return [_alone(run, one) for run, one in beside.evidence]


def cell_rows(beside: Beside) -> list[list[str]]:
    """Return a row per cell of both runs, in the columns of `CELL_HEADER`."""
    return [_cell(one) for one in beside.cells]


def claim_rows(beside: Beside) -> list[list[str]]:
    """Return a row per claim, in the columns of `CLAIMS_HEADER`."""
    return [[one.name, one.text, one.a, one.b, _turned(one)] for one in beside.claims]


def beside_values(beside: Beside, number: int) -> dict[str, Any]:
    """Return what `beside.html.j2` shows."""
    return {
        "id": f"beside-{number}",
        "title": f"{beside.suite_b} beside {beside.suite_a}",
        "sentences": summary_of(beside),
        "tables": [
            {"caption": caption, "columns": header, "rows": rows, "numeric": numeric, "open": is_open}
            for caption, header, rows, numeric, is_open in (
                ("Conditions", CONDITION_HEADER, condition_rows(beside), (), True),
                (ALONE_CAPTION, ALONE_HEADER, alone_rows(beside), (4, 5, 6), True),
                ("Claims in both", CLAIMS_HEADER, claim_rows(beside), (), True),
                (CELL_CAPTION, CELL_HEADER, cell_rows(beside), (3, 4, 5, 6), False),
            )
            if rows
        ],
    }


def beside_lines(beside: Beside) -> Iterator[str]:
    """Yield the same as lines for a terminal."""
    yield f"{beside.suite_b} beside {beside.suite_a}:"
    yield from (f"  {sentence}" for sentence in summary_of(beside))
    for one in beside.conditions:
        yield f"  {one.name}: {one.a}" + (f" | {one.b}" if one.differs else " (both)")
    for correction, run, what, quantity, changed, span, cells in alone_rows(beside):
        spread = f", {span}" if span else ""
        yield f"  {correction}, {what}: {changed} {quantity} ({counted(int(cells), 'cell')}{spread}; {run})"
    for name, a, b, energy, _, time, _, note in cell_rows(beside):
        which = f" ({b} against {a})" if a != b else ""
        yield f"  {name}{which}: {energy} J/sample, {time} seconds/sample{f'; {note}' if note else ''}"
    yield from (f"  {one.name}: {one.a} | {one.b}" for one in beside.claims if one.a != one.b)


def corrections_csv_of(documents: Sequence[Document]) -> str:
    """Return conditions, changes alone, cells and claims of each run beside the first, with full digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for beside in besides_of(documents):
        writer.writerows(visible_values({"a": beside.a, "b": beside.b} | row) for row in _csv_rows(beside))
    return text.getvalue()


def _csv_rows(beside: Beside) -> Iterator[Row]:
    for one in beside.conditions:
        yield {"part": "condition", "name": one.name, "value_a": one.a, "value_b": one.b}
    for run, found in beside.evidence:
        yield {
            "part": "alone", "name": found.correction, "run": run, "value_b": found.what,
            "quantity": found.quantity, "ratio": found.ratio, "low": found.low, "high": found.high,
            "count": found.cells,
        }  # fmt: skip
    for cell in beside.cells:
        yield from _cell_csv(cell)
    for claim in beside.claims:
        yield {"part": "claim", "name": claim.name, "value_a": claim.a, "value_b": claim.b}


def _cell_csv(cell: PairedCell) -> Iterator[Row]:
    figures = {"energy": cell.energy, "energy_net_b0": cell.energy_net, "time": cell.time}
    for quantity, found in figures.items():
        row: Row = {"part": "cell", "name": cell.name, "value_a": cell.a, "value_b": cell.b}
        row |= {"quantity": quantity}
        if found:
            row |= {"ratio": found.ratio, "low": found.low, "high": found.high, "count": found.rounds_b}
        yield row


def _alone(run: str, one: Evidence) -> list[str]:
    span = "" if one.low == one.high else f"{_percent(one.low)} to {_percent(one.high)}"
    changed = _percent(one.ratio)
    return [one.correction, run, one.what, one.quantity, changed, span, str(one.cells)]


def _cell(one: PairedCell) -> list[str]:
    known = one.time or one.energy
    rounds = f"{known.rounds_a} and {known.rounds_b}" if known else "-"
    return [
        one.name, one.a, one.b, *map(_change, (one.energy, one.energy_net, one.time)), rounds, one.note,
    ]  # fmt: skip


def _change(found: Contrast | None) -> str:
    return change(found.ratio, found.low, found.high) if found else "-"


def _percent(ratio: float) -> str:
    return change(ratio, None, None)


def _turned(claim: ClaimBeside) -> str:
    return "" if claim.a == claim.b else "decided otherwise"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}"
