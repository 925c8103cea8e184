"""Results of every released schema stay readable: the runs kept in ``docs/results`` (schema 1 so far)."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from greenbench.bench.verify import verify_run
from greenbench.cli import app
from greenbench.report.comparison import compare, open_side
from greenbench.report.document import read_document
from greenbench.results.manifest import SCHEMA_VERSION

KEPT = sorted(path.parent for path in Path(__file__).parents[2].glob("docs/results/*/manifest.json"))


def test_every_schema_up_to_todays_has_a_kept_run():
    kept = {json.loads((run / "manifest.json").read_text())["schema_version"] for run in KEPT}
    assert kept == set(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("run", KEPT, ids=lambda run: run.name)
def test_a_kept_run_is_verified_reported_queried_and_compared(run):
    assert verify_run(run).findings == ()
    trials = read_document(run).trials
    assert trials
    ended = CliRunner().invoke(app, ["query", str(run), "select count(*) as n from trials", "--json"])
    assert ended.exit_code == 0, ended.output
    assert str(len(trials)) in ended.output
    compared = compare(open_side(str(run), run.parent), open_side(str(run), run.parent)).cells
    assert {pair.a for pair in compared} == {trial.cell_id for trial in trials}
    assert all(pair.a == pair.b and not pair.refused for pair in compared)
