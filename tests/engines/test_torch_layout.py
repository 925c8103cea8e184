"""The memory format of PyTorch's networks with images: what is said of it, and what really lies in memory."""

import numpy as np
import pytest
from tests.engines.conftest import LENGTH
from tests.engines.test_parity_of_engines import LIMIT, worst_error

VISION = ("resnet50", "mobilenet_v2")
ROWS = 2
CHANNELS_LAST = [3 * 224 * 224, 1, 3 * 224, 3]
"""Strides of a batch of images, in elements: the channels of a pixel lie side by side."""

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


@pytest.fixture
def laid_out(drive, seeded, golden):
    """Load a model and stage a batch; return how both lie in memory."""

    def load(model, **order):
        order = {
            "model": model, "batch_size": ROWS, "sequence_length": LENGTH.get(model, 0), "mode": "eager",
            "threads": 2,
        } | order  # fmt: skip
        file = seeded(model)["path"]
        return drive("pytorch", "strides", order=order, weights_file=file, inputs=golden(model, ROWS))

    return load


def assert_channels_last(said):
    assert said["flags"]["memory_format"] == "channels_last"
    assert said["staged"] == said["handed"] == [CHANNELS_LAST]
    assert said["weights"]
    for (_, channels, height, width), strides in said["weights"]:
        assert strides == [height * width * channels, 1, width * channels, channels]


@pytest.mark.parametrize("io", ["device", "host"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("model", VISION)
def test_weights_and_batch_are_channels_last_on_the_cpu(model, precision, io, laid_out):
    assert_channels_last(laid_out(model, precision=precision, io=io))


@pytest.mark.parametrize("io", ["device", "host"])
@pytest.mark.parametrize("model", VISION)
def test_those_of_a_network_to_be_compiled_are_too(model, io, compiler, laid_out):
    assert_channels_last(laid_out(model, mode="compile", io=io))


@pytest.mark.parametrize("io", ["device", "host"])
def test_bert_has_no_images_and_no_format(io, laid_out):
    said = laid_out("bert_base", io=io)
    assert "memory_format" not in said["flags"]
    assert not said["weights"]
    assert said["staged"] == said["handed"] == [[LENGTH["bert_base"], 1]] * 2


def test_only_an_eager_network_in_fp32_or_tf32_stays_contiguous_on_a_gpu(drive):
    wanted = {
        ("cuda", "eager", "fp32"): "contiguous_format",
        ("cuda", "eager", "tf32"): "contiguous_format",
        ("cuda", "eager", "fp16"): "channels_last",
        ("cuda", "eager", "bf16"): "channels_last",
        ("cuda", "compile", "fp32"): "channels_last",
        ("cuda", "compile", "tf32"): "channels_last",
        ("cuda", "compile", "fp16"): "channels_last",
        ("cuda", "compile", "bf16"): "channels_last",
        ("cpu", "eager", "fp32"): "channels_last",
        ("cpu", "compile", "fp32"): "channels_last",
    }
    orders = [
        {"model": model, "batch_size": size, "io": io, "device": device, "mode": mode, "precision": precision}
        for device, mode, precision in wanted
        for model, size, io in (("resnet50", 1, "device"), ("mobilenet_v2", 64, "host"))
    ]
    found = drive("pytorch", "formats", orders=orders)["formats"]
    assert found == [f"torch.{name}" for name in wanted.values() for _ in range(2)]


@pytest.mark.parametrize("mode", ["eager", "compile"])
@pytest.mark.parametrize("model", VISION)
def test_the_outputs_are_those_of_the_contiguous_network(
    model, mode, tmp_path, request, drive, seeded, golden, outputs_of
):
    if mode == "compile":
        request.getfixturevalue("compiler")
    file, path = seeded(model)["path"], tmp_path / "plain.npz"
    plain = drive(
        "pytorch", "plain", model=model, weights_file=file, inputs=golden(model, ROWS), outputs=path
    )
    said, found = outputs_of("pytorch", model, ROWS, order={"mode": mode}, weights_file=file)
    assert (plain["flags"]["memory_format"], said["flags"]["memory_format"]) == (
        "contiguous_format",
        "channels_last",
    )
    assert worst_error(found["output"], np.load(path)["output"]) <= LIMIT
