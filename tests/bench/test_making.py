from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from tests.bench.test_planning import spec

from greenbench.bench.library import ModelLibrary, weights_key
from greenbench.bench.making import Needs, make_models, models_made
from greenbench.core.errors import ConfigurationError
from greenbench.fleet.state import StateFolder

CATALOGUE = {
    "pytorch": spec("pytorch", owns_reference=True, native={"resnet50": "torchvision.resnet50"}),
    "tensorflow": spec("tensorflow", native={"resnet50": "keras.ResNet50"}),
    "jax": spec("jax"),
}


def needs(**changes):
    values = {"models": ("resnet50",), "weights_from": "seeded", "sequence_lengths": (), "threads": 1}
    return Needs(**values | {"weights": ("native",)} | changes)


class Observer:
    def __init__(self):
        self.steps = []

    def step(self, text):
        self.steps.append(text)

    def note(self, text):
        self.steps.append(text)


class Making:
    """A house whose runtimes make weights by writing their name."""

    def __init__(self, state):
        self.catalogue, self.library, self.state = CATALOGUE, ModelLibrary(state.models), state
        self.started, self.loaded, self.given = [], [], []

    @contextmanager
    def running(self, name):
        self.started.append(name)

        def prepare(*, model, seed, weights_file, calibration_file, threads):
            self.given.append((name, weights_file))
            path = self.state.outbox(name) / f"{model}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} {model} {seed}")
            return SimpleNamespace(path=path.name, elapsed_s=0.1)

        client = SimpleNamespace(
            prepare=prepare,
            stage=lambda inputs: None,
            check=lambda: {"output": np.ones((8, 3), dtype=np.float32)},
            unload=lambda: True,
        )
        yield SimpleNamespace(
            spec=self.catalogue[name], client=client, description=SimpleNamespace(versions={name: "1.0"})
        )

    def load(self, running, cell, *, device):
        self.loaded.append((running.spec.name, cell.weights_origin, device))


@pytest.fixture
def house(tmp_path):
    state = StateFolder.at(tmp_path / "state")
    state.create()
    return Making(state)


def make(house, asked, wanted=("pytorch", "tensorflow", "jax")):
    make_models(house, house.state, asked, wanted, Observer())


def test_each_framework_makes_its_own_networks_weights_and_reference(house):
    make(house, needs())
    assert house.started == ["pytorch", "tensorflow"]
    assert house.loaded == [
        ("pytorch", "native-pytorch/seeded", "cpu"), ("tensorflow", "native-tensorflow/seeded", "cpu"),
    ]  # fmt: skip
    assert models_made(house, needs(), ["pytorch", "tensorflow"])


def test_what_is_made_is_not_made_again(house):
    make(house, needs())
    house.started.clear()
    make(house, needs())
    assert house.started == []


def test_native_networks_of_runtimes_that_are_not_measured_are_not_made(house):
    make(house, needs(), ["tensorflow"])
    assert house.started == ["tensorflow"]


def test_matched_weights_come_from_the_reference_alone(house):
    make(house, needs(weights=("matched",)))
    assert house.started == ["pytorch"]
    assert house.library.find(weights_key("resnet50", "seeded"))


def test_damaged_native_weights_are_made_anew_in_their_own_framework(house):
    make(house, needs())
    entry = house.library.find(weights_key("resnet50", "native-tensorflow/seeded"))
    (house.library.folder / entry.path).write_text("damaged")
    assert not models_made(house, needs(), ["tensorflow"])
    house.started.clear()
    make(house, needs())
    assert house.started == ["tensorflow"]


def test_a_folder_may_hold_a_frameworks_own_format(house, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tensorflow-resnet50.h5").write_text("keras")
    make(house, needs(weights_from=f"{tmp_path}/own"), ["tensorflow"])
    assert house.given == [("tensorflow", "inbox/tensorflow-resnet50.h5")]


def test_a_folder_without_the_file_is_named_with_every_format(house, tmp_path):
    with pytest.raises(ConfigurationError, match=r"tensorflow-resnet50\.safetensors or \.h5 or \.params"):
        make(house, needs(weights_from=f"{tmp_path}/own"), ["tensorflow"])
