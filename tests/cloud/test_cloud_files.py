"""The cloud's files: read by their own parsers where there, and run against a greenbench that listens."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.needed import not_here

from greenbench.core.shard import parse_shard

CLOUD = Path(__file__).parents[2] / "cloud"
SKY, SLURM = CLOUD / "skypilot.yaml", CLOUD / "slurm.sh"


@pytest.fixture
def heard(tmp_path):
    """Run a script with a `greenbench` that writes down how it was called and ends with a status."""
    calls = tmp_path / "calls"
    home = tmp_path / "home"
    binaries = home / "greenbench-env" / "bin"
    binaries.mkdir(parents=True)
    stub = binaries / "greenbench"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncase $1 in run) exit "${{STATUS:-0}}";; esac\n')
    stub.chmod(0o755)

    def run(script, **environment):
        calls.unlink(missing_ok=True)
        path = f"{binaries}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            env={"PATH": path, "HOME": str(home)} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done, {line.split()[0]: line.split()[1:] for line in lines}

    return run


def given(arguments, option):
    return arguments[arguments.index(option) + 1]


def sky_task():
    return yaml.safe_load(SKY.read_text())


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_every_node_of_a_cluster_runs_its_shard(heard, rank):
    task = sky_task()
    done, calls = heard(task["run"], **task["envs"], SKYPILOT_NODE_RANK=str(rank), SKYPILOT_NUM_NODES="3")
    assert done.returncode == 0, done.stderr
    assert parse_shard(given(calls["run"], "--shard")).index == rank + 1
    assert parse_shard(given(calls["run"], "--shard")).count == 3
    assert given(calls["run"], "--seed") == "0"
    assert calls["run"][0] == "quick"


@pytest.mark.parametrize(("status", "ends"), [("0", 0), ("1", 0), ("2", 1), ("130", 1)])
def test_a_shard_with_invalid_trials_is_kept_and_any_other_end_fails_the_job(heard, status, ends):
    task = sky_task()
    nodes = {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "1"}
    done, _ = heard(task["run"], **task["envs"], **nodes, STATUS=status)
    assert done.returncode == ends
    done, _ = heard(SLURM.read_text(), SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_COUNT="1", STATUS=status)
    assert done.returncode == ends


def test_every_task_of_an_array_runs_its_shard_in_a_state_folder_of_its_host(heard):
    array = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
    done, calls = heard(SLURM.read_text(), **array, SUITE="study", SETTINGS="--rounds 2")
    assert done.returncode == 0, done.stderr
    assert given(calls["run"], "--shard") == "3/4"
    assert given(calls["run"], "--out").endswith("shard-3")
    assert given(calls["run"], "--rounds") == "2"
    assert calls["run"][0] == given(calls["up"], "--suite") == "study"


def test_one_shard_again_is_still_one_of_all(heard):
    again = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1", "SHARDS": "4"}
    _, calls = heard(SLURM.read_text(), **again)
    assert given(calls["run"], "--shard") == "3/4"


def test_without_an_array_the_remedy_is_named(heard):
    done, calls = heard(SLURM.read_text())
    assert done.returncode != 0
    assert "sbatch --array" in done.stderr
    assert not calls


def test_bash_reads_every_script():
    for script in (SLURM.read_text(), sky_task()["setup"], sky_task()["run"]):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


PARSE = """\
import json, sys, sky
task = sky.Task.from_yaml(sys.argv[1])
(resources,) = task.resources
json.dump({"nodes": task.num_nodes, "envs": task.envs, "accelerators": resources.accelerators,
           "setup": task.setup, "run": task.run}, sys.stdout)
"""


@pytest.fixture
def sky_parses(tmp_path):
    """Have SkyPilot read a task file, in its own environment and home."""
    python = os.environ.get("GREENBENCH_SKY_PYTHON")
    if not python:
        not_here("SkyPilot's Python in GREENBENCH_SKY_PYTHON (`make cloud-check` installs and names it)")

    def parse(file):
        return subprocess.run(
            [python, "-c", PARSE, str(file)],
            env=os.environ | {"HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
            capture_output=True,
            text=True,
            check=False,
            cwd=CLOUD.parent,
        )

    return parse


def test_skypilot_takes_the_task_as_it_is_written(sky_parses):
    done = sky_parses(SKY)
    assert done.returncode == 0, done.stderr
    written = sky_task()
    read = json.loads(done.stdout)
    assert read.pop("accelerators") == {"H100": 1}
    assert read == {"nodes": 1, "envs": written["envs"], "setup": written["setup"], "run": written["run"]}


def test_skypilot_refuses_a_key_that_it_does_not_know(sky_parses, tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(SKY.read_text().replace("num_nodes:", "number_of_nodes:"))
    done = sky_parses(file)
    assert done.returncode != 0
    assert "number_of_nodes" in done.stdout + done.stderr
