from types import SimpleNamespace

from greenbench.bench.run import _refusals


def test_refusals_of_the_runs_own_weights_travel_with_it():
    refused = {
        ("bert_base", "tensorflow", "seeded", 128): "ONNX Runtime rejected the conversion: invalid type",
        ("bert_base", "tensorflow", "pretrained", 128): "of other weights",
    }
    context = SimpleNamespace(view=SimpleNamespace(refused=refused))
    request = SimpleNamespace(suite=SimpleNamespace(models=SimpleNamespace(weights_from="seeded")))
    (kept,) = _refusals(context, request)
    assert (kept.model, kept.source, kept.sequence_length) == ("bert_base", "tensorflow", 128)
    assert kept.reason == "ONNX Runtime rejected the conversion: invalid type"
