import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenbench.bench.suites import builtin_suites, load_suite
from greenbench.core.errors import ConfigurationError
from greenbench.core.suite import RUNTIMES, TABLES, parse_suite

INTERFACE = """
name = "mine"
[matrix]
runtime = ["pytorch", "onnxruntime"]
mode = ["default"]
source = ["pytorch"]
model = ["resnet50", "mobilenet_v2", "bert_base"]
precision = ["fp32"]
batch_size = [1, 64]
sequence_length = [128]
weights = ["matched"]
path = ["loop"]
io = ["device"]
[models]
weights_from = "seeded"
[protocol]
window_s = 10.0
windows = 2
rounds = 10
baseline_host_s = 60.0
baseline_loaded_s = 10.0
[host]
device = "auto"
gpu = 0
threads = 0
"""


def refusal(values):
    with pytest.raises(ConfigurationError) as caught:
        parse_suite({"name": "x"} | values, "mine.toml")
    text = str(caught.value)
    assert "\n" not in text
    assert "pydantic" not in text
    assert text.startswith("mine.toml: ")
    return text.removeprefix("mine.toml: ")


def test_the_published_file_is_what_the_defaults_are():
    written = parse_suite(INTERFACE, "mine.toml")
    assert written == parse_suite('name = "mine"', "mine.toml")
    assert (written.protocol.warmup_cap_s, written.protocol.rest_cap_s, written.protocol.rigorous) == (
        60,
        120,
        False,
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"matrx": {}}, "unknown key matrx (did you mean 'matrix'?); allowed: name, matrix, exclude, models"),
        ({"protocol": {"windw_s": 3}}, "unknown key protocol.windw_s (did you mean 'window_s'?)"),
        ({"exclude": [{"runtim": "mxnet"}]}, "unknown key exclude[0].runtim (did you mean 'runtime'?)"),
        ({"validity": {"gap": {"x": 1}}}, "unknown key validity.gap.x; allowed: doubtful, invalid"),
        ({"matrix": {"model": ["resnet5"]}}, "model[0] = 'resnet5' is not known (did you mean 'resnet50'?)"),
        ({"matrix": {"runtime": ["torch"]}}, f"allowed: {', '.join(RUNTIMES)}"),
        ({"matrix": {"mode": ["fast"]}}, "matrix.mode[0] = 'fast' is not known; allowed: default, eager"),
        ({"matrix": {"precision": ["fp64"]}}, "allowed: fp32, tf32, fp16, bf16"),
        ({"matrix": {"model": "resnet50"}}, "matrix.model = 'resnet50' must be a list in square brackets"),
        ({"matrix": {"model": []}}, "matrix.model = [] is empty"),
        ({"matrix": {"batch_size": [1, 0]}}, "matrix.batch_size[1] = 0 must be at least 1"),
        ({"matrix": {"batch_size": ["1"]}}, "matrix.batch_size[0] = '1' must be a whole number"),
        ({"matrix": {"batch_size": [True]}}, "matrix.batch_size[0] = true must be a whole number"),
        ({"matrix": {"sequence_length": [513]}}, "must be at most 512"),
        ({"matrix": {"path": ["served"]}}, "matrix.path[0] = 'served' is reserved and not built yet"),
        ({"matrix": 3}, "matrix = 3 must be a table"),
        ({"protocol": {"window_s": 0}}, "protocol.window_s = 0 must be greater than 0"),
        ({"protocol": {"window_s": float("nan")}}, "protocol.window_s = nan must be a finite number"),
        ({"protocol": {"rounds": 2.5}}, "protocol.rounds = 2.5 must be a whole number"),
        ({"protocol": {"rigorous": 1}}, "protocol.rigorous = 1 must be true or false"),
        ({"host": {"gpu": -1}}, "host.gpu = -1 must be at least 0"),
        ({"host": {"device": "gpu"}}, "host.device = 'gpu' is not known; allowed: auto, cuda, cpu"),
        ({"host": {"env": {"torch": "x"}}}, "host.env.torch is not known (did you mean 'pytorch'?)"),
        ({"validity": {"gaps": {}}}, "validity.gaps is not known (did you mean 'gap'?); allowed: too_short"),
        ({"models": {"weights_from": "pretraind"}}, "(did you mean 'pretrained'?); allowed: seeded"),
        ({"exclude": [{}]}, "a table without a key, which would exclude everything"),
        ({"name": "a b"}, "name = 'a b' must be 1 to 40 letters"),
        ({"name": "../up"}, "name = '../up' must be"),
    ],
)
def test_what_is_refused_is_named_with_what_is_allowed(values, text):
    assert text in refusal(values)


def test_broken_or_empty_toml_is_one_line():
    with pytest.raises(ConfigurationError, match=r"^mine.toml: not valid TOML: .*$"):
        parse_suite("a = ", "mine.toml")
    with pytest.raises(ConfigurationError, match=r"mine.toml: name is missing"):
        parse_suite("", "mine.toml")


def test_exclusions_hold_only_the_keys_they_name():
    suite = parse_suite({"name": "x", "exclude": [{"runtime": "mxnet", "precision": "bf16"}]}, "x")
    assert suite.exclusions == ({"runtime": "mxnet", "precision": "bf16"},)


def test_repeats_in_a_list_are_measured_once():
    assert parse_suite({"name": "x", "matrix": {"batch_size": [1, 64, 1]}}, "x").matrix.batch_size == (1, 64)


def test_the_hash_is_of_what_is_asked_for_and_not_of_how_it_is_written():
    first = parse_suite('name = "x"\n[protocol]\nwindow_s = 3\nrounds = 2', "a")
    second = parse_suite('# comment\nname = "x"\nprotocol.rounds = 2\nprotocol.window_s = 3.0', "b")
    assert first.sha256 == second.sha256
    assert first.sha256 != parse_suite('name = "x"\nprotocol.rounds = 2', "c").sha256
    assert json.loads(first.canonical_json)["protocol"]["window_s"] == 3.0
    assert parse_suite(json.loads(first.canonical_json), "d") == first


def test_a_suite_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_suite("quick").protocol.rounds = 1


names = st.sampled_from([*TABLES, "model", "gpu", "x"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(anything)
def test_nothing_at_all_gives_more_than_one_line(value):
    for key in (*TABLES[""], "x"):
        assert "\n" not in complaint({"name": "x", key: value})


def complaint(values):
    try:
        return parse_suite(values, "mine.toml").name
    except ConfigurationError as err:
        return str(err)


def test_quick_ci_and_study_ask_for_what_is_published():
    quick, ci, study = (load_suite(name) for name in ("quick", "ci", "study"))
    assert quick.matrix.runtime == ("pytorch", "onnxruntime")
    assert quick.matrix.model == ("mobilenet_v2", "bert_base")
    assert quick.matrix.batch_size == ci.matrix.batch_size == (1,)
    assert set(ci.matrix.runtime) == set(RUNTIMES)
    assert len(ci.matrix.model) == len(ci.matrix.source) == 3
    assert _protocol(quick) == (3, 1, 3, 5, 3, 5)
    assert _protocol(ci) == (1, 1, 2, 2, 1, 3)
    assert _protocol(study) == (10, 2, 10, 600, 10, 60)
    assert (study.matrix.batch_size, study.models.weights_from) == ((1, 64), "pretrained")
    assert quick.models.weights_from == ci.models.weights_from == "seeded"


def _protocol(suite):
    keys = suite.protocol
    return (
        keys.window_s,
        keys.windows,
        keys.rounds,
        keys.baseline_host_s,
        keys.baseline_loaded_s,
        keys.warmup_cap_s,
    )


def test_a_suite_is_loaded_by_name_or_from_a_file(tmp_path):
    assert builtin_suites() == ("ci", "quick", "study", "study-as-published")
    path = tmp_path / "mine.toml"
    path.write_text(INTERFACE)
    assert load_suite(path).name == tomllib.loads(INTERFACE)["name"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "qick",
            r"unknown suite 'qick' \(did you mean 'quick'\?\); there are ci, quick, study",
        ),
        ("no/such", "suite file no/such cannot be read: No such file"),
        ("/", "suite file / cannot be read: Is a directory"),
    ],
)
def test_a_suite_that_is_not_there_is_one_line(name, text):
    with pytest.raises(ConfigurationError, match=text):
        load_suite(name)


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        load_suite(path)


def test_the_study_as_published_differs_from_the_study_in_what_it_corrects():
    ours, published = load_suite("study"), load_suite("study-as-published")
    assert published.matrix.model_dump() == ours.matrix.model_dump() | {"weights": ("native",)}
    asked = published.protocol
    assert (asked.order, asked.baseline_every_s, asked.baseline_host_s) == ("fixed", 0, 600.0)
    assert (asked.gpu_energy, asked.cpu_meter) == ("polled", "pyrapl")
    assert (ours.protocol.order, ours.protocol.gpu_energy) == ("shuffled", "counter")


@pytest.mark.parametrize("key", ["order", "gpu_energy", "cpu_meter"])
def test_a_word_of_the_protocol_that_is_not_known_is_named(key):
    with pytest.raises(ConfigurationError, match=rf"protocol\.{key} = 'guess' is not known"):
        parse_suite({"name": "t", "protocol": {key: "guess"}}, "test")
