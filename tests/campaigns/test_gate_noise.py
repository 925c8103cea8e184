"""The gate under the noise of kept runs, in short; `make gate-noise` is the long form."""

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaigns.gate_noise import CV_FLOOR, Row, at_least, broken, noise_of, outcomes, resampled, table_of
from tests.results.conftest import trial
from typer.testing import CliRunner

from greenbench.cli import app
from greenbench.report.comparison import open_side
from greenbench.report.contrast import contrast
from greenbench.report.gate import Outcome
from greenbench.results.events import plain

KEPT = Path(__file__).parents[2] / "docs" / "results"
RUN = KEPT / "h100-compile-batch64-2026-11-23"
PAIRS = 100


@pytest.fixture(scope="module")
def side():
    return open_side(str(RUN), KEPT)


@pytest.fixture(scope="module")
def noise(side):
    return at_least(noise_of(side.trials), CV_FLOOR)


def rounds(cell_id, joules, seconds):
    return [
        trial(
            cell_id=cell_id, load_id=f"r{number}.{cell_id}", round=number, samples=1.0,
            energy_j_per_sample=energy, throughput_samples_per_s=1 / time,
        )
        for number, (energy, time) in enumerate(zip(joules, seconds, strict=True), start=1)
    ]  # fmt: skip


def test_residuals_have_the_spread_that_the_rounds_have():
    joules = [1.0, math.exp(0.02)]
    noise = noise_of([*rounds("a", joules, [2.0, 2.0]), *rounds("b", [1.0], [1.0])])
    assert list(noise.cells) == ["a"]
    # Two values 0.02 apart have the sample standard deviation 0.02 / sqrt(2).
    assert noise.recorded_cv[0] == pytest.approx(0.02 / math.sqrt(2))
    assert at_least(noise, 0.05).recorded_cv == pytest.approx((0.05, 0.0))
    assert at_least(noise, 0.001).recorded_cv == noise.recorded_cv


def test_resampled_runs_have_the_cells_noise_about_the_cells_own_cost(noise):
    cell = next(iter(noise.cells.values()))
    drawn = [
        one.energy_j_per_sample
        for seed in range(300)
        for one in resampled(noise, np.random.default_rng(seed))
        if one.cell_id == cell.cell_id
    ]
    logs = np.log(drawn) - math.log(cell.energy_j_per_sample)
    assert logs.std() == pytest.approx(noise.recorded_cv[0], rel=0.1)
    assert logs.mean() == pytest.approx(0.0, abs=4 * logs.std() / math.sqrt(len(logs)))


def test_equal_runs_pass_and_a_true_ten_percent_is_found(side, noise):
    assert min(noise.recorded_cv) >= CV_FLOOR * (1 - 1e-9)
    for what in ("", "energy", "time"):
        found = outcomes(side, noise, what=what, pairs=PAIRS)
        assert found.total() == PAIRS
        assert broken(Row(run="kept", what=what, cv=noise.recorded_cv, outcomes=found)) == []


def test_wide_noise_makes_the_gate_say_that_it_does_not_know(side, noise):
    found = outcomes(side, at_least(noise, 0.08), what="", pairs=PAIRS)
    assert found[Outcome.REGRESSED] <= 1
    assert found[Outcome.INCONCLUSIVE] > 0.5 * PAIRS


def test_by_the_point_the_same_noise_would_cry_wolf(noise):
    cell = next(iter(noise.cells))
    wide, generator, cried = at_least(noise, 0.08), np.random.default_rng(3), 0
    for _ in range(PAIRS):
        before, after = (
            {one.round: one.energy_j_per_sample for one in resampled(wide, generator) if one.cell_id == cell}
            for _ in range(2)
        )
        cried += contrast(before, after, paired=False).ratio > 1.05
    assert cried > 0.03 * PAIRS


def test_a_row_that_breaks_a_promise_is_named():
    cv = (CV_FLOOR, CV_FLOOR)
    alarms = Counter({Outcome.REGRESSED: 2, Outcome.PASS: 98})
    unsure = Counter({Outcome.INCONCLUSIVE: 6, Outcome.PASS: 94})
    assert broken(Row(run="r", what="", cv=cv, outcomes=alarms)) == ["r: too many false alarms"]
    assert broken(Row(run="r", what="", cv=cv, outcomes=unsure)) == ["r: too often inconclusive"]
    missed = Counter({Outcome.REGRESSED: 94, Outcome.PASS: 6})
    assert broken(Row(run="r", what="time", cv=cv, outcomes=missed)) == [
        "r: a true 10% of time is found too seldom"
    ]
    assert "| `r` | 1.50% | 1.50% | the same | 100 | 2 | 0 | 98 |" in table_of(
        [Row(run="r", what="", cv=cv, outcomes=alarms)]
    )


def stored(target, trials):
    """Write a run of these trials beside the manifest of the kept one."""
    target.mkdir()
    shutil.copy(RUN / "manifest.json", target)
    events = [{"event": "trial", "trial": plain(one)} for one in trials] + [{"event": "run_finished"}]
    (target / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return target


@pytest.mark.parametrize(
    ("what", "status"), [("", 0), ("energy", 1), ("time", 1)], ids=["same", "joules", "seconds"]
)
def test_the_command_says_so_by_its_exit_status(noise, tmp_path, what, status):
    generator = np.random.default_rng(5)
    cell = next(iter(noise.cells))
    worse = {(cell, what): 1.10} if what else None
    before = stored(tmp_path / "before", resampled(noise, generator))
    after = stored(tmp_path / "after", resampled(noise, generator, worse=worse))
    done = CliRunner().invoke(app, ["gate", "--baseline", str(before), str(after), "--json"])
    assert done.exit_code == status, done.output
    cells = json.loads(done.output)["cells"]
    assert {one["quantity"] for one in cells} == {"energy", "time"}
    regressed = [(one["cell"], one["quantity"]) for one in cells if one["outcome"] == "regressed"]
    assert regressed == ([(cell, what)] if what else [])


def test_trials_without_joules_are_judged_by_seconds(side):
    bare = [replace(one, energy_j_per_sample=None) for one in side.trials]
    noise = at_least(noise_of(bare), CV_FLOOR)
    assert noise.recorded_cv[0] is None
    assert outcomes(side, noise, what="time", pairs=10)[Outcome.REGRESSED] >= 9
