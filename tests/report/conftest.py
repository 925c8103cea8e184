import json
import shutil
from pathlib import Path

import pytest

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


@pytest.fixture
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
