"""How figures look: one palette for light and one for dark, told apart without colour too."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

FONT = "Inter, 'Helvetica Neue', 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
WIDTH = 520
"""Width of a panel in a file, pixels; on a page panels are as wide as their place."""

# After Okabe and Ito, darkened or lightened until each has a contrast of 3:1 on its background; the last two
# are those that lie farthest from all others for eyes without red, green or blue cones.
LIGHT: Mapping[str, str] = {
    "ink": "#18211d", "soft": "#56625c", "line": "#d9e0dc", "paper": "#ffffff",
    "series-1": "#00679f", "series-2": "#c04f00", "series-3": "#007a5a", "series-4": "#a2427f",
    "series-5": "#8808f0", "series-6": "#503000",
    "phase-1": "#9aa5a0", "phase-2": "#d29a2e", "phase-3": "#00785a",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "ink": "#e8eeea", "soft": "#a3b0a9", "line": "#323d37", "paper": "#171e1a",
    "series-1": "#5bb5ee", "series-2": "#ff9a57", "series-3": "#35c79c", "series-4": "#e893c8",
    "series-5": "#8838f8", "series-6": "#c04040",
    "phase-1": "#727d78", "phase-2": "#c8912b", "phase-3": "#35c79c",
}  # fmt: skip
PAGE: Mapping[str, str] = {name: f"var(--{name})" for name in LIGHT}
"""The page's own variables, so that one drawing serves light, dark and print."""


def configuration(tone: Mapping[str, str] = LIGHT) -> dict[str, Any]:
    """Return the Vega-Lite configuration of all figures.

    Args:
        tone: Colour by name: `LIGHT`, `DARK` or `PAGE`.
    """
    ink, soft, line = tone["ink"], tone["soft"], tone["line"]
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None, "continuousWidth": WIDTH},
        "axis": {
            "labelColor": soft, "titleColor": soft, "gridColor": line, "domainColor": line, "tickColor": line,
            "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 220,
            "domain": False, "ticks": False, "labelPadding": 6,
        },
        "axisX": {"labelSeparation": 6},
        "axisY": {"labelColor": ink},
        "legend": {
            "labelColor": ink, "labelFontSize": 12, "orient": "top", "title": None, "symbolSize": 90,
            "symbolOpacity": 1, "labelLimit": 260, "symbolStrokeWidth": 2,
        },
        "title": {"color": ink, "anchor": "start", "fontSize": 13, "fontWeight": 600, "offset": 10},
        "range": {
            "category": [tone[f"series-{number}"] for number in range(1, 7)],
            "ordinal": [tone[f"phase-{number}"] for number in range(1, 4)],
            "symbol": list(SHAPES),
        },
        "text": {"color": ink},
        "rule": {"color": soft},
        "style": {
            "faint": {"color": soft, "fill": soft, "stroke": soft}, "ink": {"color": ink, "stroke": ink},
            "note": {"fill": soft},
        },
    }  # fmt: skip


def runtime_scale(runtimes: Sequence[str]) -> alt.Scale:
    """Return a scale that gives a runtime the same colour and shape in every figure."""
    return alt.Scale(domain=list(runtimes))
