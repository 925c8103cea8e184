from dataclasses import replace

import pytest
from made_study import ROUNDS, as_in_the_study, cell, manifest, onnx

from greenbench.core.doubt import Verdict
from greenbench.report.statistics import Outcome
from greenbench.report.study import study_of
from greenbench.report.study.rows import COMPARISON_COLUMNS, claim_rows, comparison_rows
from greenbench.report.study.sentences import (
    claim_sentences,
    course_sentences,
    group_sentence,
    lacks_energy,
    notes_of,
    question_sentence,
)
from greenbench.results.events import plain


def told(trials, **values):
    return study_of(trials, manifest(**values))


def question(trials, name="RQ1", **values):
    return next(one for one in told(trials, **values).questions if one.name == name)


def only(trials, name="RQ1", **values):
    (group,) = question(trials, name, **values).groups
    return group


def pair(cost=0.77, **values):
    return [
        *cell("tensorflow", "resnet50", 64, 1.0, **values),
        *cell("pytorch", "resnet50", 64, cost, **values),
    ]


def test_a_sentence_says_who_uses_less_by_how_much_and_from_how_many_rounds():
    assert group_sentence(only(pair())) == (
        "resnet50, batch 64, fp32, cuda: PyTorch uses 23.1% (22.8 to 23.4) less energy per sample "
        "and takes 23.1% (22.8 to 23.4) less time than TensorFlow; 10 rounds."
    )


def test_one_changed_trial_changes_the_sentence():
    trials = pair(noise=0.02)
    before = group_sentence(only(trials))
    trials[0] = replace(trials[0], energy_j_per_sample=3 * trials[0].energy_j_per_sample)
    after = group_sentence(only(trials))
    assert before != after
    assert before.partition("takes")[2] == after.partition("takes")[2]


def test_the_same_within_5_percent_comes_with_what_could_be_seen():
    said = group_sentence(only(pair(1.0)))
    assert "PyTorch by energy per sample, where a difference of 0." in said
    assert "could be seen, is the same as TensorFlow within 5% (" in said


def test_an_open_comparison_says_what_could_be_seen_before_that_nothing_was():
    group = only(pair(1.0, noise=0.2))
    assert group.findings[0].energy.outcome is Outcome.OPEN
    said = group_sentence(group)
    assert "PyTorch by energy per sample, where a difference of " in said
    assert "could be seen, cannot be told from TensorFlow (" in said
    assert said.index("could be seen") < said.index("cannot be told")
    assert group.findings[0].energy.difference.smallest_ratio > 1.1


def test_both_ways_are_said_apart():
    trials = [
        replace(one, throughput_samples_per_s=one.throughput_samples_per_s / 3)
        if one.runtime == "pytorch"
        else one
        for one in pair()
    ]
    assert "less energy per sample and takes 130.8% (129.8 to 131.6) more time than" in group_sentence(
        only(trials)
    )


def test_more_is_said_as_more():
    assert "PyTorch uses 49.9% (49.2 to 50.4) more" in group_sentence(only(pair(1.5)))


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_few_rounds_decide_nothing_and_say_what_they_could_see(rounds):
    said = group_sentence(only(pair(rounds=rounds)))
    assert "less energy per sample and" in said
    assert "which decides nothing (a 95% interval takes 6 rounds, Student's t could see " in said
    assert said.endswith(f"; {rounds} rounds.")


def test_one_round_has_not_even_that():
    said = group_sentence(only(pair(rounds=1)))
    assert "which decides nothing (a 95% interval takes 6 rounds); 1 round." in said


def test_one_runtime_answers_nothing_and_says_what_it_takes():
    found = told(cell("pytorch", "resnet50", 1))
    assert [one.groups for one in found.questions] == [(), (), ()]
    assert question_sentence(found.questions[0]) == (
        "RQ1. Do the frameworks differ? Not measured: "
        "it takes two frameworks that run one model at one batch size."
    )


def test_several_pairs_without_energy_say_the_reason_once_and_doubts_once():
    three = [*pair(), *cell("mxnet", "resnet50", 64, 1.2)]
    bare = [
        replace(
            one,
            energy_gpu_net_b0_j=None,
            energy_j_per_sample=None,
            energy_scope="none",
            verdict=Verdict.DOUBTFUL,
        )
        for one in three
    ]
    group = only(bare, absent={"gpu": "no NVIDIA driver here"})
    said = group_sentence(group)
    assert said.count("no NVIDIA driver here") == 1
    assert lacks_energy(group)
    assert "no energy" not in group_sentence(group, told=True)
    assert group_sentence(group, told=True).count(" time than ") == len(group.findings) == 3
    assert [note for note in notes_of(group) if note.startswith("rests on")] == [
        "rests on doubtful trials of TensorFlow and PyTorch and MXNet"
    ]


def test_without_energy_time_answers_and_the_reason_is_said():
    bare = [
        replace(one, energy_gpu_net_b0_j=None, energy_j_per_sample=None, energy_scope="none")
        for one in pair()
    ]
    found = question(bare, absent={"gpu": "no NVIDIA driver here"})
    assert group_sentence(found.groups[0]) == (
        "resnet50, batch 64, fp32, cuda: PyTorch takes 23.1% (22.8 to 23.4) less time than TensorFlow "
        "(no energy is compared: TensorFlow has no energy per sample: no NVIDIA driver here); 10 rounds."
    )
    assert "Energy was not compared; time: of 1 comparison 1 different." in question_sentence(found)


def test_energies_of_other_scopes_are_not_compared():
    trials = [replace(one, energy_scope="gpu+cpu") if one.runtime == "pytorch" else one for one in pair()]
    (finding,) = only(trials).findings
    assert "energies cover other domains: TensorFlow gpu, PyTorch gpu+cpu" in finding.energy.absent
    assert finding.time.outcome is Outcome.LOWER


def test_net_energy_that_is_not_above_nothing_has_no_ratio():
    trials = pair()
    trials[0] = replace(trials[0], energy_gpu_net_b0_j=-0.1)
    (finding,) = only(trials).findings
    assert (
        finding.energy_net.absent
        == "energy per sample net of idle of TensorFlow is not above 0 in 1 of 10 trials"
    )
    assert finding.energy.outcome is Outcome.LOWER


def test_invalid_and_failed_trials_are_left_out_and_said():
    trials = pair()
    trials[0] = replace(trials[0], verdict=Verdict.INVALID, energy_j_per_sample=1000.0)
    trials[1] = replace(
        trials[1], verdict=Verdict.FAILED, energy_j_per_sample=None, throughput_samples_per_s=None
    )
    trials[2] = replace(trials[2], verdict=Verdict.DOUBTFUL)
    group = only(trials)
    assert group.findings[0].energy.difference.pairs == ROUNDS - 2
    assert notes_of(group) == (
        "rests on doubtful trials of TensorFlow",
        "2 of 10 trials of TensorFlow are invalid or failed and left out",
    )
    gone = [replace(one, verdict=Verdict.INVALID) if one.runtime == "pytorch" else one for one in pair()]
    assert "cannot be compared (PyTorch has no valid or doubtful trial)" in group_sentence(only(gone))


def test_only_a_windows_last_attempt_counts():
    trials = pair()
    again = replace(trials[0], attempt=2, energy_j_per_sample=trials[0].energy_j_per_sample)
    spoilt = replace(trials[0], energy_j_per_sample=1000.0)
    assert group_sentence(only([spoilt, again, *trials[1:]])) == group_sentence(only(trials))


def test_conversion_is_compared_with_its_own_framework():
    trials = [
        *cell("pytorch", "resnet50", 64, 1.0),
        *cell("tensorflow", "resnet50", 64, 2.0),
        *onnx("pytorch", "resnet50", 64, 1.1),
        *onnx("tensorflow", "resnet50", 64, 1.1),
    ]
    found = {(one.a, one.b): one.energy.difference.ratio for one in only(trials, "RQ2").findings}
    assert found == {
        ("PyTorch", "ONNX Runtime CUDA from PyTorch"): pytest.approx(1.1, rel=0.02),
        ("TensorFlow", "ONNX Runtime CUDA from TensorFlow"): pytest.approx(0.55, rel=0.02),
    }


def test_providers_are_compared_on_a_gpu_and_on_a_processor():
    on_gpu = [*onnx("mxnet", "resnet50", 1, 1.0), *onnx("mxnet", "resnet50", 1, 0.7, provider="tensorrt")]
    on_cpu = [
        replace(one, device="cpu")
        for mode, cost in (("cpu", 1.0), ("openvino", 0.7))
        for one in onnx("mxnet", "resnet50", 1, cost, provider=mode)
    ]
    assert only(on_gpu, "RQ3").findings[0].b == "ONNX Runtime TensorRT from MXNet"
    assert only(on_cpu, "RQ3", device="cpu").findings[0].b == "ONNX Runtime OpenVINO from MXNet"


def test_a_framework_stands_in_its_usual_mode():
    trials = [*pair(), *cell("pytorch", "resnet50", 64, 0.1, mode="compile")]
    assert "23.1%" in group_sentence(only(trials))
    lone = [*cell("tensorflow", "resnet50", 64), *cell("pytorch", "resnet50", 64, 0.1, mode="compile")]
    assert "90.0%" in group_sentence(only(lone))


def test_several_at_once_are_tested_at_once_and_corrected_for():
    found = question(as_in_the_study())
    assert len(found.groups) == 6
    assert all(group.friedman_energy.p < 0.01 for group in found.groups)
    assert "all at once (Friedman): energy p below 0.001" in group_sentence(found.groups[0])
    one = found.findings[0]
    # 18 comparisons are one family; ten rounds of one sign have p 2 / 2**10.
    assert one.energy.difference.p == pytest.approx(2 / 2**10)
    assert one.energy.p_holm == pytest.approx(18 * 2 / 2**10, rel=0.2)


def test_what_does_not_stand_the_correction_is_said():
    trials = [made for size in range(1, 5) for name in ("tensorflow", "pytorch") for made in cell(
        name, "resnet50", size, 1.0 if name == "tensorflow" else 0.8, rounds=6)]  # fmt: skip
    found = question(trials)
    assert all(one.energy.outcome is Outcome.LOWER for one in found.findings)
    assert all(one.energy.p_holm == pytest.approx(4 * 2 / 2**6) for one in found.findings)
    assert "energy of PyTorch and TensorFlow does not stand Holm's correction (p 0.125)" in notes_of(
        found.groups[0]
    )


def test_energy_goes_with_time_and_nothing_drifts():
    found = told(as_in_the_study())
    assert found.energy_time.rho > 0.99
    assert found.energy_time.points == 54
    assert course_sentences(found)[0].startswith(
        "energy per sample and time per sample over cells: Spearman's rho 1.00"
    )


def test_a_cost_that_grows_with_the_position_is_found():
    trials = [
        replace(one, energy_j_per_sample=1 + one.position / 100, throughput_samples_per_s=1.0)
        for one in pair()
    ]
    found = told(trials)
    assert found.energy_drift.rho == pytest.approx(1)
    assert found.time_drift is None


def test_rows_hold_every_comparison_and_claim_as_plain_values():
    found = told(pair())
    rows = list(comparison_rows(found))
    assert [row["quantity"] for row in rows] == ["energy", "energy_net_b0", "time"]
    assert all(tuple(row) == COMPARISON_COLUMNS for row in rows)
    assert rows[0]["low"] < rows[0]["ratio"] < rows[0]["high"] < 1
    assert rows[0]["t_ratio"] == pytest.approx(rows[0]["ratio"], rel=0.01)
    assert [row["claim"] for row in claim_rows(found)] == [f"C{number}" for number in range(1, 10)]
    assert (
        plain(found)["questions"][0]["groups"][0]["findings"][0]["energy"]["difference"]["outcome"] == "lower"
    )


def test_claims_that_share_a_reason_share_a_line():
    lines = claim_sentences(told(pair(), device="cpu").claims)
    assert lines[0].startswith(
        "C1, C2, C3, C4, C5, C6, C7, C8 not measured: the study's claims are about a GPU"
    )
    assert len(lines) == 2


def test_drift_counts_loads_and_claims_no_interval():
    trials = pair()
    windows = [*trials, *(replace(one, window=2, trial_id=f"{one.trial_id}.2") for one in trials)]
    found = told(windows).energy_drift
    assert found.points == len(trials)
    assert (found.low, found.high, found.p) == (None, None, None)


def test_energy_without_an_idle_baseline_says_so():
    (finding,) = only([replace(one, energy_gpu_net_b0_j=None) for one in pair()]).findings
    assert finding.energy_net.absent.endswith("no idle baseline (B0) was kept for it")
    assert finding.energy.outcome is Outcome.LOWER


def test_native_networks_are_never_compared_with_matched_ones():
    native = [
        replace(one, weights="native", cell_id=f"{one.cell_id}.native")
        for one in (*cell("pytorch", "resnet50", 64), *cell("mxnet", "resnet50", 64))
    ]
    matched = cell("tensorflow", "resnet50", 64)
    (group,) = question([*native, *matched]).groups
    (finding,) = group.findings
    assert {finding.cell_a, finding.cell_b} == {
        "pytorch.eager.resnet50.fp32.b64.native", "mxnet.hybrid.resnet50.fp32.b64.native",
    }  # fmt: skip
    assert "native weights" in group.setting


def test_several_that_nothing_is_decided_of_say_so_once():
    three = [*pair(rounds=2), *cell("jax", "resnet50", 64, 0.9, rounds=2)]
    said = group_sentence(only(three))
    assert said.count(" came to ") == 3
    assert said.count("decides nothing") == said.count("Student's t could see ") == 1
    assert " at best and " in said
