"""Figures of a run's course: power over time with its marks, and drift from trial to trial."""

from itertools import pairwise
from statistics import fmean, median
from typing import Any

import altair as alt

from greenbench.core.units import seconds_from_ns
from greenbench.report.answer import label_of
from greenbench.report.document import Document
from greenbench.report.figures.figure import Chart, Figure, Panel, values
from greenbench.report.figures.theme import runtime_scale
from greenbench.report.measure import Measure
from greenbench.report.trace import Trace

_GAP = 6.0
"""Usual distances of two steps, beyond which a stretch counts as not read."""

_PHASES = ["baseline B0", "baseline B1", "window"]


def power_figure(document: Document) -> Figure:
    """Draw power over the whole run: the envelope of the readings, windows and baselines marked."""
    shown = document.traces
    return Figure(
        name="power",
        title="What did the meter see?",
        caption=_power_caption(document),
        panels=tuple(
            Panel(title=f"power, {trace.stream}", chart=_power_panel(document, trace)) for trace in shown
        ),
        columns=("what", "begin, s", "end, s", "verdict"),
        rows=tuple((mark["what"], mark["begin"], mark["end"], mark["verdict"]) for mark in _marks(document)),
        absent="" if shown else _no_power(document),
    )


def _no_power(document: Document) -> str:
    if document.manifest.shards:
        return "Each host has a clock of its own: the report of each shard draws its power over time."
    return "No reading is in watts or joules: this host has no energy meter that answered."


def _power_caption(document: Document) -> str:
    steps = "; ".join(
        f"{trace.stream}: {trace.readings:,} readings in steps of {trace.step_s:.3g} s"
        for trace in document.traces
    )
    return (
        "The line is the mean power of a step, the band reaches from its smallest to its largest reading, so "
        f"that no peak is lost to downsampling ({steps}). Where nothing was read there is no line. Shaded: "
        "the windows that trials were cut from, and the baselines."
    )


def origin_ns(document: Document) -> int:
    """Return the moment from which a report counts seconds: the first step of any trace, or first window."""
    starts = [trace.steps[0].t_ns for trace in document.traces]
    starts += [mark.begin_ns for mark in document.baselines]
    starts += [trial.begin_ns for trial in document.trials if trial.begin_ns is not None]
    return min(starts, default=0)


def _marks(document: Document) -> list[dict[str, Any]]:
    if document.manifest.shards:
        return []
    zero = origin_ns(document)
    marks = [
        {"what": f"window, {label_of(trial)}, {trial.trial_id}", "phase": "window",
         "verdict": str(trial.verdict), "load": trial.load_id,
         "begin": seconds_from_ns(trial.begin_ns - zero), "end": seconds_from_ns(trial.end_ns - zero)}
        for trial in document.trials if trial.begin_ns is not None and trial.end_ns is not None
    ]  # fmt: skip
    quiet = {(item.kind, item.begin_ns, item.end_ns): item for item in document.baselines}
    marks += [
        {"what": f"baseline {item.kind}", "phase": f"baseline {item.kind}", "verdict": "",
         "load": item.load_id or "",
         "begin": seconds_from_ns(item.begin_ns - zero), "end": seconds_from_ns(item.end_ns - zero)}
        for item in quiet.values()
    ]  # fmt: skip
    return sorted(marks, key=lambda mark: mark["begin"])


def _drawn_steps(trace: Trace, zero: int) -> list[dict[str, Any]]:
    """Return the steps with an empty one wherever nothing was read for long: a gap is no straight line."""
    times = [seconds_from_ns(step.t_ns - zero) for step in trace.steps]
    usual_s = median([then - here for here, then in pairwise(times)] or [0.0])
    drawn: list[dict[str, Any]] = []
    for t, step in zip(times, trace.steps, strict=True):
        if drawn and t - drawn[-1]["t"] > _GAP * usual_s:
            drawn.append({"t": drawn[-1]["t"] + usual_s, "low": None, "high": None, "mean": None})
        drawn.append({"t": t, "low": step.low_w, "high": step.high_w, "mean": step.mean_w})
    return drawn


def _power_panel(document: Document, trace: Trace) -> Chart:
    zero = origin_ns(document)
    steps = _drawn_steps(trace, zero)
    scale = alt.Scale(domainMin=alt.ExprRef("from_s"), domainMax=alt.ExprRef("to_s"), nice=False, zero=False)
    x = alt.X(
        "t:Q", title="seconds since the first reading", scale=scale, axis=alt.Axis(grid=False, tickCount=10)
    )
    y = alt.Y("mean:Q", title="W", axis=alt.Axis(tickCount=5))
    end = max([step["t"] for step in steps] + [mark["end"] for mark in _marks(document)])
    base = alt.Chart(values(steps))
    spans = alt.Chart(values(_marks(document))).mark_rect(opacity=0.22, clip=True)
    layers = [
        spans.encode(
            x=alt.X("begin:Q", scale=scale), x2="end:Q", tooltip=["what:N", "begin:Q", "end:Q", "verdict:N"],
            color=alt.Color("phase:N", scale=alt.Scale(domain=_PHASES, range="ordinal")),
        ),
        base.mark_area(
            opacity=0.35, strokeWidth=0, clip=True, interpolate="step-after", style="faint"
        ).encode(
            x=x, y=alt.Y("low:Q", title="W"), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.2, clip=True, interpolate="step-after", style="ink").encode(x=x, y=y),
        base.mark_rule(opacity=0, strokeWidth=5, clip=True).encode(
            x=x, tooltip=[alt.Tooltip("t:Q", title="s"), alt.Tooltip("low:Q", title="smallest, W"),
                          alt.Tooltip("mean:Q", title="mean, W"), alt.Tooltip("high:Q", title="largest, W")],
        ),
    ]  # fmt: skip
    if all(step["low"] is None for step in steps):
        del layers[1]
    # The page sets these two to look at one load; see report.js.
    bounds = [alt.param(name="from_s", value=0), alt.param(name="to_s", value=end)]
    return alt.layer(*layers).add_params(*bounds).properties(height=300)


def spans_of_loads(document: Document) -> tuple[tuple[str, float, float], ...]:
    """Return name, begin and end of every load that has a mark, seconds since the first reading."""
    spans: dict[str, list[float]] = {}
    for mark in _marks(document):
        if mark["load"]:
            spans.setdefault(mark["load"], []).extend((mark["begin"], mark["end"]))
    return tuple((load, min(edges), max(edges)) for load, edges in spans.items())


def drift_figure(document: Document, measure: Measure) -> Figure:
    """Draw how far each trial lies from its cell's mean, in the order of measuring."""
    rows = _deviations(document, measure)
    scale = runtime_scale(document.runtimes)
    base = alt.Chart(values(rows))
    chart = alt.layer(
        alt.Chart(values([{"zero": 0}])).mark_rule(strokeDash=[3, 3]).encode(y="zero:Q"),
        base.mark_point(size=70, filled=True, opacity=0.9).encode(
            x=alt.X("position:Q", title="position in the run", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y(
                "share:Q", title=f"{measure.label}, from its cell's mean",
                axis=alt.Axis(format="+.1%", tickCount=5),
            ),
            color=alt.Color("runtime:N", scale=scale), shape=alt.Shape("runtime:N", scale=scale),
            opacity=alt.condition("datum.usable", alt.value(0.95), alt.value(0.35)),
            tooltip=["trial:N", alt.Tooltip("share:Q", title="from mean", format="+.2%"),
                     alt.Tooltip("value:Q", title=measure.label, format=".4g"), "verdict:N"],
        ),
    ).properties(height=260)  # fmt: skip
    return Figure(
        name="drift",
        title="Did the machine stay the same?",
        caption=(
            "Each trial's distance from the mean of its own cell, in the order of measuring; a trend means "
            "that the machine changed meanwhile. Faint marks are invalid trials."
        ),
        panels=(Panel(title="drift over the run", chart=chart),) if rows else (),
        columns=("position", "trial", "from its cell's mean", measure.label, "verdict"),
        rows=tuple(
            (row["position"], row["trial"], f"{row['share']:+.2%}", row["value"], row["verdict"])
            for row in rows
        ),
        absent="" if rows else "It takes two rounds of a cell: with one there is nothing to drift from.",
    )


def _deviations(document: Document, measure: Measure) -> list[dict[str, Any]]:
    cells: dict[str, list[dict[str, Any]]] = {}
    for trial in document.trials:
        if (value := measure.of_trial(trial)) is not None:
            row = {
                "trial": trial.trial_id,
                "runtime": trial.runtime,
                "value": value,
                "position": trial.position,
            }
            row |= {"verdict": str(trial.verdict), "usable": str(trial.verdict) in {"valid", "doubtful"}}
            cells.setdefault(trial.cell_id, []).append(row)
    rows = []
    for own in cells.values():
        mean = fmean(row["value"] for row in own)
        rows += [row | {"share": row["value"] / mean - 1} for row in own if len(own) > 1]
    return sorted(rows, key=lambda row: row["position"])
