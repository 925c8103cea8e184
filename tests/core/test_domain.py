import dataclasses
import inspect

import numpy as np
import pytest

from greenbench.core import doubt as doubts
from greenbench.core import errors, units
from greenbench.core.doubt import SENTENCES, Doubt, Limits, Rule, Verdict, worst
from greenbench.core.progress import Observer, Silence
from greenbench.core.reading import Series, delta
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.core.trial import Trial


def test_units_convert_to_si_and_back():
    assert units.seconds_from_ns(1_500_000_000) == 1.5
    assert units.ns_from_seconds(1.5) == 1_500_000_000
    assert units.joules_from_millijoules(2500) == 2.5
    assert units.joules_from_microjoules(2_500_000) == 2.5
    assert units.watts_from_milliwatts(72_000) == 72.0
    assert units.watts_from_microwatts(72_000_000) == 72.0
    assert units.hertz_from_megahertz(1980) == 1.98e9
    assert units.bytes_from_kibibytes(3) == 3072
    assert units.mebibytes_from_bytes(512 * 1024**2) == 512.0
    assert units.milliseconds_from_seconds(0.25) == 250.0


def test_every_rule_has_one_sentence():
    assert set(SENTENCES) == set(Rule)
    assert len(set(SENTENCES.values())) == len(Rule)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1.0, None), (2.0, None), (2.1, Verdict.DOUBTFUL), (10.0, Verdict.DOUBTFUL), (10.1, Verdict.INVALID)],
)
def test_limits_judge_above(value, verdict):
    found = Limits(doubtful=2, invalid=10).judge(Rule.GAP, value)
    assert (found and found.verdict) == verdict
    assert found is None or found.value == value


@pytest.mark.parametrize(
    ("value", "verdict"), [(100, None), (99, Verdict.DOUBTFUL), (10, Verdict.DOUBTFUL), (9, Verdict.INVALID)]
)
def test_limits_judge_below_where_low_is_bad(value, verdict):
    found = Limits(doubtful=100, invalid=10, low_is_bad=True).judge(Rule.TOO_SHORT, value)
    assert (found and found.verdict) == verdict


def test_a_limit_that_is_not_there_judges_nothing():
    assert Limits(doubtful=None, invalid=None).judge(Rule.GAP, 1e9) is None
    assert Limits(doubtful=None, invalid=0).judge(Rule.FOREIGN_PROCESS, 1).verdict is Verdict.INVALID


def test_the_worst_doubt_decides():
    light = Doubt(rule=Rule.GAP, value=3, limit=2, verdict=Verdict.DOUBTFUL)
    heavy = Doubt(rule=Rule.PARITY, value=0.5, limit=1e-4, verdict=Verdict.INVALID)
    assert worst(()) is Verdict.VALID
    assert worst((light,)) is Verdict.DOUBTFUL
    assert worst((light, heavy)) is Verdict.INVALID
    assert light.sentence == "a sensor was not read on time (gap: 3, limit 2)"


def test_a_counter_may_wrap_once_between_two_readings():
    assert delta(10.0, 25.0, wraps_at=None) == 15.0
    assert delta(90.0, 5.0, wraps_at=100.0) == 15.0
    assert delta(7.0, 7.0, wraps_at=100.0) == 0.0
    with pytest.raises(ValueError, match=r"went backwards, from 90.0 to 5.0"):
        delta(90.0, 5.0, wraps_at=None)


def test_a_series_is_cut_by_when_its_calls_began():
    begin = np.array([0, 10, 20, 30])
    series = Series(
        stream="counter",
        unit="J",
        t_before_ns=begin,
        t_after_ns=begin + 15,
        value=np.array([1.0, 2.0, 3.0, 4.0]),
    )
    cut = series.between(10, 20)
    assert (len(series), len(cut), cut.value.tolist(), cut.unit) == (4, 2, [2.0, 3.0], "J")
    assert cut.t_after_ns.tolist() == [25, 35]
    assert len(series.between(31, 40)) == 0


def test_a_runtimes_first_mode_on_a_device_is_its_default():
    spec = RuntimeSpec(
        name="o",
        engine="o",
        title="O",
        modes={"cuda": ("cuda",), "cpu": ("cpu",), "any": ("cpu", "cuda")},
        precisions=("fp32",),
        devices={"cpu": DeviceBuild(requirements="o.lock")},
    )
    assert spec.modes_on("cuda") == ("cuda", "any")
    assert spec.modes_on("cpu") == ("cpu", "any")
    assert spec.modes_on("tpu") == ()


def test_silence_is_an_observer():
    methods = [
        name for name, _ in inspect.getmembers(Observer, inspect.isfunction) if not name.startswith("_")
    ]
    assert set(methods) <= set(dir(Silence))
    silence: Observer = Silence()
    silence.note("x")
    silence.step("x")


def test_a_value_that_was_not_measured_is_none_and_never_zero():
    measured = {
        field.name: field.default
        for field in dataclasses.fields(Trial)
        if field.default is not dataclasses.MISSING
    }
    assert {
        value for name, value in measured.items() if name not in {"energy_scope", "doubts", "absent"}
    } == {None}
    assert measured["energy_scope"] == "none"


def test_records_cannot_be_changed():
    for record in (Trial, Doubt, Limits, Series, RuntimeSpec):
        assert record.__dataclass_params__.frozen
        assert record.__slots__


def test_the_error_tree_is_drawn_as_it_is():
    drawn = {line.split()[0].strip("│├└─ ") for line in _tree(errors.__doc__)}
    real = {name for name, _ in inspect.getmembers(errors, inspect.isclass)}
    assert drawn == real
    assert all(issubclass(getattr(errors, name), errors.GreenbenchError) for name in real)


def _tree(text):
    for line in text.splitlines():
        bare = line.strip("│├└─ ")
        if bare.partition(" ")[0].endswith("Error"):
            yield bare


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("GreenbenchError", 1),
        ("ConfigurationError", 2),
        ("NotBuiltError", 2),
        ("StateLockedError", 2),
        ("EngineUnavailableError", 2),
        ("DamagedResultsError", 1),
        ("FleetError", 1),
    ],
)
def test_exit_statuses_are_the_published_ones(name, status):
    assert getattr(errors, name).exit_status == status


def test_errors_keep_what_a_report_needs():
    died = errors.RuntimeDiedError("x", exit_status_of_runtime=137, out_of_memory=True, log_tail=("a", "b"))
    assert (died.exit_status_of_runtime, died.out_of_memory, died.log_tail) == (137, True, ("a", "b"))
    assert errors.BuildError("x", log_path="/l").log_path == "/l"
    assert errors.RuntimeCallError("x", code="NOT_FOUND").code == "NOT_FOUND"
    assert str(died) == "x"
    assert doubts.Verdict("failed") is Verdict.FAILED
