import csv
import fcntl
import io
import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from greenbench.cli import app
from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.report.outcome import outcome_json
from greenbench.report.publish import Outputs, follow, publish
from greenbench.report.tariff import Tariff
from greenbench.report.telling import tell, write_page
from greenbench.results.stored import StoredRun
from greenbench.results.views import RunViews

EVIL = "<script>alert(1)</script>"


def page_of(folder, tmp_path, tariff=None):
    target = tmp_path / "page.html"
    published = publish([folder], Outputs(html=target), tariff or Tariff())
    return target.read_text(), published.problems


def test_the_page_names_no_address_outside_itself(kept, tmp_path):
    page, problems = page_of(kept, tmp_path)
    assert not problems
    head = page[: page.index('<script type="module">')]
    assert "http:" not in head
    assert "https:" not in head
    assert "default-src 'none'" in head


def test_names_in_results_are_escaped(copy, tmp_path):
    copy.change(lambda trial: trial.update(mode=EVIL, failure=trial["failure"] and EVIL))
    copy.manifest(run_id=EVIL, absent={"cpu": EVIL})
    page, _ = page_of(copy.path, tmp_path)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\\u003cscript>alert(1)" in page


def test_a_damaged_table_is_named_and_the_rest_is_told(copy, tmp_path):
    (copy.path / "readings.parquet").write_bytes(b"PAR1 torn")
    page, problems = page_of(copy.path, tmp_path)
    assert len(problems) == 1
    assert "readings.parquet" in problems[0]
    assert "0.3921" in page


@pytest.mark.parametrize("column", ["stream", "value"])
def test_damage_inside_the_readings_is_named_and_the_rest_is_told(copy, tmp_path, column):
    path = copy.path / "readings.parquet"
    group = pq.ParquetFile(path).metadata.row_group(0)
    (chunk,) = [group.column(n) for n in range(group.num_columns) if group.column(n).path_in_schema == column]
    data = bytearray(path.read_bytes())
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data[begin : begin + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(data)
    page, problems = page_of(copy.path, tmp_path)
    assert any("readings.parquet" in problem for problem in problems)
    assert "0.3921" in page
    views = RunViews(StoredRun(copy.path))
    with views, pytest.raises(DamagedResultsError, match="a file of the run cannot be read"):
        views.query("SELECT sum(value), max(stream), sum(t_before_ns), sum(t_after_ns) FROM readings")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("baselines.parquet", b"PAR1 torn"),
        ("baselines.parquet", b""),
        ("parity.json", b'{"cells": ['),
        ("parity.json", b"\xff\xfe"),
        ("parity.json", b"[]"),
        ("parity.json", b'{"cells": null}'),
    ],
)
def test_damaged_baselines_and_parity_are_named_and_told_from_the_log(copy, tmp_path, kept, name, content):
    (copy.path / name).write_bytes(content)
    page, (problem,) = page_of(copy.path, tmp_path)
    assert name in problem
    assert "\n" not in problem
    assert "told from events.jsonl" in problem
    whole, _ = page_of(kept, tmp_path)
    assert page.count("baseline B0") == whole.count("baseline B0") > 0
    assert page.count("<tr>") == whole.count("<tr>")


def test_a_damaged_table_is_one_line_of_report_and_of_query(copy):
    (copy.path / "parity.json").write_text("{")
    for command in (("report", str(copy.path)), ("query", str(copy.path), "SELECT 1")):
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 1
        complaints = [line for line in ended.stderr.splitlines() if line.startswith("greenbench: ")]
        assert len(complaints) == 1
        assert "parity.json" in complaints[0]


def test_damaged_trials_are_told_from_the_log(copy, tmp_path):
    (copy.path / "trials.parquet").write_bytes(b"torn")
    page, problems = page_of(copy.path, tmp_path)
    assert any("trials.parquet" in problem for problem in problems)
    assert "0.3921" in page


def test_a_run_of_another_version_is_named_beside_those_that_are_told(copy, kept, tmp_path):
    copy.manifest(schema_version=99)
    target = tmp_path / "page.html"
    published = publish([copy.path, kept], Outputs(html=target), Tariff())
    assert "schema version 99" in published.problems[0]
    assert "schema version 99" in target.read_text()
    with pytest.raises(DamagedResultsError, match="schema version 99"):
        publish([copy.path], Outputs(html=target), Tariff())


def test_no_energy_says_why_and_marks_the_fastest(no_energy, tmp_path):
    page, _ = page_of(no_energy.path, tmp_path)
    assert "no NVIDIA driver here" in page
    assert "the highest mean" in page


def test_tables_hold_every_cell(copy, tmp_path):
    copy.change(lambda trial: trial.update(mode="a|b_c") if trial["runtime"] == "pytorch" else None)
    outputs = Outputs(csv=tmp_path / "t.csv", markdown=tmp_path / "t.md", latex=tmp_path / "t.tex")
    publish([copy.path], outputs, Tariff())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert len(rows) == 12
    assert {row["energy_scope"] for row in rows} == {"gpu"} | {"none"} & {row["energy_scope"] for row in rows}
    assert float(next(row for row in rows if row["marked"])["energy_j_per_sample"]) > 0
    assert "a\\|b\\_c" in (tmp_path / "t.md").read_text()
    assert "a|b\\_c" in (tmp_path / "t.tex").read_text()


def test_tables_hold_the_comparisons_and_claims_too(kept, tmp_path):
    outputs = Outputs(csv=tmp_path / "t.csv", markdown=tmp_path / "t.md", latex=tmp_path / "t.tex")
    published = publish([kept], outputs, Tariff())
    assert {file.name for file in published.files} == {
        "t.csv", "t-comparisons.csv", "t-claims.csv", "t.md", "t.tex",
    }  # fmt: skip
    comparisons, claims = (
        list(csv.DictReader(io.StringIO((tmp_path / f"t-{name}.csv").read_text())))
        for name in ("comparisons", "claims")
    )
    one = next(row for row in comparisons if row["ratio"] and row["quantity"] == "energy")
    assert float(one["ratio"]) == pytest.approx(1.018, abs=0.001)
    assert (one["low"], one["outcome"], one["rounds"]) == ("", "open", "2")
    assert [row["claim"] for row in claims] == [f"C{number}" for number in range(1, 10)]
    assert {row["decision"] for row in claims} == {"not measured", "inconclusive"}
    for name in ("t.md", "t.tex"):
        text = (tmp_path / name).read_text()
        assert "C9" in text
        assert "RQ2" in text
    assert (tmp_path / "t.tex").read_text().count("\\begin{tabular}") == 4


def test_the_terminal_answers_the_questions_and_decides_the_claims(kept, capsys):
    tell([kept], Outputs(), Tariff(), watch=False)
    said = capsys.readouterr().out
    assert "RQ1. Do the frameworks differ? Not measured" in said
    assert "ONNX Runtime CUDA from PyTorch came to 9.4% more energy per sample" in said
    assert "C9 not measured: PyTorch's ran; TensorFlow's was not tried" in said
    assert said.rstrip().splitlines()[-1].startswith("files: ")


def test_json_holds_the_questions_and_claims(kept):
    study = outcome_json(kept)["study"]
    assert [one["name"] for one in study["questions"]] == ["RQ1", "RQ2", "RQ3"]
    assert json.loads(json.dumps(study)) == study


def test_a_folder_that_cannot_be_made_is_one_line(kept, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        publish([kept], Outputs(csv=tmp_path / "file" / "t.csv"), Tariff())


def test_without_outputs_the_terminal_answers(kept, capsys):
    assert tell([kept], Outputs(), Tariff(), watch=False) == ()
    assert "cheapest" in capsys.readouterr().out


def test_watch_writes_anew_until_the_run_has_ended(copy, tmp_path):
    log = copy.path / "events.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    assert json.loads(lines[-1])["event"] == "run_finished"
    log.write_text("".join(lines[:-3]))
    seen, pauses = [], []

    def pause(seconds):
        pauses.append(seconds)
        log.write_text("".join(lines[: -1 if len(pauses) == 1 else None]))

    outputs = Outputs(csv=tmp_path / "t.csv")
    with log.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the process that writes it does
        follow([copy.path], outputs, Tariff(), seen=seen.append, pause=pause)
    assert len(seen) == 3
    assert len(pauses) == 2


def test_watching_a_run_whose_writer_is_gone_ends(copy, tmp_path):
    log = copy.path / "events.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    seen = []
    follow([copy.path], Outputs(csv=tmp_path / "t.csv"), Tariff(), seen=seen.append, pause=pytest.fail)
    assert len(seen) == 1


def test_a_page_that_cannot_be_written_fails_no_run(copy):
    (copy.path / "manifest.json").write_text("{")
    page, problems = write_page(copy.path)
    assert page is None
    assert "manifest.json" in problems[0]
