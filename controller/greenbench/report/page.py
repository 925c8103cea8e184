"""One run's page: words and figures as the templates show them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from greenbench.core.doubt import Verdict
from greenbench.report.answer import CHEAPEST, FASTEST, Group, label_of
from greenbench.report.document import Document
from greenbench.report.facts import facts_of, machine_of, not_measured, runtime_rows
from greenbench.report.figures import Figure, figures_of, spans_of_loads
from greenbench.report.measure import ENERGY, LATENCY, RATE
from greenbench.report.numbers import counted, figure, with_interval
from greenbench.report.reproduce import commands_of
from greenbench.report.studied import study_values
from greenbench.report.tariff import Tariff, footprint_of
from greenbench.results.cells import CellSummary, Estimate

SIGNS = {Verdict.VALID: "✓", Verdict.DOUBTFUL: "?", Verdict.INVALID: "✕", Verdict.FAILED: "!"}
_GROUP_COLUMNS = ("runtime", "J/sample", "samples/s", "p50, ms", "verdict")
_LEADS = {CHEAPEST: "the lowest mean", FASTEST: "the highest mean"}
PARITY_COLUMNS = ("cell", "device", "relative error", "limit", "cosine", "top-1", "verdict")
RUNTIME_COLUMNS = ("runtime", "launcher", "Python", "image or lock", "packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the templates show of one run.

    Attributes:
        values: By name, as `run.html.j2` asks for them.
        charts: Key of each drawing -> its Vega-Lite.
    """

    values: dict[str, Any]
    charts: dict[str, dict[str, Any]]


def page_of(document: Document, tariff: Tariff, *, number: int) -> Page:
    """Return a run's page.

    Args:
        document: The run.
        tariff: What a kilowatt-hour means to the reader.
        number: Of the run within the file, from 1: keeps its places apart from those of others.
    """
    manifest, answer = document.manifest, document.answer
    drawn = figures_of(document)
    charts = {
        f"{number}-{item.name}-{index}": panel.specification
        for item in drawn
        for index, panel in enumerate(item.panels)
    }
    values = {
        "run_id": manifest.run_id,
        "date": manifest.created_utc[:16].replace("T", " ") + " UTC",
        "suite": str(manifest.suite.get("name", "unnamed")),
        "finished": document.finished,
        "headline": _headline(document),
        "machine": machine_of(manifest),
        "verdicts": _verdicts(document),
        "verdict_sentence": _verdict_sentence(document),
        "problems": document.problems,
        "no_energy": answer.no_energy,
        "study": study_values(document.study),
        "groups": [_group(group) for group in answer.groups],
        "footprint": footprint_of(answer.groups, tariff),
        "figures": [_figure(item, document, number) for item in drawn],
        "doubts": answer.doubts,
        "failures": answer.failures,
        "left_out": answer.left_out,
        "parity": [_parity(cell) for cell in document.parity],
        "parity_columns": PARITY_COLUMNS,
        "not_measured": not_measured(document),
        "facts": facts_of(document),
        "runtimes": runtime_rows(manifest),
        "runtime_columns": RUNTIME_COLUMNS,
        "suite_sha256": manifest.suite_sha256,
        "commands": commands_of(manifest),
    }
    return Page(values=values, charts=charts)


def _headline(document: Document) -> str:
    gpu = document.manifest.gpu
    place = gpu.name if gpu else document.manifest.host.get("cpu_model") or "this CPU"
    what = "Joules and seconds" if document.has_energy else "Seconds"
    return f"{what} of one inference on {place}"


def _verdicts(document: Document) -> list[dict[str, Any]]:
    counts = Counter(trial.verdict for trial in document.trials)
    return [
        {"name": str(verdict), "count": counts[verdict], "sign": sign}
        for verdict, sign in SIGNS.items()
        if counts[verdict]
    ]


def _verdict_sentence(document: Document) -> str:
    total = len(document.trials)
    good = sum(trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL} for trial in document.trials)
    return f"{good} of {counted(total, 'trial')} can be compared, in {counted(len(document.cells), 'cell')}"


def _group(group: Group) -> dict[str, Any]:
    measure = ENERGY if group.mark == CHEAPEST else RATE
    marked = next((cell for cell in group.cells if cell.cell_id == group.marked), None)
    best = measure.of_cell(marked) if marked else None
    top = max(
        (found.mean for cell in group.cells if cell.usable and (found := measure.of_cell(cell))), default=0.0
    )
    return {
        "title": group.title,
        "value": with_interval(best.mean, best.u95) if best else "",
        "unit": measure.label,
        "who": f"{label_of(marked)}, {_LEADS[group.mark]}" if marked else "",
        "remark": group.remark,
        "columns": _GROUP_COLUMNS,
        "rows": [_row(cell, group, _share(measure.of_cell(cell), top, cell)) for cell in group.cells],
    }


def _share(found: Estimate | None, top: float, cell: CellSummary) -> str:
    return f"{100 * found.mean / top:.1f}" if found and top > 0 and cell.usable else ""


def _row(cell: CellSummary, group: Group, share: str) -> dict[str, Any]:
    return {
        "label": label_of(cell),
        "marked": cell.cell_id == group.marked,
        "share": share,
        "values": [_written(ENERGY.of_cell(cell)), _mean(RATE.of_cell(cell)), _mean(LATENCY.of_cell(cell))],
        "verdict": str(cell.verdict),
        "verdict_text": str(cell.verdict),
        "sign": SIGNS[cell.verdict],
    }


def _mean(found: Estimate | None) -> str:
    return figure(found.mean) if found else "-"


def _written(found: Estimate | None) -> str:
    return with_interval(found.mean, found.u95) if found else "-"


def _figure(drawn: Figure, document: Document, number: int) -> dict[str, Any]:
    loads: Sequence[tuple[str, float, float]] = spans_of_loads(document) if drawn.name == "power" else ()
    return {
        "id": f"figure-{number}-{drawn.name}",
        "title": drawn.title,
        "caption": drawn.caption,
        "absent": drawn.absent,
        "columns": drawn.columns,
        "rows": [[_text(value) for value in row] for row in drawn.rows],
        "loads": [
            {"name": name, "begin": f"{begin - 3:.2f}", "end": f"{end + 3:.2f}"} for name, begin, end in loads
        ],
        "panels": [
            {"title": panel.title, "key": f"{number}-{drawn.name}-{index}", "height": 120}
            for index, panel in enumerate(drawn.panels)
        ],
    }


def _text(value: object) -> str:
    if value is None:
        return "-"
    return figure(value) if isinstance(value, float) else str(value)


def _parity(cell: dict[str, Any]) -> list[str]:
    source = f" from {cell['source']}" if cell.get("source") else ""
    what = f"{cell.get('model')} {cell.get('precision')} b{cell.get('batch_size')}"
    native = " native" if cell.get("weights") == "native" else ""
    name = f"{cell.get('runtime')} {cell.get('mode')}{source},{native} {what}"
    top1 = cell.get("top1_agreement")
    return [
        name,
        str(cell.get("device", "")),
        _scientific(cell.get("relative_error")),
        _scientific(cell.get("limit")),
        _text(cell.get("cosine")),
        "-" if top1 is None else f"{top1:.0%}",
        str(cell.get("verdict", "")),
    ]


def _scientific(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
