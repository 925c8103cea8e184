"""The figure of the research questions: every comparison with its interval, energy and time."""

from typing import Any

import altair as alt

from greenbench.report.document import Document
from greenbench.report.figures.figure import Chart, Figure, Panel, values, with_interval
from greenbench.report.statistics import EQUIVALENCE
from greenbench.report.study import Effect, Finding, Group

_ROW_HEIGHT = 58
_COLUMNS = (
    "question", "group", "cell", "against", "quantity", "ratio", "low", "high", "outcome", "rounds"
)  # fmt: skip


def questions_figure(document: Document) -> Figure:
    """Draw the ratio of each comparison of the research questions, gross energy and time."""
    panels = {
        (question.name, group.setting): rows
        for question in document.study.questions
        for group in question.groups
        if (rows := _rows(question.name, group))
    }
    return Figure(
        name="questions",
        title="What do the research questions come to?",
        caption=(
            "Each cell's cost divided by the other's, from rounds that both have: Hodges-Lehmann with the "
            "exact signed-rank interval of at least 95%, which takes six rounds; fewer have a mark alone. An "
            "interval inside the band, within 5%, means equivalence. Valid and doubtful trials only."
        ),
        panels=tuple(
            Panel(title=f"{name}: {setting}", chart=_panel(rows)) for (name, setting), rows in panels.items()
        ),
        columns=_COLUMNS,
        rows=tuple(tuple(row[name] for name in _COLUMNS) for rows in panels.values() for row in rows),
        absent="" if panels else "No research question has two cells that can be compared.",
    )


def _rows(question: str, group: Group) -> list[dict[str, Any]]:
    return [
        _row(question, finding, effect)
        for finding in group.findings
        for effect in (finding.energy, finding.time)
        if effect.difference
    ]


def _row(question: str, finding: Finding, effect: Effect) -> dict[str, Any]:
    found = effect.difference
    return {
        "question": question,
        "group": finding.setting,
        "cell": finding.b,
        "against": finding.a,
        "pair": f"{finding.b}|against {finding.a}",
        "quantity": effect.quantity,
        "ratio": found.ratio if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "outcome": str(effect.outcome),
        "rounds": found.pairs if found else None,
    }


def _panel(rows: list[dict[str, Any]]) -> Chart:
    names = ["energy", "time"]
    x = alt.X(
        "ratio:Q",
        title="times the other",
        scale=alt.Scale(type="log", nice=False, padding=24),
        axis=alt.Axis(tickCount=5, format="~r"),
    )
    labels = alt.Axis(labelExpr="split(datum.label, '|')", labelLimit=280)
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    y = alt.Y("pair:N", title=None, sort=pairs, axis=labels)
    colour = alt.Color("quantity:N", scale=alt.Scale(domain=names))
    shape = alt.Shape("quantity:N", scale=alt.Scale(domain=names))
    tooltip = [
        *(alt.Tooltip(f"{name}:N") for name in ("cell", "against", "quantity", "outcome")),
        *(alt.Tooltip(f"{name}:Q", format=".4g") for name in ("ratio", "low", "high")),
        alt.Tooltip("rounds:Q"),
    ]
    known = with_interval(rows)
    points, bars = (
        alt.Chart(values(own)).encode(y=y, yOffset=alt.YOffset("quantity:N"), tooltip=tooltip)
        for own in (rows, known)
    )
    near = alt.Chart(values([{"from": 1 - EQUIVALENCE, "to": 1 + EQUIVALENCE, "one": 1}]))
    layers = [
        near.mark_rect(opacity=0.12).encode(x=alt.X("from:Q"), x2="to:Q"),
        near.mark_rule(strokeDash=[3, 3]).encode(x=alt.X("one:Q")),
    ]
    if known:
        layers += [bars.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q", color=colour)]
    layers += [points.mark_point(size=130, filled=True, opacity=1).encode(x=x, color=colour, shape=shape)]
    return alt.layer(*layers).properties(height=max(_ROW_HEIGHT * len(pairs), 70))
