"""Conversions with runtimes that only answer: what is made where, what is kept of a refusal."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from greenbench.bench.conversions import conversions, conversions_settled, convert_models, sources_of
from greenbench.bench.library import ModelLibrary, weights_key
from greenbench.bench.making import Needs
from greenbench.core.errors import RuntimeCallError, RuntimeDiedError
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet.state import StateFolder


def spec(name, **changes):
    values = {
        "name": name,
        "engine": name,
        "title": name.title(),
        "modes": {},
        "precisions": (),
        "devices": {},
    }
    return RuntimeSpec(**values | changes)


CATALOGUE = {
    "pytorch": spec("pytorch", owns_reference=True, converts=True),
    "tensorflow": spec("tensorflow", converts=True),
    "mxnet": spec("mxnet", converts=True),
    "jax": spec("jax"),
    "onnxruntime": spec("onnxruntime", sources=("pytorch", "tensorflow", "mxnet", "jax")),
}
NEEDS = Needs(models=("resnet50", "bert_base"), weights_from="seeded", sequence_lengths=(8,), threads=1)


class Notes:
    def __init__(self):
        self.notes = []

    def step(self, text):
        pass

    def note(self, text):
        self.notes.append(text)


class Converting:
    """A house whose runtimes convert by writing their name, or refuse what they are told to."""

    def __init__(self, state):
        self.catalogue, self.library, self.state = CATALOGUE, ModelLibrary(state.models), state
        self.started, self.refusing, self.dying = [], set(), False

    @contextmanager
    def running(self, name):
        self.started.append(name)

        def convert(*, model, weights_file, sequence_length, threads):
            if self.dying:
                raise RuntimeDiedError("gone", exit_status_of_runtime=1)
            if (name, model) in self.refusing:
                raise RuntimeCallError(f"{model} holds an operator that is not there", code="UNIMPLEMENTED")
            path = self.state.outbox(name) / f"{model}.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} {model} {weights_file} {sequence_length}")
            return SimpleNamespace(path=path.name, opset=18, exporter="writer", elapsed_s=0.1)

        yield SimpleNamespace(
            spec=self.catalogue[name],
            client=SimpleNamespace(convert=convert),
            description=SimpleNamespace(versions={name: "1.0"}),
        )


@pytest.fixture
def house(tmp_path):
    state = StateFolder.at(tmp_path)
    state.create()
    house = Converting(state)
    for model in NEEDS.models:
        made = tmp_path / f"{model}.safetensors"
        made.write_text(model)
        house.library.adopt(
            weights_key(model, "seeded"), made, kind="weights", origin="seed", maker="test", elapsed_s=0.0
        )
    return house


def converted(house):
    keys = [key.split("/") for key in house.library.entries()]
    return {f"{model} from {source}" for kind, model, source, *_ in keys if kind == "onnx"}


def test_a_wanted_source_converts_and_the_reference_always_does(house):
    assert sources_of(house, ["onnxruntime"]) == ("pytorch",)
    assert sources_of(house, ["tensorflow", "onnxruntime", "jax"]) == ("pytorch", "tensorflow")
    assert sources_of(house, ["pytorch", "tensorflow"]) == ()


def test_each_framework_is_started_once_and_converts_every_model(house):
    wanted = ["pytorch", "tensorflow", "onnxruntime"]
    assert not conversions_settled(house, NEEDS, wanted)
    convert_models(house, house.state, NEEDS, wanted, Notes())
    assert house.started == ["pytorch", "tensorflow"]
    assert converted(house) == {
        f"{model} from {source}" for model in NEEDS.models for source in ("pytorch", "tensorflow")
    }  # fmt: skip
    assert conversions_settled(house, NEEDS, wanted)
    convert_models(house, house.state, NEEDS, wanted, Notes())
    assert len(house.started) == 2


def test_a_refusal_is_kept_the_rest_goes_on_and_it_is_asked_for_again(house):
    wanted, notes = ["mxnet", "onnxruntime"], Notes()
    house.refusing = {("mxnet", "bert_base")}
    convert_models(house, house.state, NEEDS, wanted, notes)
    assert converted(house) == {
        "resnet50 from pytorch", "bert_base from pytorch", "resnet50 from mxnet",
    }  # fmt: skip
    reason = house.library.refusals()["bert_base", "mxnet", "seeded", 8]
    assert reason == "Mxnet did not convert it: bert_base holds an operator that is not there"
    assert notes.notes == [f"bert_base from mxnet is left out: {reason}"]
    assert conversions_settled(house, NEEDS, wanted)
    house.refusing = set()
    convert_models(house, house.state, NEEDS, wanted, notes)
    assert "bert_base from mxnet" in converted(house)


def test_a_damaged_conversion_is_made_again_and_only_that_one(house):
    wanted = ["tensorflow", "onnxruntime"]
    convert_models(house, house.state, NEEDS, wanted, Notes())
    key = next(key for key in house.library.entries() if key.startswith("onnx/bert_base/tensorflow"))
    path, before = house.library.folder / house.library.find(key).path, house.library.find(key)
    path.write_bytes(path.read_bytes()[:-1])
    assert not conversions_settled(house, NEEDS, wanted)
    house.started.clear()
    convert_models(house, house.state, NEEDS, wanted, Notes())
    assert house.started == ["tensorflow"]
    assert house.library.find(key) == before
    assert house.library.intact(key)


def test_a_runtime_that_dies_is_no_refusal(house):
    house.dying = True
    with pytest.raises(RuntimeDiedError):
        convert_models(house, house.state, NEEDS, ["onnxruntime"], Notes())
    assert house.library.refusals() == {}


def test_questions_are_those_that_plans_ask(house):
    assert [found.question for found in conversions(NEEDS, house.catalogue["mxnet"])] == [
        ("resnet50", "mxnet", "seeded", None), ("bert_base", "mxnet", "seeded", 8),
    ]  # fmt: skip
