"""Drawing figures: for the page as Vega-Lite with one JavaScript bundle, into files as SVG, PNG and PDF."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from greenbench.core.errors import ConfigurationError
from greenbench.report.figures.figure import Figure
from greenbench.report.figures.theme import WIDTH, configuration
from greenbench.report.visible import visible_values

FORMATS = ("svg", "png", "pdf")
_SCALE = 2.0


def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; nothing is fetched."""
    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg] # its stub lacks the default


def specification(figure: Figure) -> dict[str, Any]:
    """Return a figure as one Vega-Lite chart, its panels below each other, for a file."""
    panels = [panel.chart.properties(width=WIDTH, title=panel.title) for panel in figure.panels]
    whole = alt.vconcat(*panels).resolve_scale(
        color="shared" if len(panels) > 1 else "independent", x="independent"
    )
    # XML knows no control characters: the library that draws would end this process over one.
    return dict(visible_values(whole.to_dict())) | {
        "config": configuration(),
        "background": "white",
        "padding": 16,
    }


def draw_files(figures: Iterable[Figure], folder: Path) -> tuple[Path, ...]:
    """Write every figure that has something to draw as SVG, PNG and PDF.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    drawn = []
    for figure in figures:
        if figure.panels:
            chart = json.dumps(specification(figure))
            images = {
                "svg": vl_convert.vegalite_to_svg(chart).encode(),
                "png": vl_convert.vegalite_to_png(chart, scale=_SCALE),
                "pdf": vl_convert.vegalite_to_pdf(chart),
            }
            drawn += [_write(folder / f"{figure.name}.{suffix}", image) for suffix, image in images.items()]
    return tuple(drawn)


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as err:
        raise ConfigurationError(f"{path} cannot be written: {err.strerror}") from err
    return path
