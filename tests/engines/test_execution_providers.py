"""OpenVINO's execution provider, in the environment of its own build."""

import numpy as np
import pytest
from tests.engines.conftest import LENGTH

OPENVINO = "onnxruntime-openvino"
NODES_ELSEWHERE = {"resnet50": 0, "mobilenet_v2": 0, "bert_base": 12}
"""Nodes that OpenVINO leaves to the CPU provider: the IsNaN in each layer of PyTorch's export of BERT."""

LIMITS = {"fp32": (0.0, 1e-4), "fp16": (2e-5, 2e-2), "bf16": (2e-4, 1e-1)}
"""Smallest and largest relative error: below the smallest, float32 was computed in its place."""

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


def worst_error(output, reference):
    rows = len(reference)
    difference = np.linalg.norm((output - reference).reshape(rows, -1), axis=1)
    return float((difference / np.linalg.norm(reference.reshape(rows, -1), axis=1)).max())


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("model", LENGTH.keys() | {"resnet50", "mobilenet_v2"})
def test_openvino_computes_what_pytorch_does(model, precision, seeded, converted, outputs_of):
    _, reference = outputs_of("pytorch", model, weights_file=seeded(model)["path"])
    order = {"mode": "openvino", "precision": precision}
    said, found = outputs_of(OPENVINO, model, order=order, model_file=converted(model)["path"])
    if "error" in said:
        assert "which this one lacks" in said["text"]
        pytest.skip(said["text"])
    smallest, largest = LIMITS[precision]
    assert smallest <= worst_error(found["output"], reference["output"]) <= largest
    assert said["nodes"].get("CPUExecutionProvider", 0) == NODES_ELSEWHERE[model]
    assert said["nodes"]["OpenVINOExecutionProvider"] > 90
    assert said["flags"]["openvino.asked.inference_num_threads"] == said["flags"]["threads"] == "2"
    assert said["dtypes"].get("weights", "unknown") == ("float32" if precision == "fp32" else "unknown")


def test_kept_outputs_and_staged_inputs_live_on(converted, outputs_of):
    model_file = converted("mobilenet_v2")["path"]
    _, found = outputs_of(OPENVINO, "mobilenet_v2", order={"mode": "openvino"}, model_file=model_file)
    np.testing.assert_array_equal(found["kept"], found["output"])
    assert worst_error(found["flipped"], found["output"][::-1]) <= LIMITS["fp32"][1]


@pytest.mark.parametrize(
    ("runtime", "order", "text"),
    [
        (OPENVINO, {"mode": "openvino", "precision": "tf32"}, "use fp32 or fp16 or bf16"),
        (OPENVINO, {"mode": "openvino", "device": "cuda"}, "does not run on device 'cuda'; use 'cpu'"),
        (OPENVINO, {"mode": "cuda"}, "mode 'cuda' is not there"),
        ("onnxruntime", {"mode": "openvino"}, "mode 'openvino' is not there"),
    ],
)
def test_what_a_provider_does_not_do_is_refused(runtime, order, text, converted, outputs_of):
    model_file = converted("mobilenet_v2")["path"]
    said, _ = outputs_of(runtime, "mobilenet_v2", order=order, inputs="/dev/null", model_file=model_file)
    assert said["error"] == "UnsupportedError"
    assert text in said["text"]
