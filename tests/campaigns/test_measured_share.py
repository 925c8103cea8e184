"""How much of a load's time is measured, on loads whose share is known."""

from dataclasses import replace

import pytest
from benchmarks.lines import Verdict
from benchmarks.measured_share import main, share_line, shares
from tests.bench.test_rows import IDENTITY, PLANNED, baseline

from greenbench.bench.rows import blank_row

SECOND = 1_000_000_000
LOAD = PLANNED.load_id


def window(begin_s: float, end_s: float, *, number: int = 1, attempt: int = 1):
    row = blank_row(IDENTITY, PLANNED, attempt=attempt, window=number)
    return replace(row, begin_ns=int(begin_s * SECOND), end_ns=int(end_s * SECOND))


def quiet(begin_s: float, end_s: float, domain: str = "gpu"):
    one = baseline("B1", 60.0, 0)
    return replace(
        one, load_id=LOAD, domain=domain, begin_ns=int(begin_s * SECOND), end_ns=int(end_s * SECOND)
    )


def occupied(begin_s: float, end_s: float, attempt: int = 1):
    return {
        "load_id": LOAD,
        "attempt": attempt,
        "occupied_ns": [int(begin_s * SECOND), int(end_s * SECOND)],
    }


def test_windows_and_baselines_count_and_nothing_twice():
    trials = [window(20, 30, number=1), window(30, 40, number=2)]
    baselines = [quiet(5, 15), quiet(5.1, 15.1, domain="cpu")]
    (share,) = shares([occupied(2, 42)], trials, baselines)
    assert share == pytest.approx((20 + 10.1) / 40)


def test_another_attempt_and_another_load_do_not_count():
    trials = [window(20, 30, attempt=1), replace(window(60, 70, attempt=2), load_id="r02.other")]
    baselines = [quiet(5, 15), replace(quiet(52, 55), load_id=None)]
    (share,) = shares([occupied(50, 90, attempt=2)], trials, baselines)
    assert share == 0


def test_a_load_that_was_not_timed_has_no_share():
    assert list(shares([{"load_id": LOAD, "attempt": 1, "occupied_ns": None}], [], [])) == []


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([0.8] * 6, Verdict.WITHIN),
        ([0.5] * 6, Verdict.BEYOND),
        ([0.6, 0.65, 0.7, 0.75, 0.8, 0.7], Verdict.NOISY),
        ([0.9] * 2, Verdict.NOISY),
    ],
)
def test_the_line_says_what_its_interval_allows(found, verdict):
    line = share_line(found, "")
    assert line.verdict is verdict
    assert "at least 5" in line.note if len(found) < 5 else line.estimate is not None


def test_a_folder_that_is_no_run_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "none" in line
