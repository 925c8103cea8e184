import json

import pytest
from typer.testing import CliRunner

from greenbench.cli import app
from greenbench.core.errors import ConfigurationError
from greenbench.report.comparison import compare, open_side

TORCH, ONNX = ":runtime=pytorch", ":runtime=onnxruntime"


def sides(a, b, tmp_path, **options):
    return compare(open_side(str(a), tmp_path), open_side(str(b), tmp_path), **options)


def test_two_selections_of_a_real_run_are_paired_by_round(kept, tmp_path):
    found = sides(f"{kept}{ONNX}", f"{kept}{TORCH}", tmp_path)
    cells = {cell.b: cell for cell in found.cells}
    cell = cells["pytorch.eager.bert_base.fp32.b64.l128"]
    assert cell.a == "onnxruntime.cuda.from-pytorch.bert_base.fp32.b64.l128"
    assert cell.energy.paired
    assert cell.energy.rounds_a == 2
    assert cell.energy.ratio == pytest.approx(0.98, abs=0.01)
    assert not cell.refused


def test_a_run_against_itself_is_one(kept, copy, tmp_path):
    for cell in sides(kept, copy.path, tmp_path).cells:
        if cell.energy:
            assert cell.energy.ratio == pytest.approx(1.0)
            assert not cell.energy.paired


def test_changing_a_figure_changes_its_ratio(kept, copy, tmp_path):
    copy.change(
        lambda trial: (
            trial["energy_j_per_sample"]
            and trial.update(energy_j_per_sample=1.2 * trial["energy_j_per_sample"])
        )
    )
    ratios = [cell.energy.ratio for cell in sides(kept, copy.path, tmp_path).cells if cell.energy]
    assert ratios
    assert ratios == pytest.approx([1.2] * len(ratios))


def test_another_gpu_is_refused_unless_told(kept, copy, tmp_path):
    gpu = json.loads((copy.path / "manifest.json").read_text())["gpu"]
    copy.manifest(gpu=gpu | {"name": "NVIDIA A100"})
    refused = sides(kept, copy.path, tmp_path)
    assert all("other GPUs: NVIDIA H100 80GB HBM3 and NVIDIA A100" in cell.refused for cell in refused.cells)
    assert not any(cell.energy or cell.time for cell in refused.cells)
    assert any(cell.energy for cell in sides(kept, copy.path, tmp_path, anyway=True).cells)


def test_other_scopes_clocks_and_precisions_are_refused_with_both_values(kept, copy, tmp_path):
    copy.change(lambda trial: trial.update(energy_scope="gpu+cpu", sm_clock_mean_hz=1.4e9))
    (cell, *_) = [cell for cell in sides(kept, copy.path, tmp_path).cells if "b64" in cell.b]
    assert "other energy scopes: gpu and gpu+cpu" in cell.refused
    assert any(reason.startswith("other clocks: ") and "1400 MHz" in reason for reason in cell.refused)
    modes = sides(
        f"{kept}:runtime=pytorch,precision=fp32", f"{kept}:runtime=pytorch,precision=tf32", tmp_path
    )
    assert all("other precisions: fp32 and tf32" in cell.refused for cell in modes.cells)


def test_a_run_without_energy_is_compared_by_time(kept, no_energy, tmp_path):
    for cell in sides(no_energy.path, no_energy.path, tmp_path).cells:
        assert cell.energy is None
        assert cell.time is None or cell.time.ratio == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (":colour=red", "colour cannot be chosen by; a selection knows runtime"),
        (":runtime=caffe", "no trial of .* is of that kind"),
    ],
)
def test_a_wrong_selection_is_one_line(kept, tmp_path, selection, said):
    with pytest.raises(ConfigurationError, match=said):
        open_side(f"{kept}{selection}", tmp_path)


def test_a_selection_that_leaves_two_cells_open_names_them(kept, tmp_path):
    with pytest.raises(ConfigurationError, match=r"leaves open which is meant: .*fp32.*tf32"):
        sides(f"{kept}:runtime=pytorch,precision=fp32", f"{kept}:runtime=pytorch", tmp_path)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_gates_exit_status_and_words(kept, copy):
    done = run("gate", "--baseline", kept, copy.path, "--max-regression", "5%")
    # The kept run has four ResNet-50 trials that were refused: nothing there can be let through.
    assert done.exit_code == 4
    assert "gate: invalid" in done.output
    narrow = f"{copy.path}:model=bert_base,batch_size=64,runtime=pytorch,precision=fp32"
    same = run("gate", "--baseline", narrow.replace(str(copy.path), str(kept)), narrow)
    assert same.exit_code in {0, 3}
    copy.change(
        lambda trial: (
            trial["energy_j_per_sample"]
            and trial.update(energy_j_per_sample=2 * trial["energy_j_per_sample"])
        )
    )
    worse = run("gate", "--baseline", narrow.replace(str(copy.path), str(kept)), narrow, "--json")
    found = json.loads(worse.output)
    assert (worse.exit_code, found["outcome"]) in {(1, "regressed"), (3, "inconclusive")}
    assert found["cells"][0]["contrast"]["ratio"] == pytest.approx(2.0)


@pytest.mark.parametrize("limit", ["fast", "0", "150%", "-5%"])
def test_a_wrong_limit_is_one_line(kept, limit):
    with pytest.raises(ConfigurationError, match=r"--max-regression .* is not a share above 0 and below 1"):
        run("gate", "--baseline", kept, kept, "--max-regression", limit)


def test_compare_prints_every_cell_and_what_is_missing(kept):
    done = run("compare", f"{kept}{ONNX}", f"{kept}{TORCH}")
    assert "bert_base" in done.output
    assert done.exit_code in {0, 1}
    shown = json.loads(run("compare", f"{kept}{ONNX}", f"{kept}{TORCH}", "--json").output)
    assert {cell["b"].split(".")[0] for cell in shown["cells"]} == {"pytorch"}


def test_a_gate_does_not_pass_on_time_what_lost_its_energy(kept, copy):
    copy.change(lambda trial: trial.update(energy_j_per_sample=None))
    narrow = ":model=bert_base,batch_size=64,runtime=pytorch,precision=fp32"
    done = run("gate", "--baseline", f"{kept}{narrow}", f"{copy.path}{narrow}")
    assert done.exit_code == 4
    assert "energy was measured on one side only" in done.output
