"""What runs found as tables in Markdown for repositories and in LaTeX for papers."""

from collections.abc import Collection, Iterable, Sequence

from greenbench.report.answer import label_of
from greenbench.report.corrected import (
    ALONE_HEADER,
    CELL_HEADER,
    CONDITION_HEADER,
    alone_rows,
    besides_of,
    cell_rows,
    condition_rows,
    summary_of,
)
from greenbench.report.corrections import Beside
from greenbench.report.document import Document
from greenbench.report.measure import LATENCY
from greenbench.report.numbers import figure, with_interval
from greenbench.report.studied import (
    CLAIM_HEADER,
    COMPARISON_CAPTION,
    COMPARISON_HEADER,
    TEST_CAPTION,
    TEST_HEADER,
    answer_sentences,
    claim_table,
    comparison_table,
    usual_table,
)
from greenbench.report.study import STUDY
from greenbench.report.tariff import Tariff, footprint_of
from greenbench.report.visible import visible
from greenbench.results.cells import Estimate

_HEADER = ("model", "batch", "precision", "runtime", "J/sample", "samples/s", "p50, ms", "rounds", "verdict")
_RIGHT = {1, 4, 5, 6, 7}
_CONVERTED = {2, 3, 4}
_NUMBERS = range(4, len(COMPARISON_HEADER))
_TESTS = range(5, len(TEST_HEADER))


def markdown_of(documents: Iterable[Document], tariff: Tariff) -> str:
    """Return a table per run, with what to doubt below it, its answers and claims; then runs side by side."""
    every = tuple(documents)
    told = [_markdown(document, tariff) for document in every]
    return "\n".join([*told, *map(_beside_markdown, besides_of(every))])


def _beside_markdown(beside: Beside) -> str:
    lines = [f"## {_in_markdown(f'{beside.suite_b} beside {beside.suite_a}')}", ""]
    lines += [f"- {_in_markdown(sentence)}" for sentence in summary_of(beside)]
    for header, rows, right in (
        (CONDITION_HEADER, condition_rows(beside), ()),
        (ALONE_HEADER, alone_rows(beside), (4, 5, 6)),
        (CELL_HEADER, cell_rows(beside), (3, 4, 5, 6)),
    ):
        lines += ["", *_markdown_table(header, rows, right)] if rows else []
    return "\n".join([*lines, ""])


def _markdown(document: Document, tariff: Tariff) -> str:
    study = document.study
    lines = [f"## {_in_markdown(document.manifest.run_id)}", ""]
    lines += _markdown_table(_HEADER, _rows(document, sign="±"), _RIGHT)
    lines += ["", *(f"- {_in_markdown(sentence)}" for sentence in remarks_of(document)), ""]
    lines += ["### Answers", "", *(f"- {_in_markdown(sentence)}" for sentence in answer_sentences(study)), ""]
    if rows := comparison_table(study):
        lines += [*_markdown_table(COMPARISON_HEADER, rows, _NUMBERS), ""]
    if rows := usual_table(study):
        caption = _in_markdown(f"Beside them, {TEST_CAPTION}.")
        lines += [caption, "", *_markdown_table(TEST_HEADER, rows, _TESTS), ""]
    lines += [f"### Claims of {STUDY}", "", *_markdown_table(CLAIM_HEADER, claim_table(study), ()), ""]
    if footprint := footprint_of(document.answer.groups, tariff):
        lines += ["### Conversion", "", _in_markdown(f"{footprint.caption}."), ""]
        lines += _markdown_table(footprint.columns, footprint.rows, _CONVERTED)
        lines += [f"{footprint.absent.capitalize()}.", ""] if footprint.absent else [""]
    return "\n".join(lines)


def _markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int]
) -> list[str]:
    rule = ["---:" if index in right else "---" for index in range(len(header))]
    escaped = [[_in_markdown(value) for value in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(header), rule, *escaped]]


def latex_of(documents: Iterable[Document], tariff: Tariff) -> str:
    """Return the tables of each run; the package booktabs is all that they need."""
    return "\n".join(_latex(document, tariff) for document in documents)


def _latex(document: Document, tariff: Tariff) -> str:
    run_id, study = document.manifest.run_id, document.study
    parts = [_latex_table(_caption(document), _HEADER, _rows(document, sign="±"), _RIGHT)]
    if rows := comparison_table(study):
        caption = f"Run {run_id}; {COMPARISON_CAPTION}."
        parts.append(_latex_table(caption, COMPARISON_HEADER, rows, _NUMBERS))
    if rows := usual_table(study):
        parts.append(_latex_table(f"Run {run_id}, {TEST_CAPTION}.", TEST_HEADER, rows, _TESTS))
    parts.append(_latex_table(f"Run {run_id}; claims of {STUDY}.", CLAIM_HEADER, claim_table(study), ()))
    if footprint := footprint_of(document.answer.groups, tariff):
        caption = "; ".join(filter(None, (f"Run {run_id}", footprint.caption, footprint.absent)))
        parts.append(_latex_table(f"{caption}.", footprint.columns, footprint.rows, _CONVERTED))
    return "\n".join(["% needs \\usepackage{booktabs}", *parts])


def _latex_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int]
) -> str:
    # Sentences are broken into lines, names and figures are not.
    kinds = dict.fromkeys(right, "r") | ({len(header) - 1: "p{7cm}"} if header == CLAIM_HEADER else {})
    columns = "".join(kinds.get(index, "l") for index in range(len(header)))
    escaped = [[_in_latex(value) for value in row] for row in rows]
    return "\n".join([
        "\\begin{table}", "\\centering",
        f"\\caption{{{_in_latex(caption)}}}",
        f"\\begin{{tabular}}{{{columns}}}", "\\toprule",
        f"{' & '.join(map(_in_latex, header))} \\\\", "\\midrule",
        *(f"{' & '.join(row)} \\\\" for row in escaped),
        "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
    ])  # fmt: skip


def _caption(document: Document) -> str:
    scopes = sorted({cell.energy_scope for cell in document.cells if cell.energy_j_per_sample})
    scope = f"gross energy of {' and '.join(scopes)}" if scopes else "no energy was measured"
    return f"Run {document.manifest.run_id}; {scope}; means over rounds with 95% intervals."


def _rows(document: Document, *, sign: str) -> list[list[str]]:
    return [
        [
            cell.model, str(cell.batch_size), cell.precision, label_of(cell),
            _written(cell.energy_j_per_sample, sign), _written(cell.throughput_samples_per_s, sign),
            _written(LATENCY.of_cell(cell), sign), str(cell.rounds),
            str(cell.verdict) + (f", {group.mark}" if cell.cell_id == group.marked else ""),
        ]
        for group in document.answer.groups
        for cell in group.cells
    ]  # fmt: skip


def remarks_of(document: Document) -> Sequence[str]:
    """Return every sentence that belongs to a table: what is missing, doubtful, failed or left out."""
    answer = document.answer
    energy = [f"no energy was measured: {answer.no_energy}"] if answer.no_energy else []
    return [*document.problems, *energy, *answer.doubts, *answer.failures, *answer.left_out]


def _written(found: Estimate | None, sign: str) -> str:
    return with_interval(found.mean, found.u95, sign=sign) if found else figure(None)


def _in_markdown(text: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in "\\|*_`<>[]" else letter for letter in visible(text))
    return " ".join(escaped.split())


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_",    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def _in_latex(text: str) -> str:
    return " ".join("".join(_LATEX.get(letter, letter) for letter in visible(text)).split())
