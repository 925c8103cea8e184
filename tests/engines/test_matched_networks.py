"""Every runtime that builds the networks itself, by the catalogue: the same weights, the same outputs."""

from pathlib import Path

import numpy as np
import pytest

from greenbench.fleet.catalog import read_catalog

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {"resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "bert_base": 108_891_648}
LIMITS = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
FLOORS = {"fp16": 2e-5, "bf16": 2e-4}
DTYPES = {"fp16": "float16", "bf16": "bfloat16"}

CATALOGUE = read_catalog(ROOT / "runtimes" / "catalog.toml")
OTHERS = [spec for spec in CATALOGUE.values() if not spec.sources and not spec.owns_reference]
MODES = [(spec.name, mode) for spec in OTHERS for mode in spec.modes_on("cpu")]
BUILDERS = [
    (spec.name, mode) for spec in CATALOGUE.values() if not spec.sources for mode in spec.modes_on("cpu")
]
HALVED = [
    (name, mode, precision)
    for name, mode in BUILDERS
    for precision in DTYPES
    if precision in CATALOGUE[name].devices["cpu"].precisions
]
NAMES = [spec.name for spec in OTHERS]

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def reference(tmp_path_factory, drive, golden, seeded):
    """Return PyTorch's fp32 outputs for a model's golden rows, computed once."""
    made = {}

    def compute(model):
        if model not in made:
            length = np.load(golden(model))["input_ids"].shape[1] if model == "bert_base" else 0
            order = {
                "model": model, "batch_size": 8, "sequence_length": length, "mode": "eager", "threads": 2,
            }  # fmt: skip
            path = tmp_path_factory.mktemp("reference") / "outputs.npz"
            drive(
                "pytorch", "infer", order=order, inputs=golden(model), outputs=path,
                weights_file=seeded(model)["path"],
            )  # fmt: skip
            made[model] = np.load(path)["output"]
        return made[model]

    return compute


def worst_error(output, reference):
    rows = len(reference)
    difference = np.linalg.norm((output - reference).reshape(rows, -1), axis=1)
    return float((difference / np.linalg.norm(reference.reshape(rows, -1), axis=1)).max())


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize(("runtime", "mode"), MODES)
def test_it_computes_what_pytorch_does(runtime, mode, model, seeded, reference, outputs_of):
    said, found = outputs_of(runtime, model, order={"mode": mode}, weights_file=seeded(model)["path"])
    assert said["parameters"] == PARAMETERS[model]
    assert worst_error(found["output"], reference(model)) <= LIMITS["fp32"]
    assert said["outputs"][0] == list(reference(model).shape)
    assert said["dtypes"]["weights"] == "float32"
    assert said["flags"]["threads"] == "2"
    assert not said["torch_imported"]
    np.testing.assert_array_equal(found["kept"], found["output"])
    assert worst_error(found["flipped"], found["output"][::-1]) <= LIMITS["fp32"]
    assert worst_error(found["flipped"], found["output"]) > LIMITS["fp32"]


@pytest.mark.parametrize("runtime", NAMES)
def test_a_batch_of_one_staged_from_the_host_is_the_same_sample(runtime, seeded, reference, outputs_of):
    _, found = outputs_of(
        runtime, "mobilenet_v2", 1, order={"io": "host"}, weights_file=seeded("mobilenet_v2")["path"]
    )
    assert worst_error(found["output"], reference("mobilenet_v2")[:1]) <= LIMITS["fp32"]


@pytest.mark.parametrize("model", ["mobilenet_v2", "bert_base"])
@pytest.mark.parametrize(("runtime", "mode", "precision"), HALVED)
def test_a_half_precision_is_computed_in_its_own_type(
    runtime, mode, precision, model, seeded, reference, outputs_of
):
    order = {"mode": mode, "precision": precision}
    said, found = outputs_of(runtime, model, order=order, weights_file=seeded(model)["path"])
    types = said["dtypes"]
    assert types["weights"] == types["outputs"] == DTYPES[precision]
    assert model == "bert_base" or types["inputs"] == DTYPES[precision]
    error = worst_error(found["output"].astype(np.float32), reference(model))
    assert FLOORS[precision] < error <= LIMITS[precision]


@pytest.mark.parametrize("runtime", NAMES)
def test_what_lies_under_the_mask_does_not_matter(runtime, tmp_path, golden, seeded, outputs_of):
    inputs = dict(np.load(golden("bert_base")))
    visible = inputs["attention_mask"] == 1
    assert not visible.all()
    inputs["input_ids"] = np.where(visible, inputs["input_ids"], 2000)
    np.savez(tmp_path / "changed.npz", **inputs)
    file = seeded("bert_base")["path"]
    _, plain = outputs_of(runtime, "bert_base", weights_file=file)
    _, padded = outputs_of(runtime, "bert_base", inputs=tmp_path / "changed.npz", weights_file=file)
    assert worst_error(padded["output"][visible], plain["output"][visible]) <= LIMITS["fp32"]


@pytest.mark.parametrize("runtime", NAMES)
def test_one_perturbed_weight_is_caught(runtime, tmp_path, drive, seeded, reference, outputs_of):
    changed = tmp_path / "mobilenet_v2.safetensors"
    drive(
        "pytorch", "rename", weights_file=seeded("mobilenet_v2")["path"], to=changed,
        tensor="features.0.0.weight", **{"as": "perturbed"},
    )  # fmt: skip
    _, wrong = outputs_of(runtime, "mobilenet_v2", weights_file=changed)
    assert worst_error(wrong["output"], reference("mobilenet_v2")) > 10 * LIMITS["fp32"]


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"precision": "tf32"}, "UnsupportedError"),
        ({"precision": "fp8"}, "InvalidRequestError"),
        ({"mode": "turbo"}, "UnsupportedError"),
        ({"model": "alexnet"}, "UnknownModelError"),
        ({"batch_size": 0}, "InvalidRequestError"),
        ({"sequence_length": 8}, "InvalidRequestError"),
        ({"weights": "zoo"}, "UnsupportedError"),
    ],
)
@pytest.mark.parametrize("runtime", NAMES)
def test_an_order_that_can_not_work_is_refused(runtime, order, error, seeded, outputs_of):
    file = seeded("mobilenet_v2")["path"]
    said, _ = outputs_of(runtime, "mobilenet_v2", order=order, inputs="/dev/null", weights_file=file)
    assert said["error"] == error
    assert str(next(iter(order.values()))) in said["text"]


@pytest.mark.parametrize("runtime", NAMES)
def test_what_it_says_of_itself(runtime, drive):
    said = drive(runtime, "facts")
    assert runtime in said["versions"]
    assert said["models"] == list(PARAMETERS)
    assert set(said["modes"]) >= set(CATALOGUE[runtime].own_modes_on("cpu"))
