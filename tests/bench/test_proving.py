"""Proofs with runtimes that only answer: what is compared with what."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from tests.bench.test_conversions import Notes, spec

from greenbench.bench.library import ModelLibrary, onnx_key, reference_key, weights_key
from greenbench.bench.making import Needs
from greenbench.bench.proving import Prover
from greenbench.core.errors import RuntimeCallError

MODES = {"only": ("cpu",)}
CATALOGUE = {
    "pytorch": spec("pytorch", owns_reference=True, converts=True, modes=MODES),
    "tensorflow": spec("tensorflow", converts=True, modes=MODES),
    "onnxruntime": spec("onnxruntime", sources=("pytorch", "tensorflow"), modes=MODES),
}
NEEDS = Needs(models=("resnet50",), weights_from="seeded", sequence_lengths=(8,), threads=1)
REFERENCE = np.linspace(-1.0, 1.0, 80, dtype=np.float32).reshape(8, 10)


def swapped(outputs):
    """Let the first two samples' best classes be others."""
    changed = outputs.copy()
    changed[:2, 0], changed[:2, -1] = outputs[:2, -1], outputs[:2, 0]
    return changed


class Answering:
    """A house whose runtimes give, by runtime and source, the outputs that they are told to."""

    device = "cpu"

    def __init__(self, folder):
        self.catalogue, self.library, self.outputs = CATALOGUE, ModelLibrary(folder), {}
        self.reference, self.rejected = CATALOGUE["pytorch"], "nothing"

    def load(self, running, cell, *, device):
        if self.rejected == cell.source:
            raise RuntimeCallError("an operator is not there", code="UNIMPLEMENTED")
        running.client.check = lambda: {"output": self.outputs.get((cell.runtime, cell.source), REFERENCE)}

    @contextmanager
    def running(self, name, mode):
        client = SimpleNamespace(stage=lambda inputs: None, unload=lambda: None)
        build = SimpleNamespace(runtime=name)
        yield SimpleNamespace(
            spec=CATALOGUE[name], client=client, instance=SimpleNamespace(build=build), description=None
        )


@pytest.fixture
def house(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    house = Answering(folder)

    def put(key, name, data=b"x"):
        made = tmp_path / name
        made.write_bytes(data)
        return house.library.adopt(key, made, kind="any", origin="x", maker="test", elapsed_s=0.0)

    weights = put(weights_key("resnet50", "seeded"), "resnet50.safetensors", b"weights")
    for source in ("pytorch", "tensorflow"):
        put(onnx_key("resnet50", source, weights.sha256, None), "resnet50.onnx", source.encode())
    np.savez(tmp_path / "made.npz", output=REFERENCE)
    key = reference_key("resnet50", weights.sha256, None)
    house.library.adopt(key, tmp_path / "made.npz", kind="any", origin="x", maker="test", elapsed_s=0.0)
    return house


def proven(house, *runtimes):
    prover = Prover(house=house, needs=NEEDS, observer=Notes())
    return {(p.runtime, p.source): p for name in runtimes for p in prover.prove(CATALOGUE[name])}


def test_a_conversion_is_compared_with_what_its_own_framework_gave(house):
    house.outputs = {("tensorflow", None): swapped(REFERENCE), ("onnxruntime", "tensorflow"): REFERENCE}
    proofs = proven(house, "pytorch", "tensorflow", "onnxruntime")
    assert proofs["tensorflow", None].parity.top1_agreement == 0.75
    converted = proofs["onnxruntime", "tensorflow"]
    assert converted.parity.top1_agreement == 1.0
    assert converted.parity.passed
    assert converted.conversion.top1_agreement == 0.75
    assert not converted.conversion.passed
    assert proofs["onnxruntime", "pytorch"].conversion.cosine == pytest.approx(1.0)
    assert proofs["tensorflow", None].conversion is None


def test_without_its_framework_a_conversion_has_nothing_before_it(house):
    proofs = proven(house, "onnxruntime")
    assert proofs["onnxruntime", "tensorflow"].conversion is None
    assert proofs["onnxruntime", "pytorch"].conversion.top1_agreement == 1.0  # the reference is its own


def test_a_damaged_conversion_is_not_run(house):
    key = next(key for key in house.library.entries() if key.startswith("onnx/resnet50/tensorflow"))
    (house.library.folder / house.library.find(key).path).write_bytes(b"torn")
    assert ("onnxruntime", "tensorflow") not in proven(house, "tensorflow", "onnxruntime")


def test_a_rejected_conversion_is_kept_with_its_reason_and_the_rest_goes_on(house):
    house.rejected = "pytorch"
    proofs = proven(house, "onnxruntime")
    assert list(proofs) == [("onnxruntime", "tensorflow")]
    reason = house.library.refusals()["resnet50", "pytorch", "seeded", None]
    assert reason == "Onnxruntime rejected the conversion: an operator is not there"
