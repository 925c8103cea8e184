from dataclasses import replace
from types import SimpleNamespace

import pytest

from greenbench.core.doubt import Rule, Verdict
from greenbench.energy.validity import DEFAULT_LIMITS, judge, limits_from
from greenbench.energy.window import Window

GOOD = {
    "begin_ns": 0,
    "end_ns": 10_000_000_000,
    "iterations": 500.0,
    "edge_source": "counter",
    "sensor_periods": 100.0,
    "rate_halves": 0.001,
    "power_halves": 0.001,
    "counter_over_integral": 1.0,
    "instant_readings": 100,
    "iteration_over_period": 0.14,
    "throttled_share": 0.0,
    "foreign_processes": 0.0,
    "others_cores": 0.01,
    "steal_share": 0.0,
    "gaps": {"instant": 1.2},
}


def doubts(**changes):
    return {doubt.rule: doubt for doubt in judge(Window(**GOOD | changes), DEFAULT_LIMITS)}


def test_a_good_window_raises_no_doubt():
    assert doubts() == {}


@pytest.mark.parametrize(
    ("changes", "rule", "verdict"),
    [
        ({"sensor_periods": 99.0}, Rule.TOO_SHORT, Verdict.DOUBTFUL),
        ({"sensor_periods": 9.0}, Rule.TOO_SHORT, Verdict.INVALID),
        ({"iterations": 31.0}, Rule.TOO_SHORT, Verdict.DOUBTFUL),
        ({"iterations": 2.5}, Rule.TOO_SHORT, Verdict.INVALID),
        ({"rate_halves": 0.006}, Rule.NOT_STEADY, Verdict.DOUBTFUL),
        ({"power_halves": 0.06}, Rule.NOT_STEADY, Verdict.INVALID),
        ({"power_halves": 0.06, "power_halves_u95": 0.02}, Rule.NOT_STEADY, Verdict.DOUBTFUL),
        ({"counter_over_integral": 1.04}, Rule.SENSOR_DISAGREEMENT, Verdict.DOUBTFUL),
        ({"counter_over_integral": 0.89}, Rule.SENSOR_DISAGREEMENT, Verdict.INVALID),
        ({"iteration_over_period": 0.51}, Rule.PERIOD_LOCKED, Verdict.DOUBTFUL),
        ({"iteration_over_period": 2.05}, Rule.PERIOD_LOCKED, Verdict.DOUBTFUL),
        ({"throttled_share": 0.01, "throttled_readings": 2}, Rule.THROTTLED, Verdict.DOUBTFUL),
        ({"throttled_share": 0.06, "throttled_readings": 2}, Rule.THROTTLED, Verdict.INVALID),
        ({"throttled_share": 0.08, "throttled_readings": 1}, Rule.THROTTLED, Verdict.DOUBTFUL),
        ({"foreign_processes": 1.0}, Rule.FOREIGN_PROCESS, Verdict.INVALID),
        ({"others_cores": 0.2}, Rule.BUSY_HOST, Verdict.DOUBTFUL),
        ({"steal_share": 0.02}, Rule.BUSY_HOST, Verdict.DOUBTFUL),
        ({"steal_share": 0.11}, Rule.BUSY_HOST, Verdict.INVALID),
        ({"gaps": {"instant": 2.5}}, Rule.GAP, Verdict.DOUBTFUL),
        ({"gaps": {"instant": 11.0}}, Rule.GAP, Verdict.INVALID),
        ({"counter_resets": ("counter went backwards",)}, Rule.COUNTER_RESET, Verdict.INVALID),
        ({"unwrapped_ok": False}, Rule.NO_WRAP_HANDLING, Verdict.DOUBTFUL),
    ],
)
def test_each_rule_has_its_case_with_value_and_limit(changes, rule, verdict):
    found = doubts(**changes)
    assert set(found) == {rule}
    assert found[rule].verdict is verdict
    assert rule in found[rule].sentence


def test_with_few_readings_of_power_the_limit_widens():
    assert Rule.SENSOR_DISAGREEMENT not in doubts(counter_over_integral=1.05, instant_readings=12)
    assert Rule.SENSOR_DISAGREEMENT in doubts(counter_over_integral=1.07, instant_readings=12)


def test_a_window_without_sensors_is_judged_by_what_there_is():
    bare = Window(begin_ns=0, end_ns=10_000_000_000, iterations=100.0, edge_source="runtime")
    assert judge(bare, DEFAULT_LIMITS) == ()


def test_a_suite_changes_one_limit_and_leaves_the_other():
    limits = limits_from({"not_steady": SimpleNamespace(doubtful=None, invalid=0.5)})
    assert limits[Rule.NOT_STEADY].doubtful == DEFAULT_LIMITS[Rule.NOT_STEADY].doubtful
    assert limits[Rule.NOT_STEADY].invalid == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"sensor_periods": 100.0, "iterations": 32.0},
        {"rate_halves": 0.005, "power_halves": 0.005},
        {"power_halves": 0.024, "power_halves_u95": 0.02},
        {"counter_over_integral": 1.029},
        {"counter_over_integral": 0.971},
        {"iteration_over_period": 0.5 * 1.051},
        {"iteration_over_period": 5.0},
        {"throttled_share": 0.0, "foreign_processes": 0.0},
        {"others_cores": 0.1, "steal_share": 0.01},
        {"gaps": {"instant": 2.0, "utilisation": 1.0}},
        {"counter_resets": (), "unwrapped_ok": True},
    ],
)
def test_at_its_limit_no_rule_is_broken(changes):
    assert doubts(**changes) == {}


def test_a_doubt_names_the_value_and_the_limit_that_it_passed():
    found = doubts(throttled_share=0.06, throttled_readings=2)[Rule.THROTTLED]
    assert (found.value, found.limit) == (0.06, 0.05)
    assert "0.06" in found.sentence
    assert "0.05" in found.sentence


def test_of_two_doubts_of_one_rule_the_gravest_stays():
    for changes in (
        {"rate_halves": 0.006, "power_halves": 0.06},
        {"rate_halves": 0.06, "power_halves": 0.006},
    ):
        assert doubts(**changes)[Rule.NOT_STEADY].verdict is Verdict.INVALID


@pytest.mark.parametrize("ratio", [1.0, 0.97, 1.04, 2.0, 3.1, 4.0, 0.5, 1 / 3, 0.25])
def test_every_simple_fraction_of_the_sensors_period_locks(ratio):
    assert doubts(iteration_over_period=ratio)[Rule.PERIOD_LOCKED].verdict is Verdict.DOUBTFUL


def test_the_widest_gap_of_all_streams_counts():
    assert doubts(gaps={"a": 1.0, "b": 3.0, "c": 2.0})[Rule.GAP].value == 3.0


@pytest.mark.parametrize(("readings", "widened"), [(12, (50 / 12) ** 0.5), (50, 1.0), (500, 1.0)])
def test_the_limit_widens_with_the_root_of_the_readings_that_lack(readings, widened):
    found = doubts(counter_over_integral=1.3, instant_readings=readings)[Rule.SENSOR_DISAGREEMENT]
    assert found.limit == pytest.approx(0.1 * widened)
    assert found.value == pytest.approx(0.3)


def test_every_rule_has_limits():
    assert set(DEFAULT_LIMITS) == set(Rule)


def test_a_suites_limit_keeps_its_rules_direction():
    limits = limits_from({"too_short": SimpleNamespace(doubtful=200, invalid=None)})
    assert limits[Rule.TOO_SHORT] == replace(DEFAULT_LIMITS[Rule.TOO_SHORT], doubtful=200)
    found = judge(Window(**GOOD | {"sensor_periods": 150.0}), limits)
    assert [(doubt.rule, doubt.verdict) for doubt in found] == [(Rule.TOO_SHORT, Verdict.DOUBTFUL)]
