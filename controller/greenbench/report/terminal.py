"""Answers, plans and progress on a terminal; plain text where it is none."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenbench.core.plan import Plan
from greenbench.core.trial import Trial
from greenbench.core.units import milliseconds_from_seconds
from greenbench.report.answer import Answer, Group
from greenbench.report.columns import GAP, Column, fitting, layouts
from greenbench.report.numbers import counted, duration, figure
from greenbench.report.study import STUDY, Study
from greenbench.report.study.sentences import (
    claim_sentences,
    course_sentences,
    group_sentence,
    lacks_energy,
    notes_of,
    question_sentence,
)
from greenbench.report.tariff import Footprint
from greenbench.report.visible import shown
from greenbench.results.cells import CellSummary
from greenbench.results.status import RunStatus

_MARK_STYLE = "bold green"
_VERDICT_STYLES = {"valid": "", "doubtful": "yellow", "invalid": "red", "failed": "red"}


def result_table(
    answer: Answer, console: Console, study: Study | None = None, footprint: Footprint | None = None
) -> None:
    """Print what a run found: a table per group, then what to doubt, what is missing, where the files are.

    Args:
        answer: The figures.
        console: Where to.
        study: The study's questions and claims; None where they are not told.
        footprint: Joules converted by the reader's own figures; None where the reader gave none.
    """
    for group in answer.groups:
        _print_group(group, console)
    if not answer.groups:
        _say(console, "no trial was measured")
    if answer.no_energy:
        _say(
            console,
            f"no energy was measured: {answer.no_energy}; the fastest is marked instead",
            style="yellow",
        )
    if study and answer.groups:
        _print_study(study, console)
    if footprint:
        _print_footprint(footprint, console)
    _print_list(console, "doubts", answer.doubts)
    _print_list(console, "failed", answer.failures)
    _print_list(console, "left out", answer.left_out)
    _say(console, f"files: {answer.folder}")


def _print_study(study: Study, console: Console) -> None:
    _say(console, "answers:", style="bold")
    for question in study.questions:
        _say(console, f"  {question_sentence(question)}")
        told = False
        for group in question.groups:
            _say(console, f"    {group_sentence(group, told=told)}")
            told = told or lacks_energy(group)
            for note in notes_of(group):
                _say(console, f"      {note}", style="dim")
    _print_list(console, "over the run", course_sentences(study))
    _print_list(console, f"claims of {STUDY}", claim_sentences(study.claims))
    _say(console, "")


def _print_footprint(footprint: Footprint, console: Console) -> None:
    names = footprint.columns[2:]
    lines = [
        f"{cell}, {setting}: {', '.join(map(' '.join, zip(names, figures, strict=True)))}"
        for cell, setting, *figures in footprint.rows
    ]
    _print_list(console, footprint.caption, lines or [footprint.absent])
    _say(console, "")


def plan_table(
    plan: Plan,
    console: Console,
    *,
    total_s: float,
    guessed: bool = False,
    energy_j: float | None = None,
    energy_reason: str = "",
) -> None:
    """Print a plan: the loads of each round in order, what is left out, time and energy.

    Args:
        plan: What will be measured.
        console: Where to.
        total_s: Estimated length of the run, seconds.
        guessed: Whether loads were never timed on this host.
        energy_j: Estimated energy, joules; None where there is no estimate.
        energy_reason: Why there is none, or what the estimate rests on.
    """
    for number in sorted({load.round for load in plan.loads}):
        own = [load for load in plan.loads if load.round == number]
        _say(console, f"round {number}", style="bold")
        for load in own:
            _say(console, f"  {load.position + 1:>4}  {load.cell.cell_id}")
    reasons: dict[str, list[str]] = {}
    for item in plan.left_out:
        reasons.setdefault(item.reason, []).append(item.cell)
    _print_list(console, "left out", [f"{', '.join(cells)}: {reason}" for reason, cells in reasons.items()])
    energy = f"about {figure(energy_j, 2)} J" if energy_j is not None else "no estimate of the energy"
    basis = f" ({energy_reason})" if energy_reason else ""
    length = duration(total_s) + (" (a guess: not every cell was measured here before)" if guessed else "")
    loads = f"{counted(len(plan.cells), 'cell')}, {counted(plan.protocol.rounds, 'round')}"
    _say(console, f"{loads}, {counted(len(plan.loads), 'load')}; about {length}; {energy}{basis}")


def status_table(status: RunStatus, console: Console) -> None:
    """Print how far a run is."""
    _say(console, f"{status.run_id}: {status.state}", style="bold")
    _say(console, f"loads: {status.loads_done} of {status.loads_total} done")
    if status.current_load:
        _say(console, f"begun and not finished: {status.current_load}")
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in status.verdicts.items())
    _say(console, f"trials: {verdicts or 'none'}")
    if status.last_trial:
        _say(console, f"last trial: {status.last_trial.trial_id}, {_in_short(status.last_trial)}")
    _say(console, f"events: from {status.begun_utc or '-'} to {status.last_utc or '-'}")
    _say(console, f"files: {status.folder}")


def _in_short(trial: Trial) -> str:
    if trial.failure:
        return f"failed: {trial.failure}"
    parts = [f"{figure(trial.throughput_samples_per_s)} samples/s"]
    if trial.latency_p50_s is not None:
        parts.append(f"p50 {figure(milliseconds_from_seconds(trial.latency_p50_s))} ms")
    if trial.energy_j_per_sample is not None:
        parts.append(f"{figure(trial.energy_j_per_sample)} J/sample")
    return ", ".join([*parts, str(trial.verdict)])


def _print_group(group: Group, console: Console) -> None:
    _say(console, group.title, style="bold")
    marks = {group.marked: group.mark} if group.marked else {}
    sign = "±" if console.encoding.lower().startswith("utf") else "+-"
    choices = layouts(marks, sign=sign)
    columns = fitting(choices, group.cells, console.width)
    if columns is None:
        _print_lines(group, choices[0], console)
    else:
        console.print(_table(group, columns))
        dropped = [column.name.split("\n")[0] for column in choices[0] if column.name not in _names(columns)]
        if dropped:
            _say(console, f"({', '.join(dropped)}: no room at this width; --json has them)", style="dim")
    if group.remark:
        _say(console, group.remark)
    _say(console, "")


def _names(columns: Iterable[Column]) -> set[str]:
    return {column.name for column in columns}


def _table(group: Group, columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            column.name, justify="right" if column.right else "left", no_wrap=True, vertical="top",
            min_width=column.width(group.cells),
        )  # fmt: skip
    for cell in group.cells:
        table.add_row(*(_cell_text(column, cell, group) for column in columns))
    return table


def _cell_text(column: Column, cell: CellSummary, group: Group) -> Text:
    text = shown(column.cell(cell))
    if column.name == "verdict":
        text.highlight_words([str(cell.verdict)], style=_VERDICT_STYLES[cell.verdict])
        text.highlight_words([group.mark], style=_MARK_STYLE)
    elif cell.cell_id == group.marked:
        text.stylize(_MARK_STYLE)
    return text


def _print_lines(group: Group, columns: Sequence[Column], console: Console) -> None:
    for cell in group.cells:
        parts = [f"{column.name.replace(chr(10), ' ')} {column.cell(cell)}" for column in columns[1:]]
        _say(console, f"{columns[0].cell(cell)}: {'; '.join(parts)}")


def _print_list(console: Console, heading: str, sentences: Iterable[str]) -> None:
    for number, sentence in enumerate(sentences):
        if number == 0:
            _say(console, f"{heading}:", style="bold")
        # A reason of several lines stays inside its item: no line of it looks like one of the report's.
        _say(console, "  " + sentence.replace("\n", "\n    "))


def _say(console: Console, text: str, style: str = "") -> None:
    # Lines of text are wrapped by the terminal, not here, so that paths and names stay whole when copied.
    console.print(shown(text, style), soft_wrap=True)
