"""One run beside another: what differs, what each run shows of it, and what is refused."""

import csv
import json
import math
from types import SimpleNamespace

import pytest
from tests.results.conftest import manifest, trial
from typer.testing import CliRunner

from greenbench.cli import app
from greenbench.core.doubt import Verdict
from greenbench.core.trial import Baseline
from greenbench.report.corrections import conditions_of, evidence_of
from greenbench.report.corrections.pairs import between, within
from greenbench.report.document import read_document
from greenbench.report.statistics import slope


def counted(number=1, **values):
    base = {
        "load_id": f"r{number:02d}.c", "round": number, "samples": 100.0, "duration_s": 10.0,
        "device": "cuda", "energy_j_per_sample": 1.0, "throughput_samples_per_s": 10.0,
        "energy_scope": "gpu", "energy_gpu_j": 100.0,
    }  # fmt: skip
    return trial(**(base | values))


def document(*trials, baselines=(), order=("r01.c",), **protocol):
    made = manifest(order=order)
    suite = made.suite | {"protocol": dict(made.suite["protocol"]) | protocol}
    return SimpleNamespace(
        manifest=made.model_copy(update={"suite": suite}), trials=trials, baselines=baselines
    )


def idle(at_s, watts):
    return Baseline(
        kind="B0", load_id=None, domain="gpu", begin_ns=int(at_s * 1e9), end_ns=int((at_s + 5) * 1e9),
        power_w=watts, standard_error_w=0.1, settled=True,
    )  # fmt: skip


def differing(a, b):
    return {one.name: (one.a, one.b) for one in conditions_of(a, b) if one.differs}


def test_conditions_are_read_from_what_was_stored():
    ours = document(counted(), baselines=[idle(0, 70.0), idle(600, 71.0)])
    theirs = document(
        counted(weights="native"), baselines=[idle(0, 70.0)], order=("r01.c",), gpu_energy="polled",
        cpu_meter="pyrapl",
    )  # fmt: skip
    assert differing(ours, theirs) == {
        "weights": ("matched, seeded", "native, seeded"),
        "GPU energy": ("the board's own counter", "power polled and integrated"),
        "idle baseline": ("2 baselines of 5 s, interpolated in time", "one of 5 s"),
    }


def test_a_fixed_order_and_a_meter_of_the_cpu_are_conditions():
    ours, theirs = (
        document(counted(energy_cpu_j=1.0)),
        document(counted(energy_cpu_j=1.0), cpu_meter="pyrapl"),
    )
    fixed = document(counted(energy_cpu_j=1.0), cpu_meter="pyrapl")
    fixed.manifest.suite["protocol"]["order"] = "fixed"
    assert differing(ours, theirs) == {"CPU energy": ("powercap", "pyrapl")}
    assert set(differing(theirs, fixed)) == {"order"}


def test_energy_that_neither_measured_is_no_difference():
    why = [{"domain": "gpu", "reason": reason} for reason in ("no driver", "no library")]
    ours, theirs = (
        document(counted(energy_gpu_j=None, energy_scope="none", absent=(SimpleNamespace(**one),)))
        for one in why
    )
    assert differing(ours, theirs) == {}


def told(found):
    return {(one.correction, one.quantity): one for one in found}


def test_a_run_with_both_weights_shows_what_they_change():
    trials = [
        counted(
            number,
            cell_id=weights,
            weights=weights,
            energy_j_per_sample=joules,
            throughput_samples_per_s=rate,
        )
        for number in (1, 2)
        for weights, joules, rate in (("matched", 1.0, 10.0), ("native", 1.2, 8.0))
    ]
    found = told(evidence_of(document(*trials)))
    assert found["weights", "J/sample"].ratio == pytest.approx(1.2)
    assert found["weights", "seconds/sample"].ratio == pytest.approx(1.25)
    assert found["weights", "J/sample"].what == "native instead of matched"


def test_invalid_trials_show_nothing():
    trials = [
        counted(cell_id=weights, weights=weights, verdict=Verdict.INVALID)
        for weights in ("matched", "native")
    ]
    assert evidence_of(document(*trials)) == ()


def test_the_integral_of_polled_power_is_set_against_the_counter():
    trials = [
        counted(cell_id=cell, runtime=cell, counter_over_integral=ratio)
        for cell, ratio in (("a", 1.02), ("b", 0.98))
    ]
    (found,) = evidence_of(document(*trials))
    assert found.ratio == pytest.approx(1 / math.sqrt(1.02 * 0.98))
    assert (found.low, found.high, found.cells) == (pytest.approx(1 / 1.02), pytest.approx(1 / 0.98), 2)


def test_a_run_that_polled_has_no_counter_to_set_against_it():
    assert evidence_of(document(counted(counter_over_integral=1.02), gpu_energy="polled")) == ()


def test_the_first_baseline_alone_is_set_against_all_of_them():
    # Gross 100 J in 10 s; net of 5 W, interpolated, 50 J; net of the first one's 4 W 60 J: 20% more.
    one = counted(energy_gpu_net_b0_j=50.0, samples=100.0, energy_j_per_sample=1.0)
    (found,) = evidence_of(document(one, baselines=[idle(0, 4.0), idle(100, 6.0)]))
    assert found.correction == "idle baseline"
    assert found.ratio == pytest.approx(60 / 50)
    assert evidence_of(document(one, baselines=[idle(0, 4.0)])) == ()


def test_the_place_in_a_round_is_told_where_the_order_was_shuffled():
    cells, order, trials = list("abcde"), [], []
    for number in (1, 2, 3):
        turned = cells[number:] + cells[:number]
        for place, cell in enumerate(turned):
            order.append(f"r{number:02d}.{cell}")
            trials.append(
                counted(
                    number, cell_id=cell, runtime=cell, load_id=order[-1], position=len(order) - 1,
                    energy_j_per_sample=ord(cell) * math.exp(0.04 * place / 4), throughput_samples_per_s=10.0,
                )
            )  # fmt: skip
    found = told(evidence_of(document(*trials, order=tuple(order))))
    assert found["order", "J/sample"].ratio == pytest.approx(math.exp(0.04))
    assert found["order", "seconds/sample"].ratio == pytest.approx(1.0)
    fixed = document(*trials, order=tuple(order))
    fixed.manifest.suite["protocol"]["order"] = "fixed"
    assert evidence_of(fixed) == ()  # what is the cell's and what is the place's cannot be told apart


def test_a_slope_takes_eight_points():
    points = [1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 9.0, 12.0]
    assert slope(points, [3 * x + 1 for x in points[:7]] + [500.0]) == pytest.approx(3.0)
    assert slope(points[:7], points[:7]) is None
    assert slope([1.0] * 8, points) is None


def test_cells_are_paired_by_what_they_are_and_else_by_what_is_left():
    ours = [counted(cell_id="m", energy_j_per_sample=1.0)]
    theirs = [counted(cell_id="n", weights="native", energy_j_per_sample=1.5)]
    (pair,) = between(ours, theirs)
    assert (pair.a, pair.b) == ("matched, fp32", "native, fp32")
    assert pair.energy.ratio == pytest.approx(1.5)
    tf32 = counted(cell_id="t", weights="native", precision="tf32")
    assert [one.b for one in between(ours, [*theirs, tf32])] == ["native, fp32"]
    bf16 = counted(cell_id="b", weights="native", precision="bf16")
    assert between(ours, [tf32, bf16]) == ()  # which of them answers which would be a guess


def test_energies_of_other_domains_or_of_no_trial_are_no_pair():
    ours, theirs = [counted()], [counted(energy_scope="gpu+cpu")]
    assert between(ours, theirs)[0].note == "energies cover other domains: gpu and gpu+cpu"
    assert between(ours, theirs)[0].time.ratio == pytest.approx(1.0)
    void = [counted(verdict=Verdict.INVALID)]
    assert between(void, ours)[0].note == "no trial of the first is valid or doubtful"
    assert between(ours, void)[0].energy is None


def test_precisions_of_one_run_are_paired_round_by_round():
    trials = [
        counted(number, cell_id=precision, precision=precision, energy_j_per_sample=joules * number)
        for number in (1, 2)
        for precision, joules in (("fp32", 4.0), ("tf32", 1.0))
    ]
    (pair,) = within(trials, "precision")
    assert pair.energy.paired
    assert pair.energy.ratio == pytest.approx(0.25)


def run(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture
def slower(copy):
    """The kept run under another name, each trial at 10% more joules and native weights."""

    def edit(one):
        one["weights"] = "native"
        if one["energy_j_per_sample"] is not None:
            one["energy_j_per_sample"] *= 1.1

    copy.change(edit)
    held = json.loads((copy.path / "manifest.json").read_text())
    suite = held["suite"] | {"name": "study-as-published"}
    copy.manifest(
        run_id="published", suite=suite | {"protocol": suite["protocol"] | {"gpu_energy": "polled"}}
    )
    return copy


def test_two_runs_are_told_side_by_side_in_the_terminal_and_in_every_file(kept, slower, tmp_path):
    done = run(kept, slower.path)
    assert done.exit_code == 0, done.output
    assert "study-as-published beside h100:" in done.output
    assert "They differ in weights and GPU energy." in done.output
    written = run(kept, slower.path, "--csv", tmp_path / "t.csv", "--md", tmp_path / "t.md")
    assert written.exit_code == 0, written.output
    rows = list(csv.DictReader((tmp_path / "t-corrections.csv").read_text().splitlines()))
    ratios = [
        float(row["ratio"])
        for row in rows
        if row["part"] == "cell" and row["quantity"] == "energy" and row["ratio"]
    ]
    assert ratios == pytest.approx([1.1] * len(ratios))
    assert len(ratios) == 7
    assert "## study-as-published beside h100" in (tmp_path / "t.md").read_text()


def test_one_run_alone_has_nothing_beside_it(kept, tmp_path):
    assert "beside" not in run(kept).output
    run(kept, "--csv", tmp_path / "t.csv")
    assert not (tmp_path / "t-corrections.csv").exists()


def test_runs_of_other_gpus_are_beside_each_other_without_figures(kept, slower):
    held = json.loads((slower.path / "manifest.json").read_text())
    slower.manifest(gpu=held["gpu"] | {"name": "NVIDIA L4"})
    done = run(kept, slower.path)
    assert "Their figures are not compared: other GPUs: NVIDIA H100 80GB HBM3 and NVIDIA L4" in done.output
    assert "J/sample," not in done.output.split("study-as-published beside h100:")[1].replace("change", "")


def test_a_kept_run_shows_what_its_counter_and_its_order_change(kept):
    found = told(evidence_of(read_document(kept)))
    assert found["GPU energy", "J of the GPU"].ratio == pytest.approx(1.0, abs=0.01)
    assert found["order", "J/sample"].cells == 7
