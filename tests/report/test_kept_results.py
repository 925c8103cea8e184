"""Results of every released schema stay readable: the runs kept in ``docs/results`` (schema 1 so far)."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from greenbench.bench.verify import verify_run
from greenbench.cli import app
from greenbench.core.errors import DamagedResultsError
from greenbench.report.comparison import compare, open_side
from greenbench.report.document import read_document
from greenbench.results.manifest import SCHEMA_VERSION
from greenbench.results.parts import read_rows, write_rows
from greenbench.results.rows import row_of
from greenbench.results.schema import TRIALS
from greenbench.results.stored import StoredRun

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


@pytest.fixture
def current(copy):
    """The oldest kept run as it would be written today: with every column there is now."""
    write_rows(copy.path / "trials.parquet", TRIALS, map(row_of, StoredRun(copy.path).final_trials()))
    copy.manifest(run_id="current")
    return copy.path


def test_an_older_and_a_current_run_are_told_asked_and_compared_together(kept, current, tmp_path):
    columns = [set(next(iter(read_rows(run / "trials.parquet")))) for run in (kept, current)]
    assert columns[0] < columns[1] == set(TRIALS.names)
    old, new = str(kept), str(current)
    page = tmp_path / "page.html"
    ended = CliRunner().invoke(app, ["report", old, new, "--html", str(page)])
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "current" in page.read_text()
    for newest in sorted(columns[1] - columns[0]):
        asked = [
            CliRunner().invoke(app, ["query", run, f"FROM trials SELECT {newest}", "--json"])
            for run in (old, new)
        ]
        assert [one.exit_code for one in asked] == [0, 0], newest
        assert asked[0].stdout == asked[1].stdout
    compared = compare(open_side(old, kept.parent), open_side(new, current.parent)).cells
    judged = [pair for pair in compared if pair.energy]
    assert len(judged) > 3
    assert all(pair.energy.ratio == pytest.approx(1) and not pair.refused for pair in judged)


@pytest.mark.parametrize("version", [0, 2, 99, None, "1"])
def test_another_schema_is_one_line_with_its_value_and_the_remedy(copy, version):
    copy.manifest(schema_version=version, greenbench_version="7.8.9")
    run = str(copy.path)
    commands = (
        ["report", run], ["status", run], ["verify", run], ["query", run, "SELECT 1"], ["export", run],
        ["compare", run, run], ["gate", "--baseline", run, run],
    )  # fmt: skip
    for command in commands:
        ended = CliRunner().invoke(app, command)
        # `verify` tells it among all that it finds; the others end with it.
        raised = isinstance(ended.exception, DamagedResultsError)
        assert raised is (command[0] != "verify")
        lines = str(ended.exception).splitlines() if raised else ended.output.splitlines()
        (said,) = [line for line in lines if raised or "schema version" in line]
        told = f"schema version {version}; this greenbench reads 1; use the greenbench that wrote it (7.8.9)"
        assert told in said, command
