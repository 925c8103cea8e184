import json
import shutil
from pathlib import Path

import pytest

from greenbench.report.publish import Outputs, publish
from greenbench.report.tariff import Tariff

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
KEPT = Path(__file__).parents[2] / "docs" / "results" / "h100-2026-11-23"


class Copy:
    """A copy of the kept run, to be changed: its log is the truth, so its trials are changed there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def change(self, edit) -> None:
        log = self.path / "events.jsonl"
        events = [json.loads(line) for line in log.read_text().splitlines()]
        kept = [event for event in events if event["event"] != "trial" or edit(event["trial"]) is not False]
        log.write_text("".join(json.dumps(event) + "\n" for event in kept))
        (self.path / "trials.parquet").unlink(missing_ok=True)

    def manifest(self, **values) -> None:
        file = self.path / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.fixture(scope="session")
def kept():
    return KEPT


@pytest.fixture
def copy(tmp_path):
    return Copy(Path(shutil.copytree(KEPT, tmp_path / "run")))


def without_energy(trial):
    for name in trial:
        if name.startswith("energy_"):
            trial[name] = None
    trial["energy_scope"] = "none"
    trial["absent"] = [{"domain": "gpu", "reason": "no NVIDIA driver here"}]


@pytest.fixture
def no_energy(copy):
    copy.change(without_energy)
    return copy


@pytest.fixture(scope="session")
def chromium_path():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    return path


@pytest.fixture(scope="session")
def chromium(chromium_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    contexts = []

    def open_page(*folders, size="desktop", scheme="light"):
        target = tmp_path / "page.html"
        publish(folders, Outputs(html=target), Tariff(carbon_g_per_kwh=400.0))
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda message: page.wrong.append(message.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("request", lambda request: page.wrong.append(request.url) if _outside(request.url) else None)
        page.goto(target.as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()


def _outside(address):
    return not address.startswith(("file:", "data:"))
