from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.bench.test_planning import CATALOGUE, spec, suite

from greenbench.bench.making import Needs
from greenbench.bench.provision import _keep, read_proofs, runtimes_of, specs_of
from greenbench.core.errors import ConfigurationError
from greenbench.core.parity import Parity, Proof
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog
from greenbench.fleet.state import StateFolder

MORE = CATALOGUE | {"tensorflow": spec("tensorflow", converts=True)}


@pytest.mark.parametrize(
    ("matrix", "runtimes"),
    [
        ({"runtime": ["pytorch"]}, ("pytorch",)),
        ({"runtime": ["onnxruntime"]}, ("onnxruntime", "pytorch")),
        ({"runtime": ["onnxruntime"], "source": ["tensorflow"]}, ("onnxruntime", "tensorflow")),
        ({"runtime": ["pytorch"], "source": ["tensorflow"]}, ("pytorch",)),
        ({"runtime": ["pytorch", "mxnet"]}, ("pytorch",)),
    ],
)
def test_a_suite_needs_its_runtimes_and_those_that_convert_for_them(matrix, runtimes):
    assert runtimes_of(suite(**matrix), MORE) == runtimes


REAL = read_catalog(assets_root() / "runtimes" / "catalog.toml")
TENSORRT = "onnxruntime-tensorrt"
NEEDS = Needs(models=("resnet50",), weights_from="seeded", sequence_lengths=(), threads=1)


def house(device):
    return SimpleNamespace(catalogue=REAL, device=device, launcher=SimpleNamespace(name="venv"))


def names(device, asked, adopted=()):
    return [build.name for build in specs_of(house(device), asked, NEEDS, adopted)]


@pytest.mark.parametrize(
    ("device", "asked", "adopted", "built"),
    [
        ("cpu", ["onnxruntime"], (), ["onnxruntime", "onnxruntime-openvino"]),
        ("cpu", ["onnxruntime-openvino"], (), ["onnxruntime-openvino"]),
        ("cpu", ["onnxruntime-openvino", "onnxruntime"], (), ["onnxruntime-openvino", "onnxruntime"]),
        ("cuda", ["onnxruntime"], (), ["onnxruntime"]),
        ("cuda", ["onnxruntime"], (TENSORRT,), ["onnxruntime", TENSORRT]),
        ("cuda", [TENSORRT, "pytorch"], (TENSORRT,), [TENSORRT, "pytorch"]),
    ],
)
def test_one_build_can_be_asked_for_alone(device, asked, adopted, built):
    assert names(device, asked, adopted) == built


@pytest.mark.parametrize(
    ("device", "asked", "text"),
    [
        (
            "cuda",
            TENSORRT,
            f"can only be adopted; say --launcher venv --env {TENSORRT}=PYTHON, a Python that has",
        ),
        ("cpu", TENSORRT, "is for cuda, and the device here is cpu"),
        ("cuda", "onnxruntime-openvino", "is for cpu, and the device here is cuda"),
    ],
)
def test_a_build_that_can_not_be_had_is_refused(device, asked, text):
    with pytest.raises(ConfigurationError, match=text):
        names(device, [asked])


def test_proofs_of_one_build_leave_those_of_another(tmp_path):
    state = StateFolder.at(tmp_path)
    equal = Parity(relative_error=0.0, cosine=1.0, top1_agreement=1.0, rows=8, limit=1e-4, passed=True)
    first = Proof(
        runtime="onnxruntime", mode="cpu", source="pytorch", model="resnet50", sequence_length=None,
        precision="fp32", parity=equal,
    )  # fmt: skip
    other = replace(first, mode="openvino")
    usual = REAL["onnxruntime"]
    (openvino,) = usual.builds_on("cpu")[1:]
    _keep(state, house("cpu"), (usual, openvino), (first, other))
    _keep(state, house("cpu"), (openvino,), (replace(other, model="mobilenet_v2"),))
    _keep(state, house("cuda"), (usual,), (replace(first, mode="cuda", model="bert_base"),))
    kept = {(row["mode"], row["model"], row["device"]) for row in read_proofs(state)}
    assert kept == {
        ("cpu", "resnet50", "cpu"), ("openvino", "mobilenet_v2", "cpu"), ("cuda", "bert_base", "cuda"),
    }  # fmt: skip
