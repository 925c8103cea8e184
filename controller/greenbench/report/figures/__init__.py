"""The figures of a report; the only place that knows the plotting library."""

from greenbench.report.document import Document
from greenbench.report.figures.cells import breakdown_figure, cost_figure, front_figure
from greenbench.report.figures.course import drift_figure, power_figure, spans_of_loads
from greenbench.report.figures.draw import FORMATS, draw_files, javascript
from greenbench.report.figures.effects import effects_figure
from greenbench.report.figures.figure import Figure, Panel, Value
from greenbench.report.figures.questions import questions_figure
from greenbench.report.figures.theme import DARK, LIGHT, PAGE, configuration
from greenbench.report.measure import ENERGY, LATENCY, RATE

__all__ = [
    "DARK",
    "FORMATS",
    "LIGHT",
    "PAGE",
    "Figure",
    "Panel",
    "Value",
    "configuration",
    "draw_files",
    "figures_of",
    "javascript",
    "spans_of_loads",
]


def figures_of(document: Document) -> tuple[Figure, ...]:
    """Return all figures of a run, those without anything to draw too: they say why."""
    main = ENERGY if document.has_energy else RATE
    return (
        cost_figure(document, ENERGY),
        cost_figure(document, LATENCY),
        questions_figure(document),
        effects_figure(document, main),
        front_figure(document),
        breakdown_figure(document),
        power_figure(document),
        drift_figure(document, main),
    )
