"""Zeus stands in as a package of the same name that reads the same simulated counter from its own process."""

import sys
from pathlib import Path

import pytest
from campaigns import zeus_agreement
from campaigns.zeus_agreement import Row, compare, summary, table, zeus_side
from tests.campaigns.simulated_gpu import PERIOD_S, WATTS, simulated_load

MONITOR = """
import time
from types import SimpleNamespace

class ZeusMonitor:
    def __init__(self, gpu_indices, cpu_indices):
        self.gpu, = gpu_indices
    def joules(self):
        return time.monotonic_ns() // {period_ns} * {period_s} * {watts}
    def begin_window(self, key, sync_execution):
        self.begin = self.joules()
    def end_window(self, key, sync_execution):
        return SimpleNamespace(gpu_energy={{self.gpu: self.joules() - self.begin}})
"""
FACTS = {
    "command": "python -m campaigns.zeus_agreement",
    "date": "2026-11-24",
    "gpu": "simulated",
    "zeus": "0.16.0",
    "cell": "pytorch.eager.resnet50.fp32.b64",
    "sensor_period_s": PERIOD_S,
    "steady": True,
}


def stand_in(folder: Path, *, watts: float) -> None:
    (folder / "zeus").mkdir()
    (folder / "zeus" / "__init__.py").touch()
    text = MONITOR.format(period_ns=int(PERIOD_S * 1e9), period_s=PERIOD_S, watts=watts)
    (folder / "zeus" / "monitor.py").write_text(text)
    facts = folder / "zeus-0.16.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: zeus\nVersion: 0.16.0\n")


def measured(tmp_path, monkeypatch, *, watts=WATTS):
    stand_in(tmp_path, watts=watts)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    script = Path(zeus_agreement.__file__).with_name("zeus_side.py")
    with zeus_side([sys.executable, str(script), "3"]) as zeus, simulated_load() as held:
        return zeus.version, compare(held, zeus, windows=3, window_s=0.5)


def test_both_measure_the_same_stamps(tmp_path, monkeypatch):
    version, rows = measured(tmp_path, monkeypatch)
    assert version == "0.16.0"
    assert len(rows) == 3
    for row in rows:
        assert row.zeus_s == pytest.approx(0.5, abs=0.2)
        assert row.same_stamps_j == pytest.approx(WATTS * row.zeus_s, rel=0.01)
        # Zeus's stamps lie anywhere between two changes: at most a step is missing, or too much.
        assert abs(row.zeus_j - WATTS * row.zeus_s) <= 1.01 * WATTS * PERIOD_S + 0.002 * row.zeus_j


def test_a_monitor_that_counts_otherwise_disagrees(tmp_path, monkeypatch):
    _, rows = measured(tmp_path, monkeypatch, watts=1.1 * WATTS)
    kept = summary(rows, FACTS)
    assert not kept["agrees"]
    assert kept["median_difference"] == pytest.approx(0.1, abs=0.05)
    assert "median below 0.5%: **no**" in table(kept)


def row(zeus_j: float) -> Row:
    return Row(zeus_j=zeus_j, zeus_s=20.0, window_j=505.0 * 20.05, window_s=20.05, edge_u95_j=1.0)


def test_the_median_decides_and_the_worst_is_told():
    kept = summary([row(10100.0), row(10120.0), row(10000.0)], FACTS)
    assert kept["agrees"]
    assert kept["median_difference"] == pytest.approx(20 / 10100)
    assert kept["worst_difference"] == pytest.approx(100 / 10100)
    said = table(kept)
    assert "median 0.198%, worst 0.990%; median below 0.5%: yes" in said
    assert "| 3 | 20.000 | 10000.0 | 10100.0 | -0.990% |" in said


def test_a_process_without_zeus_is_named(capfd):
    with (
        pytest.raises(SystemExit, match=r"Is zeus==0\.16\.0 in --zeus-python"),
        zeus_side([sys.executable, "-c", "raise SystemExit('no zeus')"]),
    ):
        pass
    assert "no zeus" in capfd.readouterr().err
