import re
from dataclasses import replace

import numpy as np
import pytest
from made_study import BATCHES, MODELS, as_in_the_study, cell, claims, onnx

from greenbench.core.doubt import Verdict
from greenbench.report.study import Decision

REPRODUCED, CONTRADICTED, INCONCLUSIVE, NOT_MEASURED = Decision


def decisions(trials, **values):
    return {name: claim.decision for name, claim in claims(trials, **values).items()}


def test_a_run_that_is_as_the_study_says_reproduces_every_claim_but_the_ninth():
    found = decisions(as_in_the_study())
    assert found.pop("C9") is CONTRADICTED
    assert set(found) == {f"C{number}" for number in range(1, 9)}
    assert set(found.values()) == {REPRODUCED}


@pytest.mark.parametrize(
    ("changed", "name", "decision"),
    [
        ({"mxnet": 1.4}, "C1", CONTRADICTED),
        ({"mxnet": 1.19}, "C1", INCONCLUSIVE),
        ({"mxnet": 1.1}, "C2", CONTRADICTED),
        ({"mxnet": 0.9}, "C2", CONTRADICTED),
        ({"mxnet": 1.045}, "C2", INCONCLUSIVE),
        ({"tensorflow": 0.5}, "C3", CONTRADICTED),
        ({"tensorflow": 0.68}, "C3", INCONCLUSIVE),
        ({"pytorch": 1.5}, "C4", CONTRADICTED),
        ({"pytorch": 1.3}, "C4", INCONCLUSIVE),
        ({"pytorch_cuda": 2, "tensorflow_cuda": 2}, "C5", CONTRADICTED),
        ({"pytorch_cuda": 2}, "C5", INCONCLUSIVE),
        ({"pytorch_cuda": 0.8}, "C6", CONTRADICTED),
        ({"pytorch_cuda": 1 / 1.1}, "C6", CONTRADICTED),
        ({"mxnet_tensorrt": 1.6}, "C7", CONTRADICTED),
        ({"mxnet_tensorrt": 1 / 0.7}, "C7", INCONCLUSIVE),
    ],
)
def test_what_a_claim_turns_on(changed, name, decision):
    assert claims(as_in_the_study(**changed))[name].decision is decision


def test_a_wide_interval_leaves_the_sixth_open():
    noisy = [*cell("pytorch", "resnet50", 64, noise=0.2), *onnx("pytorch", "resnet50", 64, 1.1, noise=0.2)]
    assert claims(noisy)["C6"].decision is INCONCLUSIVE


def test_a_decision_names_the_effect_and_its_interval():
    found = claims(as_in_the_study(mxnet=1.5))["C1"]
    assert "energy net of idle of MXNet against PyTorch, resnet50, batch 1, fp32, cuda: +25." in found.reason
    assert "; gross +25." in found.reason
    assert found.reason.endswith("(10 rounds)")
    assert len(found.findings) == 4


def test_the_first_claims_mechanism_is_tested_by_itself():
    usage = {"mxnet": (0.5, 0.9), "pytorch": (1.0, 0.8), "tensorflow": (2.0, 0.95)}
    trials = [
        replace(one, cpu_s=usage[one.runtime][0], gpu_util_mean=usage[one.runtime][1])
        if one.runtime in usage
        else one
        for one in as_in_the_study()
    ]
    found = claims(trials)["C1"]
    assert found.reason.endswith(
        "; its mechanism: CPU time per sample lower in 4 of 4, GPU utilisation higher in 2 of 4"
    )
    assert "mechanism" not in claims(as_in_the_study())["C1"].reason


def without(trials, **values):
    return [one for one in trials if any(getattr(one, name) != value for name, value in values.items())]


def test_missing_cells_are_not_measured_and_say_why():
    left_out = {"cell": "mxnet", "reason": "MXNet ships kernels for sm_86; H100 is sm_90."}
    trials = without(without(as_in_the_study(), runtime="mxnet"), source="mxnet")
    found = claims(trials, left_out=(left_out,))
    for name in ("C1", "C2", "C3", "C4"):
        assert found[name].decision is NOT_MEASURED
        assert "MXNet was not measured: MXNet ships kernels for sm_86; H100 is sm_90" in found[name].reason
    # Usually and always are said of every model and batch size, from whatever source there is.
    assert found["C5"].decision is found["C7"].decision is REPRODUCED


def test_no_tensorrt_is_not_measured_and_says_why():
    left_out = {
        "cell": "onnxruntime.tensorrt.from-pytorch.resnet50.fp32.b1",
        "reason": "TensorRT's libraries are absent",
    }
    found = claims(without(as_in_the_study(), mode="tensorrt"), left_out=(left_out,))["C7"]
    assert found.decision is NOT_MEASURED
    assert "PyTorch's ONNX on TensorRT was not measured: TensorRT's libraries are absent" in found.reason


def test_a_cell_that_was_left_out_for_another_precision_gives_no_reason():
    left_out = {"cell": "mxnet.hybrid.resnet50.tf32.b1", "reason": "excluded by the suite"}
    found = claims(without(as_in_the_study(), runtime="mxnet"), left_out=(left_out,))["C1"]
    assert "excluded" not in found.reason


def test_one_comparison_that_contradicts_is_enough_whatever_is_missing():
    trials = [*cell("pytorch", "bert_base", 1, 2.0), *cell("tensorflow", "bert_base", 1, 1.0)]
    assert claims(trials)["C4"].decision is CONTRADICTED


def test_usually_and_always_need_every_model_and_batch_size():
    trials = without(as_in_the_study(), model="bert_base")
    assert {decisions(trials)[name] for name in ("C5", "C7")} == {NOT_MEASURED}


def test_energy_counts_net_of_idle_and_gross_stands_beside():
    trials = [
        *cell("pytorch", "resnet50", 64, 1.0),
        *(
            replace(one, energy_gpu_net_b0_j=0.5 * one.energy_gpu_net_b0_j)
            for one in onnx("pytorch", "resnet50", 64, 1.2)
        ),
    ]
    found = claims(trials)["C6"]
    assert found.decision is CONTRADICTED
    assert "PyTorch, resnet50, batch 64, fp32, cuda: -39.8%" in found.reason
    assert "; gross +20.3%" in found.reason


def test_time_alone_contradicts_too_and_energy_alone_reproduces_nothing():
    trials = as_in_the_study()
    slow = [
        replace(one, throughput_samples_per_s=one.throughput_samples_per_s / 3)
        if one.mode == "tensorrt"
        else one
        for one in trials
    ]
    found = claims(slow)["C7"]
    assert found.decision is CONTRADICTED
    assert found.reason.startswith("time of")


def test_without_energy_claims_are_not_measured():
    bare = [
        replace(one, energy_gpu_net_b0_j=None, energy_j_per_sample=None, energy_scope="none")
        for one in as_in_the_study()
    ]
    found = claims(bare, absent={"gpu": "no NVIDIA driver here"})
    assert {found[f"C{number}"].decision for number in range(1, 9)} == {NOT_MEASURED}
    assert "no NVIDIA driver here" in found["C4"].reason


def test_a_processor_says_nothing_of_claims_about_gpus():
    found = claims(as_in_the_study(), device="cpu")
    assert {found[f"C{number}"].decision for number in range(1, 9)} == {NOT_MEASURED}
    assert "this run measured the CPU" in found["C1"].reason


def test_few_rounds_are_inconclusive_and_say_how_many_it_takes():
    trials = [one for one in as_in_the_study() if one.round <= 3]
    found = claims(trials)
    assert {found[f"C{number}"].decision for number in range(1, 8)} == {INCONCLUSIVE}
    assert "3 rounds, and a 95% interval takes 6" in found["C1"].reason


def test_invalid_trials_decide_nothing():
    trials = [
        replace(one, verdict=Verdict.INVALID) if one.runtime == "mxnet" else one for one in as_in_the_study()
    ]
    found = claims(trials)["C1"]
    assert found.decision is NOT_MEASURED
    assert "MXNet has no valid or doubtful trial" in found.reason


def test_energy_that_does_not_go_with_time_contradicts_the_eighth():
    trials = [replace(one, energy_gpu_net_b0_j=1 / one.energy_gpu_net_b0_j) for one in as_in_the_study()]
    assert claims(trials)["C8"].decision is CONTRADICTED
    assert claims(trials[:30])["C8"].decision is NOT_MEASURED


def test_too_few_cells_leave_the_eighth_open_however_well_they_agree():
    few = [one for model in MODELS for batch in BATCHES for one in cell("pytorch", model, batch)]
    claim = claims(few)["C8"]
    assert claim.decision is INCONCLUSIVE
    assert "rho 1.000" in claim.reason
    assert "medians of 6 cells" in claim.reason
    low, high = map(float, re.search(r"\((-?[\d.]+) to ([\d.]+)\)", claim.reason).groups())
    assert low < 0.9 <= high


def test_many_cells_that_agree_about_as_well_as_asked_leave_the_eighth_open():
    scatter = np.random.default_rng(8)
    factors = {one.cell_id: scatter.lognormal(0, 0.6) for one in as_in_the_study()}
    trials = [
        replace(one, energy_gpu_net_b0_j=one.energy_gpu_net_b0_j * factors[one.cell_id])
        for one in as_in_the_study()
    ]
    claim = claims(trials)["C8"]
    assert claim.decision is INCONCLUSIVE
    low, high = map(float, re.search(r"\(([\d.]+) to ([\d.]+)\)", claim.reason).groups())
    assert 0.5 < low < 0.9 <= high < 1


REFUSED = {"model": "bert_base", "reason": "Node (layer_0) has an invalid type."}


@pytest.mark.parametrize(
    ("ran", "refused", "decision"),
    [
        (["pytorch"], ["tensorflow", "mxnet"], REPRODUCED),
        (["pytorch", "tensorflow"], ["mxnet"], CONTRADICTED),
        (["pytorch"], ["tensorflow"], NOT_MEASURED),
        ([], ["pytorch"], CONTRADICTED),
        ([], ["tensorflow", "mxnet"], NOT_MEASURED),
    ],
)
def test_the_ninth_is_decided_by_what_ran_and_what_was_refused(ran, refused, decision):
    trials = [one for source in ran for one in onnx(source, "bert_base", 1, 1.0, rounds=2)]
    entries = tuple(REFUSED | {"source": source} for source in refused)
    found = claims(trials, refused_conversions=entries)["C9"]
    assert found.decision is decision
    for source in refused:
        assert "was refused (Node (layer_0) has an invalid type)" in found.reason, source


def test_a_conversion_that_crashed_was_not_refused():
    dead = [
        replace(one, verdict=Verdict.FAILED, throughput_samples_per_s=None, failure="killed by signal 9")
        for one in onnx("tensorflow", "bert_base", 1, 1.0)
    ]
    entries = (REFUSED | {"source": "mxnet"},)
    found = claims([*onnx("pytorch", "bert_base", 1, 1.0), *dead], refused_conversions=entries)["C9"]
    assert found.decision is INCONCLUSIVE
    assert "TensorFlow's did not run (killed by signal 9)" in found.reason


def test_the_ninth_holds_on_a_processor_too():
    trials = onnx("tensorflow", "bert_base", 1, 1.0, provider="cpu")
    assert claims(trials, device="cpu")["C9"].decision is CONTRADICTED
