"""The page under the pointer and under the keyboard: what one can do the other can."""

import pytest

from greenbench.report.document import read_document
from greenbench.report.figures import figures_of

pytestmark = pytest.mark.browser

# What each figure's marks say; a mark of it, the last, is pointed at.
TOLD = {
    "energy": ("symbol", "J/sample"),
    "latency": ("symbol", "p50 of one batch, ms"),
    "questions": ("symbol", "quantity"),
    "effects": ("symbol", "divided by"),
    "front": ("symbol", "J/sample"),
    "breakdown": ("rect", "share"),
    "power": ("rule", "mean, W"),
    "drift": ("symbol", "from mean"),
}
STOPS = "a[href], button, select, summary, [tabindex='0']"


def test_a_tooltip_appears_on_every_figure(opened, kept):
    assert TOLD.keys() == {figure.name for figure in figures_of(read_document(kept))}
    page = opened(kept)
    for name, (kind, words) in TOLD.items():
        page.mouse.move(0, 0)
        page.wait_for_selector("#vg-tooltip-element.visible", state="hidden")
        panel = page.locator(f"#figure-1-{name} [data-chart]").first
        mark = panel.locator(f".mark-{kind}.role-mark > [aria-label]").last
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#vg-tooltip-element.visible", timeout=5000)
        assert words in page.inner_text("#vg-tooltip-element"), name
    assert page.wrong == []


def test_the_tab_key_reaches_all_that_can_be_clicked_chosen_or_scrolled(opened, kept):
    page = opened(kept)
    wanted = page.evaluate(
        f"""() => [...document.querySelectorAll("{STOPS}")]
            .filter(one => one.checkVisibility() && !one.closest("details:not([open]) > :not(summary)"))
            .map((one, place) => (one.dataset.stop = place, place))"""
    )
    assert len(wanted) > 30
    reached, unseen = [], []
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        stop, outline = page.evaluate(
            """() => { const one = document.activeElement;
                return [one.dataset.stop ?? null, getComputedStyle(one).outlineStyle]; }"""
        )
        if stop is not None:
            reached.append(int(stop))
            unseen += [stop] if outline == "none" else []
        if len(set(reached)) == len(wanted):
            break
    assert sorted(set(reached)) == wanted
    assert reached == sorted(reached), "the order is not that of reading"
    assert unseen == []


def test_keys_do_what_the_pointer_does(opened, kept):
    page = opened(kept, size="phone")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.focus("#theme")
    page.keyboard.press("Enter")
    assert page.evaluate(ground) != before

    details = page.locator("#figure-1-energy details")
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.get_attribute("open") is not None

    table = details.locator(".scroll")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scroll"
    assert table.evaluate("one => one.scrollWidth > one.clientWidth"), "nothing to scroll"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0", timeout=5000)

    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
