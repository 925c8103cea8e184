"""The figure of pairwise effects: what each cell costs, divided by the cheapest of its group."""

from typing import Any

import altair as alt

from greenbench.report.answer import Group, label_of
from greenbench.report.contrast import contrast, round_means
from greenbench.report.document import Document
from greenbench.report.figures.cells import ROW_HEIGHT
from greenbench.report.figures.figure import Chart, Figure, Panel, values, with_interval
from greenbench.report.figures.theme import runtime_scale
from greenbench.report.measure import Measure
from greenbench.report.numbers import change
from greenbench.results.cells import CellSummary

_TOLD = ("label", "other", "ratio", "low", "high", "rounds", "decided")


def effects_figure(document: Document, measure: Measure) -> Figure:
    """Draw the ratio of every cell to the best of its group, from the rounds that both have."""
    panels = {
        group.title: rows for group in document.answer.groups if (rows := _rows(document, group, measure))
    }
    return Figure(
        name="effects",
        title="Who costs less, and how surely?",
        caption=(
            f"{measure.label} of a cell divided by that of the cell with the best mean, from rounds that "
            "both have, with the 95% interval of the geometric mean by Student's t: it assumes normal "
            "differences and needs two rounds, where the answers assume symmetry and need six. An interval "
            "that holds 1 decides nothing. Valid and doubtful trials only; not corrected for the number of "
            "comparisons."
        ),
        panels=tuple(Panel(title=title, chart=_panel(document, rows)) for title, rows in panels.items()),
        columns=("group", "cell", "divided by", "ratio", "low", "high", "rounds", "decided"),
        rows=tuple((title, *(row[key] for key in _TOLD)) for title, rows in panels.items() for row in rows),
        absent=""
        if panels
        else "It takes two cells of one model, batch size and precision that may be compared.",
    )


def _rows(document: Document, group: Group, measure: Measure) -> list[dict[str, Any]]:
    best = next((cell for cell in group.cells if cell.cell_id == group.marked), None)
    others = [cell for cell in group.cells if cell.usable and cell is not best]
    return [row for cell in others if best and (row := _row(document, cell, best, measure))]


def _row(document: Document, cell: CellSummary, best: CellSummary, measure: Measure) -> dict[str, Any] | None:
    best_rounds, rounds = (
        round_means((trial for trial in document.trials if trial.cell_id == one.cell_id), measure.of_trial)
        for one in (best, cell)
    )
    ratio = contrast(best_rounds, rounds, paired=True)
    if ratio is None:
        return None
    return {
        "label": label_of(cell),
        "runtime": cell.runtime,
        "other": label_of(best),
        "ratio": ratio.ratio,
        "low": ratio.low,
        "high": ratio.high,
        "rounds": ratio.rounds_a,
        "decided": "yes" if ratio.decided else "no",
        # Else Vega-Lite writes the axis's title, which names a cell, unescaped into an expression.
        "said": f"{label_of(cell)} {change(ratio.ratio, ratio.low, ratio.high)} against {label_of(best)}",
    }


def _panel(document: Document, rows: list[dict[str, Any]]) -> Chart:
    scale = runtime_scale(document.runtimes)
    axis = alt.Axis(tickCount=5, format="~r")
    x = alt.X(
        "ratio:Q",
        title=f"times {rows[0]['other']}",
        scale=alt.Scale(type="log", nice=False, padding=24),
        axis=axis,
    )
    colour = alt.Color("runtime:N", scale=scale, legend=None)
    tooltip = [
        alt.Tooltip("label:N", title="cell"),
        alt.Tooltip("other:N", title="divided by"),
        *(alt.Tooltip(f"{name}:Q", format=".4g") for name in ("ratio", "low", "high")),
        alt.Tooltip("rounds:Q"),
        alt.Tooltip("decided:N"),
    ]
    known = with_interval(rows)
    points, bars = (
        alt.Chart(values(own)).encode(
            y=alt.Y("label:N", title=None), tooltip=tooltip, description=alt.Description("said:N")
        )
        for own in (rows, known)
    )
    layers = [
        alt.Chart(values([{"one": 1}])).mark_rule(strokeDash=[3, 3]).encode(x=alt.X("one:Q")),
    ]
    if known:
        layers += [bars.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q", color=colour)]
    layers += [
        points.mark_point(size=130, filled=True, opacity=1).encode(
            x=x, color=colour, shape=alt.Shape("runtime:N", scale=scale, legend=None)
        )
    ]
    return alt.layer(*layers).properties(height=max(ROW_HEIGHT * len(rows), 50))
