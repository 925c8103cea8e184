"""Two nodes of a Ray cluster on this machine measure real runtimes, each with a state folder of its own."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster
from tests.e2e.conftest import GREENBENCH
from tests.e2e.test_run import LAUNCHERS

from greenbench.cluster.ray_hosts import RESOURCE
from greenbench.results.events import read_events

pytestmark = [
    pytest.mark.runtime,
    pytest.mark.ray,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def cluster(launcher, request, tmp_path):
    built = request.getfixturevalue(f"built_{launcher}")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for name in ("n0", "n1"):
        state = tmp_path / name
        # Linked, not copied: environments are large. The lock and what runs are each host's own.
        shutil.copytree(
            built,
            state,
            copy_function=os.link,
            symlinks=True,
            ignore=shutil.ignore_patterns("lock", "run", "logs"),
        )
        if launcher == "docker":
            own_containers(state)
        made.add_node(num_cpus=1, resources={RESOURCE: 1}, env_vars={"GREENBENCH_STATE": str(state)})
    yield made
    made.shutdown()
    if launcher == "docker":
        for name in ("n0", "n1"):
            call(tmp_path / name, "down", "--launcher", "docker")


def own_containers(state: Path) -> None:
    """Make a host's own containers: images are the engine's, which both hosts share here."""
    asked = ("--launcher", "docker", "--device", "cpu", "--set", "model=mobilenet_v2")
    call(state, "up", "pytorch", "onnxruntime", *asked)


def call(state: Path, *arguments: str) -> None:
    done = subprocess.run(
        [*GREENBENCH, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GREENBENCH_STATE": str(state)},
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_hosts_measure_one_plan_for_real(greenbench, launcher, cluster, short, tmp_path):
    asked = (
        *short,
        "--launcher",
        launcher,
        "--rounds",
        "2",
        "--set",
        "batch_size=[1, 2]",
        "--set",
        "threads=1",
    )
    ended = greenbench("run", *asked, "--engine", "ray", "--address", cluster.address)
    assert ended.status == 0, ended.err
    folder = tmp_path / ended.out.splitlines()[-1]
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert len({row["trial_id"] for row in rows}) == len(rows) == 8
    # Two nodes of one machine slow each other down: a load may be too slow for its window, and then says so.
    assert all(row["throughput_samples_per_s"] or row["failure"] for row in rows)
    assert any(row["throughput_samples_per_s"] for row in rows)
    manifests = json.loads((folder / "manifest.json").read_text())["shards"]
    assert len({manifest["fleet_node"] for manifest in manifests}) == 2
    assert (folder / "report.html").exists()
    log = read_events(folder.with_name(f"{folder.name}.fleet.jsonl"))
    cards = [event["card"] for event in log if event["event"] == "host_admitted"]
    assert len(cards) == 2
    assert {card["launcher"] for card in cards} == {launcher}
    runtimes = {row["runtime"] for row in rows}
    for card in cards:
        assert set(card["contents"]) == runtimes
        assert set(card["images"]) == (runtimes if launcher == "docker" else set())
