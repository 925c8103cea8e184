"""Each framework's own zoo network: made, loaded, converted and proven against its origin."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from greenbench.bench.parity import compare

pytestmark = pytest.mark.runtime

ZOOS = ("tensorflow", "mxnet")
VISION = ("resnet50", "mobilenet_v2")
PARAMETERS = {
    # Keras' ResNet-50 and MXNet's v1 have biases in convolutions. MXNet's MobileNetV2 has no bias in its
    # classifier (1,000 less) and expands in its first block, too (32 x 32 weights and a norm of 2 x 32 more).
    ("tensorflow", "resnet50"): 25_583_592,
    ("tensorflow", "mobilenet_v2"): 3_504_872,
    ("mxnet", "resnet50"): 25_575_912,
    ("mxnet", "mobilenet_v2"): 3_504_960,
}


@pytest.fixture(scope="module")
def native(tmp_path_factory, drive, golden):
    made = {}

    def make(runtime, model):
        if (runtime, model) not in made:
            outbox = tmp_path_factory.mktemp("native")
            made[runtime, model] = drive(
                runtime, "prepare", model=model, seed=7, calibration=golden(model), outbox=outbox
            )
        return made[runtime, model]

    return make


@pytest.mark.parametrize("runtime", ZOOS)
@pytest.mark.parametrize("model", VISION)
def test_a_native_network_agrees_with_its_own_conversion(runtime, model, native, drive, outputs_of, tmp_path):
    made = native(runtime, model)
    order = {"weights": "native"}
    said, own = outputs_of(runtime, model, weights_file=made["path"], order=order)
    onnx = drive(
        runtime, "convert", model=model, weights_file=made["path"], sequence_length=0, outbox=tmp_path
    )
    again, converted = outputs_of("onnxruntime", model, model_file=onnx["path"], order=order)

    assert said["parameters"] == again["parameters"] == made["parameters"] == PARAMETERS[runtime, model]
    counted = drive(runtime, "count", model_file=onnx["path"])
    assert said["flops"] == again["flops"] == counted["flops"]
    parity = compare(converted["output"], own["output"], precision="fp32")
    assert parity.passed, parity.sentence
    assert parity.top1_agreement == 1.0
    assert 0.05 < own["output"].std(axis=1).min() < 20.0


@pytest.mark.parametrize("runtime", ZOOS)
def test_native_weights_are_the_seeds_bytes(runtime, native, drive, golden, tmp_path):
    again = drive(
        runtime, "prepare", model="mobilenet_v2", seed=7, calibration=golden("mobilenet_v2"), outbox=tmp_path
    )
    first, second = (load_file(made["path"]) for made in (native(runtime, "mobilenet_v2"), again))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("runtime", ZOOS)
def test_bert_is_absent_with_the_reason(runtime, drive, golden, tmp_path):
    said = drive(
        runtime, "prepare", model="bert_base", seed=7, calibration=golden("bert_base"), outbox=tmp_path
    )
    assert said["error"] == "UnsupportedError"
    assert {"tensorflow": "transformers", "mxnet": "gluonnlp"}[runtime] in said["text"]


def changed(path, to, change):
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    name = next(name for name in sorted(tensors) if tensors[name].ndim > 1)
    if change == "missing":
        del tensors[name]
    else:
        tensors[name] = tensors[name][..., :1].copy()
    save_file(tensors, to, metadata=metadata)
    return name


@pytest.mark.parametrize("runtime", ZOOS)
@pytest.mark.parametrize("change", ["missing", "misshapen"])
def test_a_missing_or_misshapen_native_tensor_is_named(runtime, change, native, outputs_of, tmp_path):
    path = tmp_path / "changed.safetensors"
    name = changed(native(runtime, "mobilenet_v2")["path"], path, change)
    said, _ = outputs_of(runtime, "mobilenet_v2", weights_file=path, order={"weights": "native"})
    assert said["error"] == "InvalidRequestError"
    assert name in said["text"]
    assert "\n" not in said["text"]


@pytest.mark.parametrize("runtime", ZOOS)
def test_weights_of_another_network_are_refused_by_name(runtime, native, seeded, outputs_of):
    order = {"weights": "native"}
    canonical = seeded("mobilenet_v2")["path"]
    said, _ = outputs_of(runtime, "mobilenet_v2", weights_file=canonical, order=order)
    assert "canonical weights" in said["text"]
    other = native(runtime, "resnet50")["path"]
    said, _ = outputs_of(runtime, "mobilenet_v2", weights_file=other, order=order)
    assert said["error"] == "InvalidRequestError"
    assert "resnet50" in said["text"].lower()
    said, _ = outputs_of(runtime, "mobilenet_v2", weights_file=native(runtime, "mobilenet_v2")["path"])
    assert said["error"] == "InvalidRequestError"


@pytest.mark.parametrize("runtime", ZOOS)
def test_a_corrupt_native_file_is_one_clear_line(runtime, native, outputs_of, tmp_path):
    path = tmp_path / "torn.safetensors"
    path.write_bytes(Path(native(runtime, "mobilenet_v2")["path"]).read_bytes()[:100_000])
    said, _ = outputs_of(runtime, "mobilenet_v2", weights_file=path, order={"weights": "native"})
    assert said["error"] == "InvalidRequestError"
    assert "torn.safetensors is not a whole safetensors file" in said["text"]


def test_jax_has_no_zoo_and_says_so(seeded, outputs_of):
    path = seeded("mobilenet_v2")["path"]
    said, _ = outputs_of("jax", "mobilenet_v2", weights_file=path, order={"weights": "native"})
    assert said["error"] == "UnsupportedError"
    assert "native" in said["text"]
