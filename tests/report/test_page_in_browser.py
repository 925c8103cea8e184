"""The page in a real browser, opened from disk with the network off."""

import pytest

pytestmark = pytest.mark.browser


def _serious(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [item["id"] for item in found if item["impact"] in {"serious", "critical"}]


def test_every_figure_draws_with_no_request_and_no_error(opened, kept):
    page = opened(kept)
    assert page.wrong == []
    places = page.query_selector_all("[data-chart]")
    assert len(places) > 10
    assert all(place.query_selector("svg path") for place in places)


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light")])
def test_nothing_serious_for_those_who_cannot_see_it(opened, kept, size, scheme):
    page = opened(kept, size=size, scheme=scheme)
    assert _serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light")])
def test_nothing_serious_side_by_side_with_all_details_open(opened, kept, copy, size, scheme):
    copy.manifest(run_id="second")
    page = opened(kept, copy.path, size=size, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert _serious(page) == []


def test_an_image_without_words_is_found_serious(opened, kept):
    page = opened(kept)
    page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert _serious(page) == ["image-alt"]


def test_a_mark_tells_its_figures_under_the_pointer(opened, kept):
    page = opened(kept)
    mark = page.locator("#figure-1-energy [data-chart] .mark-symbol path").last
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "J/sample" in page.inner_text("#vg-tooltip-element")


def test_one_load_can_be_looked_at_by_keyboard(opened, kept):
    page = opened(kept)
    axis = page.locator("#figure-1-power .role-axis-label").first
    assert "700" in axis.text_content()
    page.focus("#figure-1-power select")
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert "700" not in axis.text_content()


def test_a_changed_trial_changes_its_mark_and_its_words(opened, copy):
    copy.change(
        lambda trial: trial.update(energy_j_per_sample=9.0) if trial["runtime"] == "pytorch" else None
    )
    page = opened(copy.path)
    assert "9.000 ±0" in page.inner_text("#answers-1")
    labels = page.locator("#figure-1-energy .role-axis-label").first.text_content()
    assert "10" in labels or "8" in labels


def test_hostile_names_run_nothing(opened, copy):
    copy.change(lambda trial: trial.update(mode="<img src=x onerror=\"document.title='owned'\">"))
    page = opened(copy.path)
    assert page.wrong == []
    assert "owned" not in page.title()


def test_without_energy_the_page_still_tells_time(opened, no_energy):
    page = opened(no_energy.path)
    assert page.wrong == []
    assert "No energy was measured" in page.inner_text("main")
    assert page.query_selector("#figure-1-latency svg path")


def test_light_and_dark_by_button(opened, kept):
    page = opened(kept)
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != before


def test_a_changed_trial_changes_the_sentence(opened, copy, kept):
    before = opened(kept).inner_text("#answers-1")
    assert "came to 9.4% more energy per sample" in before
    copy.change(lambda trial: trial.update(energy_j_per_sample=1.0 if trial["runtime"] == "pytorch" else 9.0))
    after = opened(copy.path).inner_text("#answers-1")
    assert "came to 9.4% more energy per sample" not in after
    assert "came to 800.0% more energy per sample" in after


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_two_runs_stand_side_by_side_before_their_own_sections(opened, kept, copy, size):
    copy.manifest(run_id="second")
    page = opened(kept, copy.path, size=size)
    assert page.wrong == []
    page.click("nav >> text=Side by side")
    section = page.locator("section.beside")
    assert section.locator("h2").inner_text() == "h100 beside h100"
    assert section.locator("table").first.is_visible()
    assert "They differ in none of the conditions below." in section.inner_text()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    assert page.locator("article").count() == 2


def test_every_section_is_in_sight_in_a_phones_header(opened, kept):
    page = opened(kept, size="phone")
    assert (
        page.evaluate("(nav => nav.scrollWidth - nav.clientWidth)(document.querySelector('.bar nav'))") <= 0
    )
    assert page.get_by_role("link", name="greenbench").count() == 1


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_no_word_of_a_figure_ends_beyond_its_frame(opened, kept, size):
    page = opened(kept, size=size)
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("figure")].flatMap(figure => {
            const { left, right } = figure.getBoundingClientRect();
            return [...figure.querySelectorAll("svg text")].filter(word => {
                const box = word.getBoundingClientRect();
                return box.width && (box.left < left || box.right > right);
            }).map(word => `${figure.id}: ${word.textContent}`);
        })"""
    )
    assert beyond == []


def test_claims_are_read_without_scrolling_sideways_on_a_phone(opened, kept):
    page = opened(kept, size="phone")
    claims = page.locator(".claimed")
    assert claims.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert claims.locator("tbody tr").count() == 9


def test_on_paper_it_is_dark_on_white_with_every_figure_and_no_buttons(opened, kept):
    page = opened(kept, scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(24, 33, 29)"
    assert not page.is_visible("header.bar")
    paper = page.pdf(format="A4", print_background=False)
    assert paper.count(b"/Type /Page\n") >= 3
    drawn = page.query_selector_all("[data-chart] svg")
    assert len(drawn) > 10
    assert all(figure.bounding_box()["width"] <= 1280 for figure in drawn if figure.is_visible())
