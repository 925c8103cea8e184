"""Figures of cells: cost with intervals, the front of energy and latency, where the energy goes."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from greenbench.core.trial import Trial
from greenbench.core.units import milliseconds_from_seconds
from greenbench.report.answer import Group, label_of
from greenbench.report.document import Document
from greenbench.report.figures.figure import Chart, Figure, Panel, Value, values, with_interval
from greenbench.report.figures.theme import runtime_scale
from greenbench.report.measure import Measure
from greenbench.results.cells import CellSummary, estimate

ROW_HEIGHT = 34


def cost_figure(document: Document, measure: Measure) -> Figure:
    """Draw one measure of every cell: its mean, its 95% interval and every trial behind it."""
    groups = [group for group in document.answer.groups if any(measure.of_cell(cell) for cell in group.cells)]
    rows = [_cost_row(group, cell, measure) for group in groups for cell in group.cells]
    return Figure(
        name=measure.name,
        title=measure.title,
        caption=(
            "Large marks are means over rounds, bars their 95% intervals (Student's t), small ticks single "
            f"trials. {measure.sense} Hollow marks are invalid and not compared; bars stop at zero."
        ),
        panels=tuple(
            Panel(title=group.title, chart=_cost_panel(document, group, measure)) for group in groups
        ),
        columns=("group", "runtime", measure.label, "± 95%", "rounds", "verdict"),
        rows=tuple(rows),
        absent="" if groups else f"No trial has a value of {measure.label}.",
    )


def _cost_row(group: Group, cell: CellSummary, measure: Measure) -> tuple[Value, ...]:
    found = measure.of_cell(cell)
    mean, u95 = (found.mean, found.u95) if found else (None, None)
    return (group.title, label_of(cell), mean, u95, cell.rounds, str(cell.verdict))


def _cost_panel(document: Document, group: Group, measure: Measure) -> Chart:
    means = [_mean_row(cell, measure) for cell in group.cells if measure.of_cell(cell)]
    singles = [
        {"label": label_of(trial), "value": value, "trial": trial.trial_id, "verdict": str(trial.verdict)}
        for trial in document.trials
        if trial.cell_id in {cell.cell_id for cell in group.cells}
        and (value := measure.of_trial(trial)) is not None
    ]
    y = alt.Y("label:N", title=None, sort=[label_of(cell) for cell in group.cells])
    runtimes = runtime_scale(document.runtimes)
    x = alt.X(
        "value:Q", title=measure.label, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6, format="~r")
    )
    ticks = alt.Chart(values(singles)).mark_tick(size=14, thickness=1.5, opacity=0.55, style="faint")
    known = with_interval(means)
    bars = alt.Chart(values(known)).mark_rule(strokeWidth=2.5)
    marks = alt.Chart(values(means)).mark_point(size=130, strokeWidth=2)
    colour = alt.Color("runtime:N", scale=runtimes, legend=None)
    layers = [
        ticks.encode(x=x, y=y, tooltip=["trial:N", alt.Tooltip("value:Q", format=".4g"), "verdict:N"]),
    ]
    if known:
        layers += [bars.encode(x="low:Q", x2="high:Q", y=y, color=colour)]
    layers += [
        marks.encode(
            x=x, y=y, color=colour, shape=alt.Shape("runtime:N", scale=runtimes, legend=None),
            fillOpacity=alt.condition("datum.usable", alt.value(1), alt.value(0)),
            fill=colour, tooltip=_mean_tooltip(measure),
        ),
    ]  # fmt: skip
    return alt.layer(*layers).properties(height=ROW_HEIGHT * max(len(group.cells), 2))


def _mean_row(cell: CellSummary, measure: Measure) -> dict[str, Any]:
    found = measure.of_cell(cell)
    assert found is not None  # noqa: S101 - callers leave cells without a value out
    row = {"label": label_of(cell), "runtime": cell.runtime, "value": found.mean, "rounds": found.rounds}
    row |= {"verdict": str(cell.verdict), "usable": cell.usable, "u95": found.u95}
    if found.u95 is not None:
        row |= {"low": max(found.mean - found.u95, 0.0), "high": found.mean + found.u95}
    return row


def _mean_tooltip(measure: Measure) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="cell"),
        alt.Tooltip("value:Q", title=measure.label, format=".4g"),
        alt.Tooltip("u95:Q", title="± 95%", format=".2g"),
        alt.Tooltip("rounds:Q", title="rounds"),
        alt.Tooltip("verdict:N", title="verdict"),
    ]


def front_figure(document: Document) -> Figure:
    """Draw energy against latency, a panel per model, with the front that nothing beats on both."""
    points = [
        _front_point(cell, group)
        for group in document.answer.groups
        for cell in group.cells
        if cell.usable and cell.energy_j_per_sample and cell.latency_p50_s
    ]
    panels: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        panels.setdefault(f"{point['model']}, {point['scope']}", []).append(point)
    return Figure(
        name="front",
        title="What does speed cost?",
        caption=(
            "Each mark is a cell that may be compared: time of one batch against energy of one sample, both "
            "on logarithmic axes. The line joins the cells that no other beats on both; these are named. "
            "Down and left is better."
        ),
        panels=tuple(
            Panel(title=title, chart=_front_panel(document, _on_front(own))) for title, own in panels.items()
        ),
        columns=("model", "cell", "p50 of one batch, ms", "J/sample", "on the front"),
        rows=tuple(
            (point["model"], f"{point['label']}, {point['setting']}", point["x"], point["y"],
             "yes" if point["front"] else "no")
            for own in panels.values() for point in _on_front(own)
        ),
        absent="" if points else "It takes a cell with joules and milliseconds that is not invalid.",
    )  # fmt: skip


def _front_point(cell: CellSummary, group: Group) -> dict[str, Any]:
    assert cell.latency_p50_s is not None  # noqa: S101 - callers leave cells without a value out
    assert cell.energy_j_per_sample is not None  # noqa: S101
    return {
        "label": label_of(cell), "runtime": cell.runtime, "model": cell.model, "scope": cell.energy_scope,
        "setting": group.title.removeprefix(f"{cell.model}, "),
        "batch": f"{cell.precision}, b{cell.batch_size}",
        "x": milliseconds_from_seconds(cell.latency_p50_s.mean), "y": cell.energy_j_per_sample.mean,
    }  # fmt: skip


def _on_front(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    best = float("inf")
    marked = []
    for point in sorted(points, key=lambda item: (item["x"], item["y"])):
        marked.append(point | {"front": point["y"] < best})
        best = min(best, point["y"])
    return marked


def _front_panel(document: Document, points: list[dict[str, Any]]) -> Chart:
    scale = runtime_scale(document.runtimes)
    x = alt.X(
        "x:Q", title="p50 of one batch, ms", scale=alt.Scale(type="log", nice=False, padding=28),
        axis=alt.Axis(format="~r", tickCount=5),
    )  # fmt: skip
    y = alt.Y(
        "y:Q",
        title="J/sample",
        scale=alt.Scale(type="log", nice=False, padding=28),
        axis=alt.Axis(format="~r", tickCount=5),
    )
    base = alt.Chart(values(points))
    tooltip = [
        alt.Tooltip("label:N", title="cell"), alt.Tooltip("setting:N"),
        alt.Tooltip("x:Q", title="p50, ms", format=".4g"), alt.Tooltip("y:Q", title="J/sample", format=".4g"),
    ]  # fmt: skip
    return alt.layer(
        base.transform_filter("datum.front").mark_line(strokeDash=[4, 3], style="faint").encode(x=x, y=y),
        base.mark_point(size=120, filled=True, opacity=1).encode(
            x=x, y=y, tooltip=tooltip,
            color=alt.Color("runtime:N", scale=scale), shape=alt.Shape("runtime:N", scale=scale),
        ),
        base.transform_filter("datum.front")
        .mark_text(align="left", dx=10, dy=-6, fontSize=11, style="note")
        .encode(x=x, y=y, text="batch:N"),
    ).properties(height=260)  # fmt: skip


_PARTS = ("idle", "loaded, quiet", "computing")


def breakdown_figure(document: Document) -> Figure:
    """Draw where the energy of a sample goes: idle host, loaded model, computing; per domain."""
    bars = [
        bar
        for group in document.answer.groups
        for cell in group.cells
        for bar in _bars(document, group, cell)
    ]
    panels: dict[str, list[dict[str, Any]]] = {}
    for bar in bars:
        panels.setdefault(bar["group"], []).append(bar)
    return Figure(
        name="breakdown",
        title="Where does the energy go?",
        caption=(
            "Gross energy of a sample, split by the two baselines: what the idle device draws anyway (B0), "
            "what a loaded model adds while nothing is asked of it (B1 less B0), and what computing adds "
            "(gross less B1)."
        ),
        panels=tuple(Panel(title=title, chart=_breakdown_panel(own)) for title, own in panels.items()),
        columns=("group", "runtime", "domain", "part", "J/sample", "share"),
        rows=tuple(
            (bar["group"], bar["label"], bar["domain"], bar["part"], bar["value"], f"{bar['share']:.0%}")
            for bar in bars
        ),
        absent="" if bars else "It takes energies with both baselines.",
    )


def _bars(document: Document, group: Group, cell: CellSummary) -> list[dict[str, Any]]:
    trials = [
        trial for trial in document.trials if trial.cell_id == cell.cell_id and str(trial.verdict) in _GOOD
    ]
    found = []
    for domain in ("gpu", "cpu", "dram"):
        parts = [estimate(trials, lambda trial, d=domain, p=part: _part(trial, d, p)) for part in range(3)]  # type: ignore[misc]
        known = [part.mean for part in parts if part]
        if len(known) < len(_PARTS):
            continue
        for order, (name, value) in enumerate(zip(_PARTS, known, strict=True)):
            found.append({
                "group": group.title, "label": label_of(cell), "domain": domain, "part": name, "order": order,
                "value": value, "share": value / sum(known), "bar": f"{label_of(cell)} · {domain}",
            })  # fmt: skip
    return found


_GOOD = ("valid", "doubtful")


def _part(trial: Trial, domain: str, part: int) -> float | None:
    gross, net_b0, net_b1 = (
        getattr(trial, f"energy_{domain}{suffix}_j") for suffix in ("", "_net_b0", "_net_b1")
    )
    if None in (gross, net_b0, net_b1) or not trial.samples:
        return None
    return float((gross - net_b0, net_b0 - net_b1, net_b1)[part] / trial.samples)


def _breakdown_panel(bars: list[dict[str, Any]]) -> Chart:
    count = len({bar["bar"] for bar in bars})
    drawn: Chart = (
        alt.Chart(values(bars))
        .mark_bar(height=18)
        .encode(
            x=alt.X("value:Q", title="J/sample", stack="zero", axis=alt.Axis(format="~r", tickCount=6)),
            y=alt.Y("bar:N", title=None, sort=list(dict.fromkeys(bar["bar"] for bar in bars))),
            color=alt.Color("part:N", scale=alt.Scale(domain=list(_PARTS), range="ordinal")),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("bar:N", title="cell"), alt.Tooltip("part:N"),
                alt.Tooltip("value:Q", title="J/sample", format=".4g"),
                alt.Tooltip("share:Q", format=".0%"),
            ],
        )
        .properties(height=ROW_HEIGHT * max(count, 1))
    )  # fmt: skip
    return drawn
