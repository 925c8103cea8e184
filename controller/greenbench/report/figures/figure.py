"""A figure: panels to draw, what they mean in words, and the same figures as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt

from greenbench.report.visible import visible_values

Value = str | float | int | None
Chart: TypeAlias = alt.LayerChart | alt.FacetChart | alt.Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        title: What is in it; empty where a figure has one panel only.
        chart: Its Vega-Lite, without configuration.
    """

    title: str
    chart: Chart

    @property
    def specification(self) -> dict[str, Any]:
        """The panel as Vega-Lite, as wide as its place."""
        drawn: dict[str, Any] = self.chart.properties(width="container").to_dict()
        drawn["autosize"] = {"type": "fit-x", "contains": "padding"}
        # The address of a schema is a name, but a page without any address is plain to check.
        drawn.pop("$schema", None)
        drawn["description"] = self.title
        return dict(visible_values(drawn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: Of its files and its place in the page.
        title: What it answers.
        caption: How to read it, with what is behind it.
        panels: To draw, in order; empty where there is nothing to draw, and `absent` says why.
        columns: Header of its table.
        rows: The same figures, to read.
        absent: Why there is nothing to draw; empty where there is.
    """

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    absent: str = ""


def with_interval(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that have an interval, ``low`` to ``high``.

    A layer of bars without any would give its axis no extent, and the page's console would say so.
    """
    return [row for row in rows if row.get("low") is not None]


def values(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Return rows as data that travel inside the figure."""
    return alt.InlineData(values=list(rows))
