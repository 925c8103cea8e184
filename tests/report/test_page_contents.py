"""Everything a reader is promised stands on the page, and every figure has as many marks as it has data."""

from collections import Counter

import pytest

from greenbench.report.document import read_document
from greenbench.report.facts import not_measured
from greenbench.report.figures import figures_of
from greenbench.report.measure import ENERGY, LATENCY
from greenbench.report.reproduce import commands_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def document(kept):
    return read_document(kept)


@pytest.fixture
def page(opened, kept):
    return opened(kept)


def texts(page, selector):
    return [" ".join(text.split()) for text in page.locator(selector).all_text_contents()]


def marks(page, figure, kind):
    return page.locator(f"#figure-1-{figure} .mark-{kind}.role-mark > [aria-label]").count()


def test_verdicts_answers_trust_environment_and_commands_stand_on_it(page, document):
    counts = Counter(str(trial.verdict) for trial in document.trials)
    words = [text.split()[-2:] for text in texts(page, ".verdicts li")]
    assert {name: int("".join(filter(str.isdigit, count))) for count, name in words} == counts
    widths = page.locator(".verdicts .strip span").evaluate_all("all => all.map(one => +one.style.flexGrow)")
    assert sorted(widths) == sorted(counts.values())

    headings = texts(page, "#answers-1 h3")
    assert [one[:3] for one in headings[:3]] == ["RQ1", "RQ2", "RQ3"]
    claims = texts(page, "#answers-1 table:last-of-type tbody th[scope=row]")
    assert claims[-9:] == [f"C{number}" for number in range(1, 10)]
    cells = page.locator(".card tbody tr").count()
    assert cells == len(document.cells)

    assert texts(page, "#trust-1 .doubts li") == [" ".join(one.split()) for one in document.answer.doubts]
    parity = page.locator("#trust-1 [aria-label='Outputs against the reference'] tbody tr")
    assert parity.count() == len(document.parity) > 0
    assert texts(page, "#trust-1 > ul:last-of-type > li") == not_measured(document)
    assert texts(page, "#trust-1 h3")[-1] == "What this does not measure"

    environment = " ".join(texts(page, "#reproduce-1"))
    manifest = document.manifest
    facts = [manifest.gpu.name, manifest.gpu.driver, manifest.host["cpu_model"], manifest.suite_sha256]
    facts += [
        entry.image_digest or entry.lock_sha256 or "adopted environment"
        for entry in manifest.runtimes.values()
    ]
    assert [fact for fact in facts if fact not in environment] == []
    assert page.locator("#reproduce-1 pre").text_content() == commands_of(manifest)


def test_every_figure_has_a_mark_for_each_of_its_data(page, document):
    figures = {figure.name: figure for figure in figures_of(document)}
    for measure in (ENERGY, LATENCY):
        singles = sum(measure.of_trial(trial) is not None for trial in document.trials)
        means = sum(measure.of_cell(cell) is not None for cell in document.cells)
        assert marks(page, measure.name, "rect") == singles > 10
        assert marks(page, measure.name, "symbol") == means > 5
    kinds = {"effects": "symbol", "front": "symbol", "breakdown": "rect", "drift": "symbol"}
    for name, kind in kinds.items():
        assert marks(page, name, kind) == len(figures[name].rows) > 2, name
    # A band of 5% in each panel of the questions; windows and baselines in the one panel of power.
    questions = figures["questions"]
    assert marks(page, "questions", "symbol") == len(questions.rows) > 2
    assert marks(page, "questions", "rect") == len(questions.panels)
    assert marks(page, "power", "rect") == len(figures["power"].rows) > 20
    assert marks(page, "power", "line") == len(document.traces) == 1
