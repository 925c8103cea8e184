from types import SimpleNamespace

from greenbench.bench.run import _refusals
from greenbench.core.suite import parse_suite


def test_refusals_of_the_runs_own_weights_travel_with_it():
    refused = {
        ("bert_base", "tensorflow", "seeded", 128): "ONNX Runtime rejected the conversion: invalid type",
        ("bert_base", "tensorflow", "pretrained", 128): "of other weights",
        ("bert_base", "tensorflow", "native-tensorflow/seeded", 128): "of a network that is not asked for",
    }
    context = SimpleNamespace(view=SimpleNamespace(refused=refused))
    request = SimpleNamespace(suite=parse_suite({"name": "t"}, "test"))
    (kept,) = _refusals(context, request)
    assert (kept.model, kept.source, kept.sequence_length) == ("bert_base", "tensorflow", 128)
    assert kept.reason == "ONNX Runtime rejected the conversion: invalid type"
