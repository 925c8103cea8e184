import json
import socket

import pytest

from greenbench.core.doubt import Verdict
from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.results.folder import RunFolder
from greenbench.results.host import git_commit, host_facts, host_id
from greenbench.results.manifest import RuntimeEntry, ThresholdEntry, read_manifest
from greenbench.results.status import status_of


def test_a_manifest_comes_back_as_it_was(tmp_path, make):
    path = tmp_path / "manifest.json"
    written = make.manifest().model_copy(
        update={
            "runtimes": {"pytorch": RuntimeEntry(launcher="venv", packages={"torch": "2.9"})},
            "thresholds": {"gap": ThresholdEntry(doubtful=2.0, invalid=10.0)},
            "numeric_flags": {"c": {"allow_tf32": "False"}},
            "sensor_periods_s": {"counter": 0.1},
        }
    )
    written.write(path)
    assert read_manifest(path) == written
    assert json.loads(path.read_text())["schema_version"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is damaged: it is not JSON"),
        ("[]", "schema version None"),
        ('{"schema_version": 2}', "schema version 2; this greenbench reads 1"),
        ('{"schema_version": 1}', "is damaged: run_id: Field required"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(tmp_path, text, complaint):
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(DamagedResultsError, match=complaint) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_manifest_that_stood(run, make, monkeypatch):
    before = run.manifest()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Exception, match="the disk is full"):
        run.update_manifest(make.manifest("other"))
    monkeypatch.undo()
    assert run.manifest() == before
    assert not list(run.path.glob("*.tmp"))


def test_status_tells_begun_interrupted_and_finished_runs_apart(run, make):
    assert status_of(run).state == "running"
    run.start_load("r01.c", position=0)
    run.add_trial(make.trial(verdict=Verdict.DOUBTFUL))
    status = status_of(RunFolder.open(run.path, run.path))
    assert (status.current_load, status.loads_done, status.loads_total) == ("r01.c", 0, 2)
    assert status.verdicts == {Verdict.DOUBTFUL: 1}
    run.finish_load("r01.c", attempt=1)
    run.finish(interrupted=True)
    status = status_of(run)
    assert (status.state, status.current_load, status.loads_done) == ("interrupted", None, 1)
    run.finish()
    assert status_of(run).state == "finished"


def test_host_facts_have_no_name_in_them():
    facts = host_facts()
    assert facts["memory_b"] > 0
    assert facts["cpu_threads"] >= 1
    text = json.dumps(facts).lower()
    assert socket.gethostname().lower() not in text


def test_a_host_keeps_its_id_and_says_where_it_came_from(tmp_path):
    (tmp_path / "etc").mkdir()
    assert host_id(tmp_path)[1] == "hostname"
    (tmp_path / "etc/machine-id").write_text("abc\n")
    first = host_id(tmp_path)
    assert first == host_id(tmp_path)
    assert first[1] == "machine-id"
    assert len(first[0]) == 12
    (tmp_path / "etc/machine-id").write_text("abd\n")
    assert host_id(tmp_path)[0] != first[0]


def test_cpu_facts_are_read_from_proc(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "model name\t: Fast CPU\nflags\t\t: fpu hypervisor\n\nmodel name: other\n"
    )
    facts = host_facts(tmp_path)
    assert (facts["cpu_model"], facts["virtualised"]) == ("Fast CPU", True)
    (tmp_path / "proc/cpuinfo").write_text("CPU part : 0xd0c\n")
    assert host_facts(tmp_path)["virtualised"] is None


def test_a_commit_of_another_projects_checkout_is_not_ours(tmp_path):
    (tmp_path / ".git").mkdir()
    package = tmp_path / "lib" / "greenbench"
    package.mkdir(parents=True)
    assert git_commit(package) is None


def test_a_run_whose_writer_is_gone_is_dead_and_one_that_is_written_has_no_second_writer(run):
    run.start_load("r01.c", position=0)
    with pytest.raises(ConfigurationError, match="is being written by another process"):
        RunFolder.resume(run.path, run.path.parent)
    run.close()
    assert status_of(run).state == "dead"
    with RunFolder.resume(run.path, run.path.parent) as resumed:
        assert status_of(resumed).state == "running"
