"""What a runtime says of a network's operations is what its own converted graph holds."""

import pytest
from tests.engines.conftest import ROOT

from greenbench.fleet.catalog import read_catalog

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(900)]

OWNERS = [spec.name for spec in read_catalog(ROOT / "runtimes" / "catalog.toml").values() if not spec.sources]


@pytest.mark.parametrize("model", ["mobilenet_v2", "resnet50"])
def test_onnxruntime_counts_what_is_in_the_graph(model, drive, converted, outputs_of):
    model_file = converted(model)["path"]
    said, _ = outputs_of("onnxruntime", model, 1, model_file=model_file)
    assert said["flops"] == drive("pytorch", "count", model_file=model_file)["flops"] > 0


@pytest.mark.parametrize("model", ["mobilenet_v2", "resnet50", "bert_base"])
def test_pytorchs_own_counter_agrees(model, drive, golden, seeded, outputs_of):
    file = seeded(model)["path"]
    said, _ = outputs_of("pytorch", model, 1, weights_file=file)
    counted = drive("pytorch", "count_by_torch", model=model, weights_file=file, inputs=golden(model, 1))
    assert said["flops"] == counted["flops"] > 0


@pytest.mark.parametrize("runtime", OWNERS)
def test_a_matched_network_has_the_same_operations_in_every_runtime(
    runtime, drive, seeded, converted, outputs_of
):
    said, _ = outputs_of(runtime, "mobilenet_v2", 1, weights_file=seeded("mobilenet_v2")["path"])
    counted = drive("pytorch", "count", model_file=converted("mobilenet_v2")["path"])
    assert said["flops"] == counted["flops"]
