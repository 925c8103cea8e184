import math

import pytest

from greenbench.report.contrast import contrast, round_means
from greenbench.report.document import read_document
from greenbench.report.figures import figures_of

ONNX, TORCH = "onnxruntime.cuda.from-pytorch.resnet50.fp32.b64", "pytorch.eager.resnet50.fp32.b64"


def rounds(folder, cell_id):
    trials = (trial for trial in read_document(folder).trials if trial.cell_id == cell_id)
    return round_means(trials, lambda trial: trial.energy_j_per_sample)


def ratio(folder):
    return contrast(rounds(folder, TORCH), rounds(folder, ONNX), paired=True)


def test_a_known_ratio_with_its_interval(copy):
    # Ratios of 2 and 8: geometric mean 4; t(0.975, 1) = 12.706, logs ln 2 and ln 8, standard error ln 2.
    def edit(trial):
        trial["energy_j_per_sample"] = {1: 2.0, 2: 8.0}[trial["round"]] if trial["cell_id"] == ONNX else 1.0

    copy.change(edit)
    found = ratio(copy.path)
    assert found.ratio == pytest.approx(4)
    assert found.high / found.ratio == pytest.approx(math.exp(12.7062 * math.log(2)), rel=1e-3)
    assert not found.decided


def test_equal_ratios_decide(copy):
    copy.change(lambda trial: trial.update(energy_j_per_sample=2.0 if trial["cell_id"] == ONNX else 1.0))
    assert ratio(copy.path).decided


def test_one_round_has_no_interval(copy):
    copy.change(lambda trial: trial["round"] == 1)
    found = ratio(copy.path)
    assert found.rounds_a == 1
    assert found.low is None
    assert not found.decided


def test_invalid_trials_do_not_count(copy):
    copy.change(lambda trial: trial.update(verdict="invalid") if trial["cell_id"] == ONNX else None)
    assert ratio(copy.path) is None


def test_one_runtime_has_no_effect_and_says_so(copy):
    copy.change(lambda trial: trial["runtime"] == "pytorch")
    effects = next(item for item in figures_of(read_document(copy.path)) if item.name == "effects")
    assert "two cells of" in effects.absent
