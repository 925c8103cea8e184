"""What `make fleet` keeps and judges: its runs are made up here."""

from dataclasses import replace

import pytest
from benchmarks.scaling import Kept, Run, keep, read_kept, table, with_interval

RUN = Run(nodes=8, wall_s=125.0, ideal_s=120.0, ray_cpu=0.1, others_cpu=1.2, date="2026-11-25 09:00")
FRESH = Kept(command="the command", machine="a machine", work="Each node sleeps")


def walls(*seconds, nodes=8):
    return tuple(replace(RUN, nodes=nodes, wall_s=wall_s) for wall_s in seconds)


def test_an_interval_is_students_t_over_runs():
    # Mean 0.9, standard deviation 0.05; t of 2 degrees of freedom is 4.3027.
    assert with_interval([0.85, 0.90, 0.95]) == "0.900 (0.776 to 1.024)"
    assert with_interval([0.9]) == "0.900"


def test_the_limit_is_judged_with_eight_nodes_alone():
    assert not replace(FRESH, runs=walls(125.0)).missed
    slow = replace(FRESH, runs=walls(145.0, 150.0))
    assert slow.missed == "8 nodes are 0.814 efficient, promised is 0.85"
    assert "**no**: 8 nodes are 0.814" in table(slow)
    assert not replace(FRESH, runs=walls(600.0, nodes=4)).missed
    assert "At least" not in table(replace(FRESH, runs=walls(600.0, nodes=4)))


def test_a_row_has_all_runs_of_its_number_of_nodes():
    # Of 0.96 and 0.8889: t of 1 degree of freedom is 12.706.
    page = table(replace(FRESH, runs=(*walls(121.0, nodes=1), *walls(125.0, 135.0))))
    assert "| 1 | 1 | 120 | 121.0 (121.0 to 121.0) | 0.992 | 10.0% | 120% |" in page
    assert "| 8 | 2 | 120 | 130.0 (125.0 to 135.0) | 0.924 (0.473 to 1.376) | 10.0% | 120% |" in page
    assert "efficient with 8 nodes: yes." in page


def test_kept_runs_are_added_to_and_those_measured_otherwise_are_not(tmp_path):
    file = tmp_path / "fleet.json"
    assert read_kept(file, FRESH) == FRESH
    kept = replace(FRESH, runs=walls(125.0))
    keep(file, kept)
    assert read_kept(file, FRESH) == kept
    assert file.with_suffix(".md").read_text() == table(kept)
    more = replace(FRESH, command="another command")
    assert read_kept(file, more) == replace(kept, command="the command; another command")
    with pytest.raises(SystemExit, match="asked is"):
        read_kept(file, replace(FRESH, work="Each node works"))
