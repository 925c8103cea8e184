"""The report as one HTML file that asks the network for nothing."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from greenbench import __version__
from greenbench.report.corrected import beside_values, besides_of
from greenbench.report.document import Document
from greenbench.report.figures import DARK, LIGHT, PAGE, configuration, javascript
from greenbench.report.page import page_of
from greenbench.report.tariff import Tariff
from greenbench.report.visible import visible


def html_of(documents: Sequence[Document], tariff: Tariff, *, unread: Sequence[str] = ()) -> str:
    """Return the report of some runs.

    Args:
        documents: The runs, in the order in which they are told.
        tariff: What a kilowatt-hour means to the reader.
        unread: One sentence per run that could not be read at all.
    """
    pages = [page_of(document, tariff, number=number) for number, document in enumerate(documents, start=1)]
    charts = {key: chart for page in pages for key, chart in page.charts.items()}
    environment = Environment(
        loader=PackageLoader("greenbench.report"),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        version=__version__,
        title=f"{pages[0].values['headline']}, greenbench" if pages else "greenbench",
        pages=[page.values for page in pages],
        besides=[beside_values(one, number) for number, one in enumerate(besides_of(documents), start=1)],
        unread=unread,
        light=LIGHT,
        dark=DARK,
        style=Markup(_asset("style.css")),  # noqa: S704 - our own file
        script=Markup(_asset("report.js")),  # noqa: S704 - our own file
        library=Markup(javascript().replace("</script", "<\\/script")),  # noqa: S704 - the library's own file
        charts=_embedded({"config": configuration(PAGE), "charts": charts}),
    )


def _finalized(value: object) -> object:
    # What is markup already is our own: templates, style and script.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return files("greenbench.report").joinpath("templates", name).read_text(encoding="utf-8")


def _embedded(values: Mapping[str, Any]) -> Markup:
    # Names in results may hold anything: without "<" nothing can end the script element or begin a comment.
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))  # noqa: S704
