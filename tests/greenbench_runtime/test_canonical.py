import numpy as np
import pytest
from safetensors.numpy import save_file

from greenbench_runtime.engine import InvalidRequestError, UnknownModelError
from greenbench_runtime.networks.canonical import parameters, read_canonical, shapes
from greenbench_runtime.networks.graph import network_of

PARAMETERS = {"resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "bert_base": 108_891_648}


class Recorder:
    """Layers that only note which weights the walk asks for."""

    def __init__(self):
        self.used = set()

    def convolution(self, x, name, norm, activation="", *, stride=1):
        self.used |= {f"{name}.weight"}
        self.used |= {f"{norm}.{kind}" for kind in ("weight", "bias", "running_mean", "running_var")}
        return x

    def activate(self, x, activation):
        return x

    def max_pool(self, x):
        return x

    def classify(self, x, name):
        return self.linear(x, name)

    def linear(self, x, name, activation=""):
        self.used |= {f"{name}.weight", f"{name}.bias"}
        return x

    normalise = linear

    def embed(self, ids):
        self.used |= {f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")}
        return ids

    def attend(self, query, key, value, mask):
        return query


def stored(path, change=lambda tensors: tensors):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes("mobilenet_v2").items()}
    save_file(change(tensors), path)
    return path


@pytest.mark.parametrize("model", PARAMETERS)
def test_the_published_number_of_parameters(model):
    assert parameters(model) == PARAMETERS[model]


@pytest.mark.parametrize("model", PARAMETERS)
def test_the_walk_uses_every_tensor_and_no_other(model):
    layers = Recorder()
    network_of(model, layers)(*[0] * (2 if model == "bert_base" else 1))
    assert layers.used == set(shapes(model))


def test_an_unknown_model_is_named():
    with pytest.raises(UnknownModelError, match="alexnet"):
        shapes("alexnet")
    with pytest.raises(UnknownModelError, match="alexnet"):
        network_of("alexnet", Recorder())


def test_a_file_that_fits_is_read(tmp_path):
    tensors = read_canonical("mobilenet_v2", stored(tmp_path / "whole.safetensors"))
    assert {name: value.shape for name, value in tensors.items()} == shapes("mobilenet_v2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: {k: v for k, v in t.items() if k != "classifier.1.bias"},
            "lacks the tensor classifier.1.bias",
        ),
        (lambda t: t | {"classifier.1.bias": np.zeros(999, np.float32)}, "[999]; the network needs [1000]"),
        (lambda t: t | {"pooler": np.zeros(1, np.float32)}, "first pooler"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_tensor(tmp_path, change, said):
    with pytest.raises(InvalidRequestError) as caught:
        read_canonical("mobilenet_v2", stored(tmp_path / "odd.safetensors", change))
    assert said in str(caught.value)
    assert "odd.safetensors" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidRequestError, match=r"damaged\.safetensors is not a whole") as caught:
        read_canonical("mobilenet_v2", path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"gone\.safetensors is not there"):
        read_canonical("mobilenet_v2", tmp_path / "gone.safetensors")
