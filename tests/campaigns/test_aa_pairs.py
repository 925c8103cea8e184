import json
from argparse import Namespace
from dataclasses import replace
from types import SimpleNamespace

import pytest
from campaigns.aa_pairs import Pair, measure, measure_and_keep, pair_of, sides, summary, table
from tests.campaigns.simulated_gpu import ITERATION_S, WATTS, simulated_load

from greenbench.core.reading import Domain

PROTOCOL = {"gpu": "simulated", "cell": "pytorch.eager.resnet50.fp32.b64", "rounds": 2, "window_s": 0.3}


def windows(*joules):
    return [
        SimpleNamespace(
            iterations=10.0,
            energy={Domain.GPU: SimpleNamespace(joules=j)},
            counter_over_integral=j / 100,
        )
        for j in joules
    ]


def pair(difference, half=0.004, load=1):
    return Pair(
        difference=difference,
        low=difference - half,
        high=difference + half,
        joules_a=(1.0,),
        joules_b=(1.0,),
        load=load,
    )


def test_the_sides_alternate_so_that_a_steady_drift_cancels():
    assert sides(4) == "ABBAABBA"
    drifting = windows(*(100 + step for step in range(8)))
    found = pair_of(drifting, load=1)
    assert abs(found.difference) < 1e-3
    assert found.holds


def test_a_side_that_costs_more_is_seen():
    found = pair_of(windows(100, 103, 103.1, 100.1, 100, 102.9, 103, 99.9), load=2)
    assert found.difference == pytest.approx(0.03, abs=0.001)
    assert not found.holds
    assert found.low == pytest.approx(found.difference, abs=0.01)
    assert found.joules_a == (10.0, 10.01, 10.0, 9.99)
    assert found.over_power[:3] == (1.0, 1.03, 1.031)


def test_what_windows_scatter_by_is_told_beside_what_their_counter_does_over_power():
    found = replace(pair(0.001), joules_a=(1.0, 1.02), joules_b=(0.98, 1.0), over_power=(1.0, 1.001, 0.999))
    facts = {"protocol": PROTOCOL, "command": "x", "date": "y"}
    assert "scatter by 1.63% in the median (standard deviation), counter over the power" in table(
        summary([found], facts)
    )
    assert "between its edges by 0.10%." in table(summary([found], facts))
    # Pairs of a session before that was kept say nothing of it.
    older = replace(found, over_power=())
    assert "(standard deviation).\n" in table(summary([older], facts))


def test_seventeen_of_twenty_hold_and_the_median_is_small():
    good = [pair(0.001)] * 17 + [pair(0.02)] * 3
    assert summary(good, {})["as_promised"]
    assert not summary([*good[1:], pair(0.02)], {})["as_promised"]
    assert not summary([pair(0.006, half=0.01)] * 20, {})["as_promised"]


def asked(path, pairs):
    return Namespace(kept=path, pairs=pairs, rounds=2, window_s=0.3, pairs_per_load=2)


def test_pairs_of_a_simulated_gpu_hold_zero_and_a_second_session_goes_on(tmp_path):
    path = tmp_path / "aa.json"
    first = measure_and_keep(simulated_load, PROTOCOL, asked(path, 1))
    loads = []

    def load(number):
        loads.append(number)
        return simulated_load(number)

    both = measure_and_keep(load, PROTOCOL, asked(path, 2))
    assert loads == [2]
    assert both["pairs"][0]["joules_a"] == first["pairs"][0]["joules_a"]
    assert len(json.loads(path.read_text())["pairs"]) == 2
    assert "2 pairs in 2 load(s)" in path.with_suffix(".md").read_text()
    for found in both["pairs"]:
        assert found["joules_a"] + found["joules_b"] == pytest.approx([WATTS * ITERATION_S] * 4, rel=0.02)


def test_pairs_measured_otherwise_are_not_mixed(tmp_path):
    path = tmp_path / "aa.json"
    path.write_text(json.dumps({"protocol": PROTOCOL | {"rounds": 4}, "pairs": []}))
    with pytest.raises(SystemExit, match="name another --kept"):
        measure_and_keep(simulated_load, PROTOCOL, asked(path, 1))


def test_each_load_serves_so_many_pairs():
    found = list(measure(simulated_load, done=(), pairs=3, per_load=2, rounds=2, window_s=0.1))
    assert [one.load for one in found] == [1, 1, 2]


def test_the_table_says_what_is_not_as_promised():
    kept = summary([pair(0.02)], {"command": "c", "date": "d", "protocol": PROTOCOL})
    assert "0 of 1 intervals hold 0 (at least 85%)" in table(kept)
    assert "as promised: **no**" in table(kept)
    assert "| 1 | 1 | +2.000% | +1.600% to +2.400% | **no** |" in table(kept)
