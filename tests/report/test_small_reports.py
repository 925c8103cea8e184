import io
from dataclasses import replace

import pytest
from rich.console import Console

from greenbench.core.check import Check, Level
from greenbench.core.parity import Parity, Proof
from greenbench.fleet.launcher import Build
from greenbench.report.checks import checks_json, print_checks
from greenbench.report.inventory import conversion_lines, print_rows, proof_lines
from greenbench.report.live import LiveObserver
from greenbench.report.provision import print_up, up_json


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100, highlight=False)


def text(console: Console) -> str:
    return console.file.getvalue()


CHECKS = (
    Check(name="disk", level=Level.OK, figure="63 GiB free"),
    Check(name="cpu energy", level=Level.WARN, figure="no zones", remedy="use --estimate-cpu"),
)


def test_a_check_is_a_line_with_its_word_and_its_remedy_below(console):
    print_checks(CHECKS, console)
    lines = text(console).splitlines()
    assert lines[0].startswith("ok")
    assert "63 GiB free" in lines[0]
    assert lines[1].startswith("warn")
    assert "-> use --estimate-cpu" in lines[2]


def test_checks_as_json_tell_the_worst_level():
    found = checks_json(CHECKS)
    assert found["level"] == "warn"
    assert found["checks"][0]["remedy"] is None
    assert checks_json((*CHECKS, Check(name="x", level=Level.FAIL, figure="")))["level"] == "fail"


def proof(*, passed: bool) -> Proof:
    parity = Parity(
        relative_error=1.5e-5 if passed else 0.3,
        cosine=0.99,
        top1_agreement=1.0,
        rows=8,
        limit=1e-4,
        passed=passed,
    )
    return Proof(
        runtime="onnxruntime",
        mode="cpu",
        source="pytorch",
        model="resnet50",
        sequence_length=None,
        precision="fp32",
        parity=parity,
    )


def test_a_proof_is_one_line_with_its_verdict_in_words():
    good, bad = proof_lines([proof(passed=True), proof(passed=False)])
    assert "onnxruntime cpu from pytorch" in good
    assert good.endswith("equal")
    assert "1.5e-05" in good
    assert bad.endswith("DIFFER")


def test_a_conversion_is_told_beside_what_it_came_from(console):
    made = replace(proof(passed=True), conversion=replace(proof(passed=True).parity, top1_agreement=0.875))
    (line,) = conversion_lines([proof(passed=True), made])
    assert "pytorch to onnxruntime cpu  matched resnet50  top-1 agreement 87.5%" in line
    print_up({}, [made], console)
    assert "top-1 agreement 87.5%" in text(console)
    assert up_json({}, [made])["parity"][0]["conversion"]["top1_agreement"] == 0.875


def test_up_says_what_stands_and_what_was_handed_over(console):
    build = Build(
        runtime="pytorch",
        device="cpu",
        launcher="venv",
        identity="abc",
        requirements_sha256="x",
        python="3.11",
        packages={},
        log_path=None,
        reused=False,
        elapsed_s=61.0,
        notes=("pip: [index] used",),
    )
    print_up({"pytorch": build}, [proof(passed=True)], console)
    assert "pytorch: built in 1 min 01 s (venv, cpu, abc)" in text(console)
    assert "pip: [index] used" in text(console)
    assert up_json({"pytorch": build}, [proof(passed=True)])["parity"][0]["parity"]["passed"] is True


def test_rows_keep_hostile_names_as_text(console):
    print_rows([{"model": "[bold]x[/bold]", "file": "a"}], console, title="models")
    assert "[bold]x[/bold]" in text(console)


def test_without_a_terminal_progress_is_plain_lines(console):
    with LiveObserver(console) as observer:
        observer.step("starting pytorch")
        observer.note("[red]not markup")
    assert text(console).splitlines() == ["starting pytorch", "[red]not markup"]
