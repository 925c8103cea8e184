import pytest

from greenbench.core.errors import ConfigurationError
from greenbench.core.settings import restricted, with_settings
from greenbench.core.suite import parse_suite

SUITE = parse_suite('name = "x"', "x")


@pytest.mark.parametrize(
    ("setting", "table", "key", "value"),
    [
        ("protocol.window_s=3", "protocol", "window_s", 3.0),
        ("window_s = 2.5", "protocol", "window_s", 2.5),
        ("rigorous=true", "protocol", "rigorous", True),
        ("batch_size=1,8", "matrix", "batch_size", (1, 8)),
        ("matrix.batch_size=[4]", "matrix", "batch_size", (4,)),
        ("model=resnet50", "matrix", "model", ("resnet50",)),
        ("device=cpu", "host", "device", "cpu"),
        ("gpu=GPU-123", "host", "gpu", "GPU-123"),
        ("gpu=1", "host", "gpu", 1),
        ("weights_from=./w", "models", "weights_from", "./w"),
        ("weights=native", "matrix", "weights", ("native",)),
        ("host.env.pytorch=/opt/bin/python", "host", "env", {"pytorch": "/opt/bin/python"}),
    ],
)
def test_a_setting_replaces_one_value(setting, table, key, value):
    changed = with_settings(SUITE, [setting])
    assert getattr(getattr(changed, table), key) == value
    others = changed.as_mapping()
    others[table][key] = SUITE.as_mapping()[table][key]
    assert others == SUITE.as_mapping()


def test_limits_are_set_by_rule():
    assert with_settings(SUITE, ["validity.gap.doubtful=3"]).validity["gap"].doubtful == 3.0


def test_later_settings_win_and_the_suite_stays():
    assert with_settings(SUITE, ["rounds=2", "rounds=4"]).protocol.rounds == 4
    assert SUITE.protocol.rounds == 10


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("windw_s=3", r"--set: unknown key windw_s \(did you mean 'window_s'\?\)"),
        ("protocol.x=3", "--set: unknown key protocol.x; allowed: window_s, windows"),
        ("nope.x=3", "--set: unknown key nope.x"),
        ("env=x", "--set: unknown key env"),
        ("x", "--set 'x' is not KEY=VALUE"),
        ("rounds=", "is not KEY=VALUE"),
        ("=3", "is not KEY=VALUE"),
        ("rounds=many", "--set: protocol.rounds = 'many' must be a whole number"),
        ("rounds=04", "--set: protocol.rounds = '04' must be a whole number"),
        ("window_s=3\nrounds=1", "--set: protocol.window_s = "),
        ("batch_size=a", r"--set: matrix.batch_size\[0\] = 'a' must be a whole number"),
        ("path=served", "reserved and not built yet"),
        ("validity.gaps.doubtful=3", "validity.gaps is not known"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(setting, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        with_settings(SUITE, [setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("only", "model", "batch"),
    [
        (["model=resnet50,batch_size=1"], ("resnet50",), (1,)),
        (["model=bert_base,resnet50"], ("resnet50", "bert_base"), (1, 64)),
        (["model=resnet50;batch_size=64"], ("resnet50",), (64,)),
        (["model=resnet50", "model=bert_base", "batch_size=64"], ("resnet50", "bert_base"), (64,)),
        (["matrix.model = resnet50 , bert_base , batch_size = 1"], ("resnet50", "bert_base"), (1,)),
        ([], ("resnet50", "mobilenet_v2", "bert_base"), (1, 64)),
    ],
)
def test_only_narrows_the_matrix_in_the_suites_own_order(only, model, batch):
    matrix = restricted(SUITE, only).matrix
    assert (matrix.model, matrix.batch_size) == (model, batch)
    assert matrix.runtime == SUITE.matrix.runtime


@pytest.mark.parametrize(
    ("only", "text"),
    [
        (
            "runtime=jax",
            r"--only: runtime = 'jax' is not in this suite; its matrix has pytorch, onnxruntime \(--set",
        ),
        ("model=resnet", r"'resnet' is not in this suite \(did you mean 'resnet50'\?\)"),
        ("batch_size=2", "its matrix has 1, 64"),
        ("nope=1", "--only: unknown key nope; allowed: runtime, mode"),
        ("rounds=1", "--only: unknown key rounds"),
        ("pytorch", "--only 'pytorch' is not KEY=VALUE"),
        ("model=", "is not KEY=VALUE"),
    ],
)
def test_only_what_is_there_can_be_named(only, text):
    with pytest.raises(ConfigurationError, match=text):
        restricted(SUITE, [only])
