"""The array script, by Slurm itself: its parser takes it, its tasks measure each its own shard."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cloud.slurm import PACKAGES, is_here, one_node
from tests.needed import not_here

from greenbench.core.suite import parse_suite
from greenbench.report.reproduce import toml_lines
from greenbench.results.stored import StoredRun

SCRIPT = Path(__file__).parents[2] / "cloud" / "slurm.sh"
HOST = Path(__file__).parents[1] / "cluster" / "measuring_host.py"


@pytest.fixture(scope="module")
def slurm():
    if not is_here():
        not_here(PACKAGES)
    with one_node() as environment:
        yield environment


@pytest.fixture
def sbatch(slurm, tmp_path):
    """Submit the script from an empty folder; its `greenbench` is written down, and its windows sleep."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    stub = binaries / "greenbench"
    stub.write_text(
        f'#!/bin/sh\necho "$GREENBENCH_STATE" "$@" >> {tmp_path}/calls\n'
        f'[ "$1" != run ] || [ -n "$REFUSED" ] || exec {sys.executable} {HOST} "$@"\n'
        '[ "$1" != run ] || { echo "$REFUSED"; exit 2; }\n'
    )
    stub.chmod(0o755)
    own = {"PATH": f"{binaries}:{slurm['PATH']}", "GREENBENCH_STATE": str(tmp_path / "state")}

    def submit(*options, script=SCRIPT, **environment):
        return subprocess.run(
            ["sbatch", *options, str(script)],
            env=slurm | own | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return submit


def test_slurm_takes_the_script_and_refuses_one_that_asks_for_what_is_not_there(sbatch, tmp_path):
    done = sbatch("--test-only", "--array=1-2")
    assert done.returncode == 0, done.stderr
    assert "on nodes here" in done.stderr
    other = tmp_path / "other.sh"
    other.write_text(SCRIPT.read_text().replace("--gres=gpu:1", "--gres=gpu:2"))
    refused = sbatch("--test-only", "--array=1-2", script=other)
    assert refused.returncode != 0
    assert "Requested node configuration is not available" in refused.stderr


def test_every_task_of_a_submitted_array_measures_its_shard_and_they_are_joined(sbatch, tmp_path):
    matrix = {"runtime": ["pytorch"], "model": ["resnet50", "bert_base"], "batch_size": [1]}
    suite = parse_suite({"name": "t", "matrix": matrix, "protocol": {"rounds": 1, "window_s": 0.1}}, "test")
    (tmp_path / "suite.toml").write_text("\n".join(toml_lines(suite.as_mapping())))
    done = sbatch("--wait", "--array=1-2", SUITE="suite.toml", DEVICE="cpu")
    told = "\n".join(file.read_text() for file in tmp_path.glob("greenbench-*.log"))
    assert done.returncode == 0, done.stderr + told
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    shards = [call[call.index("--shard") + 1] for call in calls if call[1] == "run"]
    assert sorted(shards) == ["1/2", "2/2"]
    (state,) = {call[0] for call in calls}
    assert Path(state).parent == tmp_path / "state"
    # As docs/fleet.md says it: greenbench merge all results/shard-*/*
    folders = sorted(map(str, tmp_path.glob("results/shard-*/*")))
    merge = [sys.executable, "-m", "greenbench.cli", "merge", str(tmp_path / "all"), *folders]
    joined = subprocess.run(merge, capture_output=True, text=True, check=False)
    assert joined.returncode == 0, joined.stderr
    trials = StoredRun(tmp_path / "all").trials()
    assert sorted(trial.model for trial in trials) == ["bert_base", "resnet50"]


def test_a_task_that_measured_nothing_fails_its_job_and_says_why(sbatch, tmp_path):
    done = sbatch("--wait", "--array=1-1", REFUSED="no such suite")
    assert done.returncode == 1
    assert "no such suite" in "\n".join(file.read_text() for file in tmp_path.glob("greenbench-*.log"))
