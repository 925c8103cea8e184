"""Names and reasons in results that would steer a terminal or hide: they are spelled out wherever they go."""

import io
import json
import unicodedata
from itertools import pairwise

import pytest
from rich.console import Console
from typer.testing import CliRunner

from greenbench.cli import app
from greenbench.core.check import Check, Level
from greenbench.core.errors import DamagedResultsError
from greenbench.report.checks import print_checks
from greenbench.report.inventory import print_rows
from greenbench.report.live import LiveObserver
from greenbench.report.visible import shown, visible

# Clears the screen, sets the window's title, reddens by C1, turns the direction of writing, ends the string.
EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2028x\x00\x7f"
SPELLED = r"\x1b[2J"
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def hidden(text):
    return {letter for letter in text if letter not in "\n\t" and unicodedata.category(letter) in STEERING}


@pytest.fixture
def hostile(copy):
    def edit(trial):
        trial["mode"] += EVIL
        trial["model"] += EVIL
        trial["cell_id"] += EVIL
        if trial["runtime"] == "onnxruntime" and trial["round"] == 2:
            trial.update(verdict="failed", failure=f"died\n{EVIL}")

    copy.change(edit)
    log = copy.path / "events.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for event in events:
        if event["event"] == "parity":
            event["parity"]["mode"] += EVIL
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    copy.manifest(absent={"cpu": EVIL}, left_out=[{"cell": EVIL, "reason": EVIL}])
    return copy.path


def said(*arguments):
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "RUN"),
        ("report", "RUN", "--price", "1"),
        ("report", "RUN", "RUN"),
        ("status", "RUN"),
        ("compare", "RUN", "RUN"),
        ("gate", "--baseline", "RUN", "RUN"),
        ("query", "RUN", "SELECT cell_id, failure FROM trials"),
        ("verify", "RUN"),
    ],
    ids=" ".join,
)
def test_no_command_hands_a_terminal_what_steers_it(hostile, arguments):
    text = said(*(hostile if argument == "RUN" else argument for argument in arguments))
    assert hidden(text) == set()
    assert SPELLED in text.replace("\n", "")


def test_no_file_of_a_report_holds_what_steers(hostile, tmp_path):
    names = {"--html": "t.html", "--md": "t.md", "--csv": "t.csv", "--latex": "t.tex", "--figures": "drawn"}
    options = [part for option, name in names.items() for part in (option, tmp_path / name)]
    said("report", hostile, "--price", "1", *options)
    texts = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".md", ".csv", ".tex", ".svg"}]
    texts = [path for path in texts if hostile not in path.parents]
    assert len(texts) >= 7 + 6
    for path in texts:
        assert hidden(path.read_text()) <= _own(path), path.name
    for name in ("t.html", "t.csv", "t-footprint.csv", "drawn/energy.svg"):
        assert SPELLED in (tmp_path / name).read_text(), name
    assert r"\textbackslash{}x1b[2J" in (tmp_path / "t.tex").read_text()
    assert r"\\x1b\[2J" in (tmp_path / "t.md").read_text()
    assert (tmp_path / "drawn" / "energy.png").read_bytes().startswith(b"\x89PNG")


def _own(path):
    # The drawing library's own source, part of the page, holds two such characters in its tables.
    return {"\ufeff", "\xad", "\u2028", "\u2029"} if path.suffix == ".html" else set()


def test_a_reason_s_further_lines_cannot_pass_for_the_report_s(hostile):
    lines = said("report", hostile).splitlines()
    further = [after for line, after in pairwise(lines) if line.endswith(": died")]
    assert further
    assert all(line.startswith("    " + SPELLED) for line in further)


def test_progress_and_small_reports_are_spelled_too():
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=200, force_terminal=terminal, color_system=None)
        with LiveObserver(console) as observer:
            observer.note(EVIL)
            observer.step(f"{EVIL} [bold]x[/bold]")
        print_checks([Check(name=EVIL, level=Level.OK, figure=EVIL, remedy=EVIL)], console)
        print_rows([{"model": EVIL}], console, title="models")
        text = console.file.getvalue()
        assert not {"\x07", "\x9b", "\u202e", "\x00"} & set(text)
        assert "\x1b[2J" not in text
        assert SPELLED in text


def test_half_a_character_is_damage_named_in_one_line(copy):
    copy.change(lambda trial: trial.update(mode=trial["mode"] + "\ud83c"))
    for command in (["report", str(copy.path)], ["query", str(copy.path), "SELECT mode FROM trials"]):
        ended = CliRunner().invoke(app, command)
        assert isinstance(ended.exception, DamagedResultsError), command
        assert "half a character" in str(ended.exception)
        assert "\n" not in str(ended.exception)


def test_a_whole_character_spelled_by_two_halves_is_shown(copy):
    copy.change(lambda trial: trial.update(mode="\U0001f331"))
    assert b"\\ud83c\\udf31" in (copy.path / "events.jsonl").read_bytes()
    assert "pytorch \U0001f331" in said("report", copy.path)


@pytest.mark.parametrize("text", ["", "plain", "naïve ±5% · 日本語 🌱", "two\nlines\tapart"])
def test_what_can_be_seen_stays_as_it_is(text):
    assert visible(text) == text


def test_spelled_letters_are_python_s_and_no_markup_is_obeyed():
    assert visible("\x1b\u202e\ud800\U000e0001\r") == r"\x1b\u202e\ud800\U000e0001\r"
    assert shown("[bold]x[/bold]").plain == "[bold]x[/bold]"
