from pathlib import Path

import numpy as np
import pytest

PARAMETERS = {"resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "bert_base": 108_891_648}
LIMIT = 1e-4

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


def worst_error(output, reference):
    rows = len(reference)
    difference = np.linalg.norm((output - reference).reshape(rows, -1), axis=1)
    return float((difference / np.linalg.norm(reference.reshape(rows, -1), axis=1)).max())


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("model", PARAMETERS)
def test_onnxruntime_computes_what_pytorch_does(model, rows, seeded, converted, outputs_of):
    mine, reference = outputs_of("pytorch", model, rows, weights_file=seeded(model)["path"])
    theirs, output = outputs_of("onnxruntime", model, rows, model_file=converted(model)["path"])
    assert mine["parameters"] == theirs["parameters"] == PARAMETERS[model]
    assert worst_error(output["output"], reference["output"]) <= LIMIT
    assert list(output["output"].shape) == mine["outputs"][0] == theirs["outputs"][0]
    assert 0.1 < reference["output"].std() < 10
    assert theirs["nodes"].keys() == {"CPUExecutionProvider"}
    assert mine["flags"]["threads"] == theirs["flags"]["threads"] == "2"
    assert not theirs["torch_imported"]


@pytest.mark.parametrize("runtime", ["pytorch", "onnxruntime"])
def test_kept_outputs_are_not_overwritten(runtime, seeded, converted, outputs_of):
    files = {"weights_file": seeded("mobilenet_v2")["path"], "model_file": converted("mobilenet_v2")["path"]}
    _, found = outputs_of(runtime, "mobilenet_v2", **files)
    np.testing.assert_array_equal(found["kept"], found["output"])
    assert worst_error(found["flipped"], found["output"][::-1]) <= LIMIT
    assert worst_error(found["flipped"], found["output"]) > LIMIT


def test_one_perturbed_weight_is_caught(tmp_path, drive, seeded, converted, outputs_of):
    changed = tmp_path / "mobilenet_v2.safetensors"
    drive(
        "pytorch", "rename", weights_file=seeded("mobilenet_v2")["path"], to=changed,
        tensor="features.0.0.weight", **{"as": "perturbed"},
    )  # fmt: skip
    _, wrong = outputs_of("pytorch", "mobilenet_v2", weights_file=changed)
    _, right = outputs_of("onnxruntime", "mobilenet_v2", model_file=converted("mobilenet_v2")["path"])
    assert worst_error(right["output"], wrong["output"]) > 10 * LIMIT


@pytest.mark.parametrize("runtime", ["pytorch", "onnxruntime"])
def test_what_lies_under_the_mask_does_not_matter(runtime, tmp_path, golden, seeded, converted, outputs_of):
    files = {"weights_file": seeded("bert_base")["path"], "model_file": converted("bert_base")["path"]}
    inputs = dict(np.load(golden("bert_base")))
    visible = inputs["attention_mask"] == 1
    assert not visible.all()
    changed = {
        "input_ids": np.where(visible, inputs["input_ids"], 2000),
        "attention_mask": inputs["attention_mask"],
    }
    np.savez(tmp_path / "changed.npz", **changed)
    np.savez(
        tmp_path / "unmasked.npz", **(changed | {"attention_mask": np.ones_like(changed["attention_mask"])})
    )
    _, plain = outputs_of(runtime, "bert_base", **files)
    _, padded = outputs_of(runtime, "bert_base", inputs=tmp_path / "changed.npz", **files)
    _, unmasked = outputs_of(runtime, "bert_base", inputs=tmp_path / "unmasked.npz", **files)
    assert worst_error(padded["output"][visible], plain["output"][visible]) <= LIMIT
    assert worst_error(unmasked["output"][visible], plain["output"][visible]) > 10 * LIMIT


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07\x12\x00"])
def test_a_foreign_onnx_file_is_one_line(content, tmp_path, outputs_of):
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(content)
    said, _ = outputs_of("onnxruntime", "resnet50", model_file=foreign)
    assert said["error"] == "InvalidRequestError"
    assert "foreign.onnx" in said["text"]
    assert "\n" not in said["text"]


def test_another_models_onnx_file_is_refused(converted, outputs_of):
    said, _ = outputs_of("onnxruntime", "bert_base", model_file=converted("mobilenet_v2")["path"])
    assert said["error"] == "InvalidRequestError"


@pytest.mark.parametrize(
    ("runtime", "order", "error"),
    [
        ("pytorch", {"precision": "tf32"}, "UnsupportedError"),
        ("mxnet", {"precision": "fp16"}, "UnsupportedError"),
        ("onnxruntime", {"precision": "fp16"}, "UnsupportedError"),
        ("pytorch", {"precision": "fp8"}, "InvalidRequestError"),
        ("pytorch", {"mode": "turbo"}, "UnsupportedError"),
        ("pytorch", {"model": "alexnet"}, "UnknownModelError"),
        ("pytorch", {"batch_size": 0}, "InvalidRequestError"),
        ("pytorch", {"sequence_length": 8}, "InvalidRequestError"),
        ("pytorch", {"weights": "naive"}, "UnsupportedError"),
        ("onnxruntime", {"precision": "tf32"}, "UnsupportedError"),
        ("onnxruntime", {"mode": "tensorrt"}, "UnsupportedError"),
        ("onnxruntime", {"model": "alexnet"}, "UnknownModelError"),
    ],
)
def test_an_order_that_can_not_work_is_refused(runtime, order, error, seeded, converted, outputs_of):
    files = {"weights_file": seeded("mobilenet_v2")["path"], "model_file": converted("mobilenet_v2")["path"]}
    said, _ = outputs_of(runtime, "mobilenet_v2", order=order, inputs="/dev/null", **files)
    assert said["error"] == error
    assert str(next(iter(order.values()))) in said["text"]


def test_the_kernels_that_ran_tell_the_same_provider_as_the_session_does(converted, drive):
    order = {"model": "mobilenet_v2", "batch_size": 2, "mode": "cpu", "threads": 2}
    counted = drive("onnxruntime", "assigned", order=order, model_file=converted("mobilenet_v2")["path"])
    assert set(counted["told"]) == set(counted["ran"]) == {"CPUExecutionProvider"}
    assert 50 <= counted["ran"]["CPUExecutionProvider"] <= counted["told"]["CPUExecutionProvider"]  # fused


def test_a_conversion_is_stamped_with_the_file_format_that_its_opset_came_with(converted):
    made = converted("mobilenet_v2")
    ir_version = {18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}[made["opset"]]
    assert Path(made["path"]).read_bytes()[:2] == bytes([1 << 3, ir_version])  # its first field


@pytest.mark.parametrize("on_host", [False, True])
def test_an_output_has_its_place_for_as_long_as_somebody_holds_it(on_host, golden, converted, drive):
    order = {"model": "mobilenet_v2", "batch_size": 8, "mode": "cpu", "threads": 2}
    said = drive(
        "onnxruntime", "places", order=order, model_file=converted("mobilenet_v2")["path"],
        inputs=golden("mobilenet_v2"), on_host=on_host,
    )  # fmt: skip
    assert said["none"] == 2
    assert said["held"] == said["three"] == said["after"] == 4
    assert said["fresh"] == 1
    assert said["same"]
