import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from greenbench.core.doubt import Verdict
from greenbench.core.errors import ConfigurationError, DamagedResultsError, GreenbenchError
from greenbench.core.trial import Baseline
from greenbench.results import parts
from greenbench.results.folder import RunFolder
from greenbench.results.parts import READINGS_KIND, consolidate
from greenbench.results.runs import find_run, new_run_id, newest_run
from greenbench.results.schema import ITERATIONS, READINGS

B0 = Baseline(
    kind="B0",
    load_id=None,
    domain="gpu",
    begin_ns=1,
    end_ns=2,
    power_w=72.0,
    standard_error_w=0.1,
    settled=True,
)
FILES = {
    "manifest.json",
    "events.jsonl",
    "trials.parquet",
    "readings.parquet",
    "iterations.parquet",
    "baselines.parquet",
    "parity.json",
}


def one_load(run, make, load_id="r01.c", **more):
    attempt = run.start_load(load_id, position=0)
    row = make.trial(load_id=load_id, trial_id=f"{load_id}.a{attempt}.w1", attempt=attempt, **more)
    run.add_trial(row, make.iterations(load_id), [make.series(), make.series("counter", 2, "J")])
    run.finish_load(load_id, attempt=attempt)
    return row


def test_a_finished_run_holds_every_published_file_and_no_parts(run, make):
    one_load(run, make)
    run.add_baselines([B0])
    run.add_parity({"runtime": "pytorch", "relative_error": 1e-7})
    run.finish()
    assert {item.name for item in run.path.iterdir()} == FILES
    assert pq.read_table(run.path / "trials.parquet")["cell_id"].to_pylist() == ["c"]
    readings = pq.read_table(run.path / "readings.parquet")
    assert readings.schema.equals(READINGS)
    assert readings["stream"].to_pylist() == ["instant"] * 3 + ["counter"] * 2
    assert set(readings["load_id"].to_pylist()) == {"r01.c"}
    ends = pq.read_table(run.path / "iterations.parquet")
    assert ends.schema.equals(ITERATIONS)
    assert ends["end_ns"].to_pylist() == [0, 7, 14, 21]
    assert pq.read_table(run.path / "baselines.parquet")["power_w"].to_pylist() == [72.0]
    assert json.loads((run.path / "parity.json").read_text())["cells"][0]["runtime"] == "pytorch"
    column = pq.ParquetFile(run.path / "readings.parquet").metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_an_empty_run_has_every_file_too(run):
    run.finish()
    assert {item.name for item in run.path.iterdir()} == FILES
    assert pq.read_table(run.path / "trials.parquet").num_rows == 0


def test_a_trial_is_on_disk_when_add_trial_returns_even_if_the_process_is_killed(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from dataclasses import replace
from pathlib import Path
from conftest import iterations, manifest, series, trial
from greenbench.results.folder import RunFolder
run = RunFolder.create(Path({str(tmp_path)!r}), "run", manifest())
run.start_load("r01.c", position=0)
run.add_trial(trial(), iterations(), [series()])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with RunFolder.resume("run", tmp_path) as run:
        assert [item.trial_id for item in run.trials()] == ["r01.c.a1.w1"]
        assert sum(len(batch) for batch in run.readings()) == 3
        assert run.finished_loads() == frozenset()
        assert run.start_load("r01.c", position=0) == 2


def test_raw_data_is_on_disk_before_the_trial_event(run, make, monkeypatch):
    seen: list[set[str]] = []
    real = run.log
    monkeypatch.setattr(
        run,
        "log",
        lambda *a, **k: (seen.append({p.name for p in (run.path / "parts").iterdir()}), real(*a, **k)),
    )
    run.add_trial(make.trial(), make.iterations(), [make.series()])
    both = {"r01.c.a1.readings.parquet", "r01.c.a1.iterations.parquet"}
    assert seen == [both, both]  # what was recorded, by its digest; then the trial


def test_an_unfinished_run_reads_from_log_and_parts(run, make):
    row = one_load(run, make)
    stored = RunFolder.open("run", run.path.parent)
    assert stored.trials() == stored.final_trials() == (row,)
    assert sum(len(batch) for batch in stored.readings()) == 5
    assert stored.finished_loads() == {"r01.c"}
    with pytest.raises(ValueError, match="reading only"):
        stored.log("x")


def test_finishing_twice_changes_nothing(run, make):
    one_load(run, make)
    run.finish()
    before = {item.name: item.read_bytes() for item in run.path.iterdir()}
    run.finish()
    assert {item.name: item.read_bytes() for item in run.path.iterdir()} == before


def test_a_run_goes_on_after_an_interruption_and_nothing_is_doubled(run, make):
    one_load(run, make)
    run.finish(interrupted=True)
    run.close()
    with RunFolder.resume(run.path, Path("elsewhere")) as again:
        one_load(again, make, "r02.c")
        assert sum(len(batch) for batch in again.readings()) == 10
        assert len(again.final_trials()) == 2
        again.finish()
        assert [item["event"] for item in again.events("run_interrupted", "run_finished")] == [
            "run_interrupted",
            "run_finished",
        ]
    assert (
        pq.read_table(run.path / "readings.parquet")["load_id"].to_pylist() == ["r01.c"] * 5 + ["r02.c"] * 5
    )
    assert pq.read_table(run.path / "trials.parquet").num_rows == 2


def test_a_crash_between_joining_and_removing_parts_doubles_nothing(run, make, monkeypatch):
    one_load(run, make)
    monkeypatch.setattr(parts, "_remove_parts", lambda *_: None)
    consolidate(run.path, READINGS_KIND)
    assert len(READINGS_KIND.parts_in(run.path)) == 1
    assert sum(len(batch) for batch in run.readings()) == 5
    monkeypatch.undo()
    run.finish()
    assert pq.read_table(run.path / "readings.parquet").num_rows == 5


def test_joining_streams_in_row_groups(run, make, monkeypatch):
    monkeypatch.setattr(parts, "_ROWS_AT_ONCE", 10)
    for number in range(1, 6):
        run.add_raw(f"r{number:02d}.c", attempt=1, iterations=None, readings=[make.series(count=25)])
    run.finish()
    metadata = pq.ParquetFile(run.path / "readings.parquet").metadata
    assert metadata.num_rows == 125
    assert max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)) <= 20


def test_a_damaged_part_is_named_and_the_others_are_kept(run, make):
    one_load(run, make)
    part = run.path / "parts" / "r01.c.a1.readings.parquet"
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(DamagedResultsError, match=r"r01\.c\.a1\.readings\.parquet cannot be read"):
        run.finish()
    assert not (run.path / "readings.parquet").exists()
    assert len(run.trials()) == 1


def test_a_part_left_by_a_crash_while_writing_is_not_read(run, make):
    one_load(run, make)
    (run.path / "parts" / "r02.c.a1.readings.parquet.tmp").write_bytes(b"torn")
    run.finish()
    assert not (run.path / "parts").exists()


def test_a_reading_that_says_nothing_is_null(run, make):
    silent = replace(make.series(), value=np.array([1.0, np.nan, 2.0]))
    run.add_raw("r01.c", attempt=1, iterations=None, readings=[silent])
    run.finish()
    assert pq.read_table(run.path / "readings.parquet")["value"].to_pylist() == [1.0, None, 2.0]


def test_what_is_read_between_loads_has_no_load(run, make):
    run.add_baselines([B0], [make.series()])
    run.add_baselines([B0], [make.series()])
    run.finish()
    table = pq.read_table(run.path / "readings.parquet")
    assert table["load_id"].to_pylist() == [None] * 6
    assert table["attempt"].to_pylist() == [1, 1, 1, 2, 2, 2]
    assert run.baselines() == (replace(B0, host_id="h"),) * 2


def test_columns_known_only_at_the_end_are_derived_and_the_log_stays(run, make):
    row = one_load(run, make)
    run.finish(derive=lambda trials, _: tuple(replace(item, energy_gpu_net_b0_j=3.0) for item in trials))
    assert run.trials() == (row,)
    assert run.final_trials()[0].energy_gpu_net_b0_j == 3.0


def test_the_newest_parity_of_a_cell_stands(run):
    cell = {"runtime": "pytorch", "mode": "eager", "model": "resnet50", "precision": "fp32"}
    run.add_parity(cell | {"relative_error": 1.0})
    run.add_parity(cell | {"relative_error": 1e-7})
    run.add_parity(cell | {"model": "bert_base", "relative_error": 2.0})
    assert [item["relative_error"] for item in run.parity()] == [1e-7, 2.0]


def test_a_full_disk_keeps_what_was_finished(run, make, monkeypatch):
    one_load(run, make)
    real = os.fsync

    def full(fd):
        if ".readings." in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GreenbenchError, match=r"readings\.parquet: the disk is full.*--resume") as caught:
        run.add_trial(make.trial(load_id="r02.c"), make.iterations("r02.c"), [make.series()])
    monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert [item.load_id for item in run.trials()] == ["r01.c"]
    assert not list((run.path / "parts").glob("r02*"))


def test_a_folder_is_never_taken_twice(run, make):
    with pytest.raises(ConfigurationError, match="already there; use --resume run"):
        RunFolder.create(run.path.parent, "run", make.manifest())


def test_a_run_is_found_by_id_by_folder_or_as_the_newest(run, make):
    out = run.path.parent
    RunFolder.create(out, "sun", make.manifest("sun")).close()
    assert find_run("run", out) == find_run(run.path, Path("elsewhere")) == run.path
    assert newest_run(out) == out / "sun"
    with pytest.raises(ConfigurationError, match=r"no run 'nope'; the newest in .* are sun, run"):
        RunFolder.open("nope", out)
    with pytest.raises(ConfigurationError, match="there are no runs in"):
        newest_run(out / "run")


def test_a_run_id_sorts_by_time_and_differs_by_chance():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = new_run_id("quick", moment)
    assert first.startswith("20260102T030405Z-quick-")
    assert len({new_run_id("quick", moment) for _ in range(20)}) > 1


def test_a_failed_trial_is_a_row_like_any_other(run, make):
    row = make.trial(verdict=Verdict.FAILED, failure="the container died (exit status 137)")
    run.add_trial(row)
    run.finish()
    assert run.final_trials() == (row,)


def test_files_that_a_crash_tore_are_removed_when_the_run_is_resumed_and_by_nobody_who_only_reads(
    make, tmp_path
):
    with RunFolder.create(tmp_path, "run", make.manifest()) as folder:
        folder.add_trial(make.trial(), make.iterations(), [make.series()])
        kept = folder.trials()
    torn = [
        tmp_path / "run" / "manifest.json.tmp",
        tmp_path / "run" / "parts" / "r02.c.a1.readings.parquet.tmp",
    ]
    for path in torn:
        path.write_bytes(b"PAR1 half of it")
    with RunFolder.open("run", tmp_path):
        assert all(path.exists() for path in torn)
    with RunFolder.resume("run", tmp_path) as again:
        assert not any(path.exists() for path in torn)
        assert again.trials() == kept
