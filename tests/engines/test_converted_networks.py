"""Every runtime that converts its models, by the catalogue: ONNX Runtime computes what PyTorch does."""

from pathlib import Path

import numpy as np
import pytest

from greenbench.fleet.catalog import read_catalog

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {"resnet50": 25_557_032, "mobilenet_v2": 3_504_872}
# BERT, which takes a minute, is converted and proven by the `greenbench up` before these tests.
LIMIT = 1e-4

CATALOGUE = read_catalog(ROOT / "runtimes" / "catalog.toml")
CONVERTERS = [spec.name for spec in CATALOGUE.values() if spec.converts and not spec.owns_reference]

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(900)]


def worst_error(output, reference):
    rows = len(reference)
    difference = np.linalg.norm((output - reference).reshape(rows, -1), axis=1)
    return float((difference / np.linalg.norm(reference.reshape(rows, -1), axis=1)).max())


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("source", CONVERTERS)
def test_onnxruntime_computes_what_pytorch_does(source, model, tmp_path, drive, seeded, outputs_of):
    file = seeded(model)["path"]
    made = drive(
        source, "convert", model=model, weights_file=file, sequence_length=0, outbox=tmp_path,
    )  # fmt: skip
    for rows in (8, 1):  # the batch is dynamic
        _, reference = outputs_of("pytorch", model, rows, weights_file=file)
        said, found = outputs_of("onnxruntime", model, rows, model_file=made["path"])
        assert said["parameters"] == PARAMETERS[model]
        assert said["nodes"].keys() == {"CPUExecutionProvider"}
        assert worst_error(found["output"], reference["output"]) <= LIMIT
    assert made["opset"] >= 11
    assert not made["torch_imported"]


@pytest.mark.parametrize("source", CONVERTERS)
def test_an_opset_that_is_not_written_is_refused(source, tmp_path, drive, seeded):
    answer = drive(
        source, "convert", model="mobilenet_v2", weights_file=seeded("mobilenet_v2")["path"], opset=99,
        sequence_length=0, outbox=tmp_path,
    )  # fmt: skip
    assert answer["error"] == "InvalidRequestError"
    assert "99" in answer["text"]
