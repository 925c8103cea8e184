import pytest

from greenbench.core.errors import ConfigurationError
from greenbench.report.queried import export_run, query_run
from greenbench.results.stored import StoredRun
from greenbench.results.views import VIEWS, RunViews


@pytest.fixture
def measured(run, make):
    for number in (1, 2):
        run.add_raw(
            f"r0{number}.c", attempt=1, iterations=make.iterations(), readings=[make.series(count=10)]
        )
        run.add_trial(make.trial(trial_id=f"t{number}", load_id=f"r0{number}.c", round=number))
    return run


def test_every_documented_view_is_there(measured):
    with RunViews(StoredRun(measured.path)) as views:
        assert set(views.names) == set(VIEWS)


def test_a_run_that_goes_on_and_a_finished_one_answer_alike(measured):
    sql = "SELECT count(*), max(value) FROM readings"
    before = query_run(measured.path, sql)
    measured.finish()
    assert query_run(measured.path, sql) == before
    assert before[0].rows == ((20, 2.0),)


def test_a_refused_query_names_the_views(measured):
    with pytest.raises(ConfigurationError, match=r"trails.*views: .*trials"):
        query_run(measured.path, "SELECT * FROM trails")


def test_a_damaged_file_is_named_and_the_rest_answers(measured):
    measured.finish()
    (measured.path / "readings.parquet").write_bytes(b"torn")
    found, damaged = query_run(measured.path, "SELECT count(*) FROM trials")
    assert found.rows == ((2,),)
    assert "readings.parquet" in damaged[0]


def test_the_envelope_holds_every_reading(measured):
    with RunViews(StoredRun(measured.path)) as views:
        bins = views.envelope("instant", bins=4)
        assert len(bins) == 4
        assert sum(item.readings for item in bins) == 20
        assert (min(item.low for item in bins), max(item.high for item in bins)) == (1.0, 2.0)


def test_export_writes_what_reads_back(measured, tmp_path):
    files, damaged = export_run(measured.path, tmp_path / "out", suffix="csv")
    assert not damaged
    assert {file.name for file in files} >= {"trials.csv", "readings.csv", "doubts.csv"}
    assert len((tmp_path / "out" / "readings.csv").read_text().splitlines()) == 21
    with pytest.raises(ConfigurationError, match="allowed: csv, json, parquet"):
        export_run(measured.path, tmp_path, suffix="xls")
