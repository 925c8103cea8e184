"""One stored trial changes: its own mark and its cell's sentence say so, and no other."""

from itertools import chain

import pytest

pytestmark = pytest.mark.browser
CELL = "pytorch.eager.resnet50.fp32.b64"
TRIAL = f"r02.{CELL}.a1.w1"
# Every mark with words for those who cannot see it, figure by figure, panel by panel.
LABELS = """() => Object.fromEntries([...document.querySelectorAll("figure")].map(figure => [
  figure.id.replace("figure-1-", ""),
  [...figure.querySelectorAll("[data-chart]")].map(panel =>
    [...panel.querySelectorAll(".role-mark > [aria-label]")].map(mark => mark.getAttribute("aria-label"))),
]))"""


def changed(before, after):
    """Return the labels that are another after, by figure."""
    assert before.keys() == after.keys()
    return {
        name: [
            (old, new) for old, new in zip(flat(before[name]), flat(after[name]), strict=True) if old != new
        ]
        for name in before
    }


def flat(panels):
    return list(chain.from_iterable(panels))


def sentences(page):
    return page.locator("#answers-1 ol.claims > li > p:first-child").all_inner_texts()


@pytest.fixture
def both(opened, copy):
    copy.change(lambda trial: None)  # both from the log alone, without the columns filled in at the end
    page = opened(copy.path)
    before = page.evaluate(LABELS), sentences(page)
    values = []

    def edit(trial):
        if trial["trial_id"] == TRIAL:
            values.append(trial["energy_j_per_sample"])
            trial["energy_j_per_sample"] *= 1.02  # the cell stays the cheapest of its group

    copy.change(edit)
    page = opened(copy.path)
    assert len(values) == 1
    return before, (page.evaluate(LABELS), sentences(page))


def test_its_own_mark_and_its_cell_s_sentence_change_and_no_other(both):
    (marks_before, said_before), (marks_after, said_after) = both
    marks = changed(marks_before, marks_after)

    ticks = [(old, new) for old, new in marks["energy"] if "trial:" in old]
    assert [TRIAL in old and TRIAL in new for old, new in ticks] == [True]
    # The cell's mean and the bar of its interval follow from it; both are of its runtime.
    rest = [old for old, new in marks["energy"] if "trial:" not in old]
    assert len(rest) == 2
    assert all("pytorch eager" in old for old in rest)

    assert marks["latency"] == []
    assert marks["breakdown"] == []
    assert {CELL in old for old, _ in marks["drift"]} == {True}
    assert all(old.startswith("onnxruntime cuda from pytorch") for old, _ in marks["effects"])
    assert len(marks["effects"]) == 2  # the ratio to the changed cell: its point and its bar

    ((question, _),) = marks["questions"]
    assert "quantity: energy" in question

    differing = [(old, new) for old, new in zip(said_before, said_after, strict=True) if old != new]
    ((sentence, otherwise),) = differing
    assert sentence.startswith("resnet50, batch 64, fp32, cuda: ")
    assert otherwise.startswith("resnet50, batch 64, fp32, cuda: ")
