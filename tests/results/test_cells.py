import math

import numpy as np
import pytest

from greenbench.core.doubt import Verdict
from greenbench.results.cells import estimate, half_width_95, last_attempts, summarise


def rate(trial):
    return trial.throughput_samples_per_s


def rows(make, *figures, **more):
    """Made-up trials from (round, window, rate)."""
    return [
        make.trial(round=r, window=w, load_id=f"r{r:02d}.c", throughput_samples_per_s=value, **more)
        for r, w, value in figures
    ]


def test_windows_are_averaged_within_a_round_before_rounds_are(make):
    found = estimate(rows(make, (1, 1, 10.0), (1, 2, 20.0), (1, 3, 30.0), (2, 1, 40.0)), rate)
    assert found.mean == pytest.approx(30.0)  # not 25, the mean of all windows
    assert found.rounds == 2


def test_the_half_width_is_students_t():
    # t(0.975, 2) = 4.302653, sd of 1, 2, 3 is 1.
    assert half_width_95([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert half_width_95([5.0, 5.0]) == 0.0
    assert half_width_95([5.0]) is None


@pytest.mark.parametrize(
    ("rounds", "between", "within"), [(5, 0.01, 0.002), (6, 0.0, 0.01), (10, 0.003, 0.02)]
)
def test_a_cells_interval_holds_the_truth_95_times_in_100(make, rounds, between, within):
    """Rounds differ from each other, windows of one round share that: the unit is the round."""
    generator, runs, truth = np.random.default_rng(20261125), 1000, 100.0
    held, widths, errors = 0, [], []
    for _ in range(runs):
        level = truth * (1 + between * generator.standard_normal(rounds))
        seen = level[:, None] * (1 + within * generator.standard_normal((rounds, 2)))
        figures = [(r + 1, w + 1, float(seen[r, w])) for r in range(rounds) for w in range(2)]
        found = estimate(rows(make, *figures), rate)
        errors.append(found.mean - truth)
        held += abs(errors[-1]) <= found.u95
        widths.append(2 * found.u95)
    assert 0.93 <= held / runs <= 0.97
    low, high = np.quantile(errors, [0.025, 0.975])
    assert np.mean(widths) <= 2 * (high - low)


def test_one_round_has_no_interval_and_no_value_no_estimate(make):
    assert estimate(rows(make, (1, 1, 10.0), (1, 2, 11.0)), rate).u95 is None
    assert estimate(rows(make, (1, 1, None)), rate) is None


def test_doubtful_trials_count_and_invalid_ones_do_not_while_there_are_others(make):
    trials = [
        *rows(make, (1, 1, 10.0), verdict=Verdict.VALID),
        *rows(make, (2, 1, 20.0), verdict=Verdict.DOUBTFUL),
        *rows(make, (3, 1, 900.0), verdict=Verdict.INVALID),
        *rows(make, (4, 1, None), verdict=Verdict.FAILED),
    ]
    (cell,) = summarise(trials)
    assert cell.throughput_samples_per_s.mean == 15.0
    assert (cell.verdict, cell.rounds, cell.usable) == (Verdict.DOUBTFUL, 2, True)
    assert cell.verdicts == dict.fromkeys(Verdict, 1)


def test_a_cell_with_nothing_better_shows_invalid_figures_and_says_so(make):
    (cell,) = summarise(rows(make, (1, 1, 900.0), verdict=Verdict.INVALID))
    assert (cell.throughput_samples_per_s.mean, cell.verdict, cell.usable) == (900.0, Verdict.INVALID, False)
    (cell,) = summarise(rows(make, (1, 1, None), verdict=Verdict.FAILED))
    assert (cell.throughput_samples_per_s, cell.verdict, cell.rounds) == (None, Verdict.FAILED, 0)


def test_a_window_measured_again_replaces_only_itself(make):
    first, second = rows(make, (1, 1, 10.0), (1, 2, 20.0), attempt=1)
    (again,) = rows(make, (1, 2, 30.0), attempt=2)
    assert last_attempts([first, second, again]) == (first, again)


def test_cpu_seconds_are_per_sample_and_memory_is_the_peak(make):
    trials = [
        make.trial(round=1, load_id="r01.c", cpu_s=6.0, samples=30.0, memory_peak_b=100),
        make.trial(round=2, load_id="r02.c", cpu_s=None, samples=30.0, memory_peak_b=300),
    ]
    (cell,) = summarise(trials)
    assert (cell.cpu_s_per_sample.mean, cell.cpu_s_per_sample.rounds, cell.memory_peak_b) == (0.2, 1, 300)


def test_cells_keep_the_order_in_which_they_were_measured(make):
    assert [cell.cell_id for cell in summarise([make.trial(cell_id=x, load_id=x) for x in "bca"])] == list(
        "bca"
    )
