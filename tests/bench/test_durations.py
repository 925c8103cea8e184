from dataclasses import replace

import pytest
from tests.bench.test_planning import plan, suite

from greenbench.bench.durations import UNKNOWN_OVERHEAD_S, Durations


@pytest.fixture
def durations(tmp_path):
    return Durations(tmp_path / "durations.json")


def protocol_of(made, **changes):
    values = {"window_s": 10.0, "windows": 2, "baseline_loaded_s": 5.0, "baseline_host_s": 600.0}
    return replace(made.protocol, **values | changes)


def test_every_later_baseline_is_counted(durations):
    made = plan(suite())
    protocol = protocol_of(made, baseline_every_s=100.0)
    loads = len(made.loads) * (UNKNOWN_OVERHEAD_S + 25.0)
    assert durations.total_s(made.loads, protocol) == loads + (1 + loads // 100) * 600.0


def test_a_suite_with_one_baseline_has_no_later_one(durations):
    made = plan(suite())
    protocol = protocol_of(made, baseline_every_s=0.0)
    assert durations.total_s(made.loads, protocol) == len(made.loads) * (UNKNOWN_OVERHEAD_S + 25.0)


def test_what_a_load_took_replaces_the_guess(durations):
    made = plan(suite(runtime=["pytorch"]))
    protocol = protocol_of(made, baseline_every_s=0.0)
    durations.learn(made.cells[0], protocol, 40.0)
    assert durations.known(made.cells[0])
    assert durations.total_s(made.loads, protocol) == pytest.approx(40.0 * len(made.loads))


def test_the_first_baseline_is_counted_once_and_none_without_an_energy(durations, tmp_path):
    made = plan(suite(runtime=["pytorch"]))
    protocol = protocol_of(made, baseline_every_s=0.0)
    loads = len(made.loads) * (UNKNOWN_OVERHEAD_S + 25.0)
    assert durations.run_s(made.loads, protocol) == loads + 600.0
    blind = Durations(tmp_path / "none.json", idles=False)
    assert blind.run_s(made.loads, protocol) == loads - len(made.loads) * 5.0
    blind.learn(made.cells[0], protocol, 40.0)
    assert blind.run_s(made.loads, protocol) == pytest.approx(40.0 * len(made.loads))


def test_a_full_disk_costs_the_estimate_and_not_the_load(durations, tmp_path):
    made = plan(suite(runtime=["pytorch"]))
    (tmp_path / "durations.partial").symlink_to("/dev/full")
    durations.learn(made.cells[0], protocol_of(made), 40.0)
    assert durations.known(made.cells[0])
    assert list(tmp_path.iterdir()) == []
