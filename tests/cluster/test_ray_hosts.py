"""A Ray cluster of several nodes on this machine, each with a state folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from greenbench.cluster.agent import Programs
from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.ray_hosts import LABELS, RESOURCE, RayHosts, ray_hosts
from greenbench.cluster.request import FleetRequest
from greenbench.cluster.shards import HostLostError
from greenbench.core.errors import ConfigurationError, FleetError
from greenbench.core.progress import Silence
from greenbench.core.suite import parse_suite
from greenbench.report.reproduce import toml_lines
from greenbench.results.events import read_events
from greenbench.results.stored import StoredRun

# Ray leaves sockets and files to the end of its processes.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]

HOST = str(Path(__file__).with_name("measuring_host.py"))
DRIVER = str(Path(__file__).with_name("fleet_driver.py"))
PROGRAMS = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))


class Nodes:
    """A cluster whose nodes come and go."""

    def __init__(self, folder):
        self.folder = folder
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self.nodes = {}

    def add(self, name, model="A", **said):
        state = self.folder / name
        state.mkdir(exist_ok=True)
        for what, value in said.items():
            (state / what).write_text(str(value))
        self.nodes[name] = self.cluster.add_node(
            num_cpus=1,
            resources={RESOURCE: 1},
            labels={LABELS[0]: model},
            env_vars={"GREENBENCH_STATE": str(state)},
        )

    def kill(self, name):
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)


@pytest.fixture
def nodes(tmp_path):
    made = Nodes(tmp_path)
    yield made
    made.cluster.shutdown()


def suite(window_s=0.3):
    matrix = {"runtime": ["pytorch", "jax"], "model": ["resnet50", "bert_base"], "batch_size": [1, 2]}
    protocol = {"rounds": 2, "window_s": window_s}
    return parse_suite({"name": "t", "matrix": matrix, "protocol": protocol}, "test")


def measured(
    nodes, tmp_path, *, meanwhile=None, run_id="all", window_s=0.3, answer_s=30.0, resume=False, **changes
):
    request = FleetRequest(suite=suite(window_s), seed=3, out=tmp_path / "results", run_id=run_id, **changes)

    def measure():
        with ray_hosts(nodes.cluster.address, PROGRAMS, answer_s=answer_s) as hosts:
            return measure_fleet(hosts, request, Silence(), resume=resume)

    # Nodes are made and killed by the main thread: they set handlers of signals.
    with ThreadPoolExecutor(max_workers=1) as pool:
        outcome = pool.submit(measure)
        if meanwhile:
            meanwhile()
        return outcome.result()


def log_of(tmp_path, run_id="all"):
    return list(read_events(tmp_path / "results" / f"{run_id}.fleet.jsonl"))


def begun_on(tmp_path, node, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (tmp_path / "results" / "all.fleet.jsonl").exists():
            events = log_of(tmp_path)
            if any(e["event"] == "trial" and e["trial"]["host_id"] == node for e in events):
                return
        time.sleep(0.05)
    pytest.fail(f"no trial of {node} in {seconds} s")


def complete(folder):
    run = StoredRun(folder)
    trials = run.trials()
    assert len(trials) == 4 * 2 * 2
    assert set(Counter(trial.trial_id for trial in trials).values()) == {1}
    by_block = {}
    for trial in trials:
        by_block.setdefault((trial.model, trial.batch_size), set()).add(trial.host_id)
    assert all(len(hosts) == 1 for hosts in by_block.values())
    assert all(own.fleet_node for own in run.manifest().shards)
    return run


def test_the_same_plan_on_one_two_and_four_nodes_is_the_same_run(nodes, tmp_path):
    found = {}
    for count in (1, 2, 4):
        while len(nodes.nodes) < count:
            nodes.add(f"n{len(nodes.nodes)}")
        outcome = measured(nodes, tmp_path, run_id=f"on{count}")
        assert not outcome.missing
        (folder,) = outcome.folders
        run = complete(folder)
        found[count] = sorted(trial.trial_id for trial in run.trials())
        assert len({trial.host_id for trial in run.trials()}) == count
    assert found[1] == found[2] == found[4]


def test_a_killed_nodes_block_is_measured_whole_by_another_and_a_new_node_joins(nodes, tmp_path):
    for name in ("n0", "n1", "n2"):
        nodes.add(name)

    def kill():
        begun_on(tmp_path, "n0")
        nodes.kill("n0")
        nodes.add("n3")

    outcome = measured(nodes, tmp_path, meanwhile=kill, window_s=1.5)
    assert not outcome.missing
    run = complete(outcome.folders[0])
    events = log_of(tmp_path)
    assert any(event["event"] == "block_failed" and event["shard"] for event in events)
    # What n0 had measured of its block was heard and is not in the result.
    heard = [event["trial"]["host_id"] for event in events if event["event"] == "trial"]
    assert "n0" in heard
    assert "n0" not in {trial.host_id for trial in run.trials()}
    assert any(e["event"] == "host_admitted" and e["card"]["host_id"] == "n3" for e in events)


def test_every_kind_of_host_measures_every_block(nodes, tmp_path):
    nodes.add("n0", model="A")
    nodes.add("n1", model="B")
    outcome = measured(nodes, tmp_path, replicate=True)
    first, second = sorted(outcome.folders)
    assert (first.name, second.name) == ("all-a", "all-b")
    assert {trial.host_id for trial in complete(first).trials()} == {"n0"}
    assert {trial.host_id for trial in complete(second).trials()} == {"n1"}


def test_who_may_not_measure_is_named(nodes, tmp_path):
    nodes.add("n0", version="9.9")
    with pytest.raises(ConfigurationError, match=r"it has greenbench 9\.9"):
        measured(nodes, tmp_path)
    nodes.add("n1")
    with pytest.raises(ConfigurationError, match="--gpu-model asks for H100"):
        measured(nodes, tmp_path, run_id="b", gpu_model="H100")
    outcome = measured(nodes, tmp_path, run_id="c", gpu_model="a")
    assert {trial.host_id for trial in complete(outcome.folders[0]).trials()} == {"n1"}


def test_a_host_measures_for_one_asker_at_a_time(nodes):
    nodes.add("n0")
    with ray_hosts(nodes.cluster.address, PROGRAMS, answer_s=3.0) as first:
        (mine,) = first.arrived()
        assert mine.card("", "venv", "cpu").host_id == "n0"
        second = RayHosts(ray, PROGRAMS, answer_s=3.0)
        (waiting,) = second.arrived()
        with pytest.raises(HostLostError, match="did not answer 'hear' in 3 s"):
            waiting.hear()
        first.end()
        assert waiting.card("", "venv", "cpu").host_id == "n0"
        second.end()


def test_a_host_whose_clock_is_off_is_named_and_measures(nodes, tmp_path):
    nodes.add("n0", clock=3600)
    outcome = measured(nodes, tmp_path)
    complete(outcome.folders[0])
    (admitted,) = [event for event in log_of(tmp_path) if event["event"] == "host_admitted"]
    assert "its time of day is off by" in admitted["note"]


def test_a_host_with_other_images_is_named_and_gets_no_block(nodes, tmp_path):
    nodes.add("n0")
    nodes.add("n1", contents="other")
    nodes.add("n2", image="sha256:apart")
    outcome = measured(nodes, tmp_path)
    assert not outcome.missing
    events = log_of(tmp_path)
    admitted = {event["card"]["host_id"]: event for event in events if event["event"] == "host_admitted"}
    first = next(iter(admitted))
    refused = [event for event in events if event["event"] == "host_refused"]
    told = {reason for event in refused for reason in event["reasons"]}
    assert all("pytorch holds other files or packages" in reason for reason in told)
    working = {event["node"] for event in events if event["event"] == "block_started"}
    assert refused
    assert not working & {event["node"] for event in refused}
    # Whoever answered first is the measure: either n1 is turned away, or n0 and n2 are.
    assert set(admitted) == ({"n1"} if first == "n1" else {"n0", "n2"})
    assert {trial.host_id for trial in complete(outcome.folders[0]).trials()} <= set(admitted)


def test_a_host_that_is_cut_off_is_given_up_and_takes_part_again(nodes, tmp_path):
    nodes.add("n0")
    nodes.add("n1")
    stopped = []

    def cut():
        begun_on(tmp_path, "n0")
        stopped.extend(agents_in(tmp_path / "n0"))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    outcome = measured(nodes, tmp_path, meanwhile=cut, window_s=2.5, answer_s=3.0)
    assert stopped
    assert not outcome.missing
    complete(outcome.folders[0])
    events = log_of(tmp_path)
    assert any("did not answer" in event.get("reason", "") for event in events)
    admitted = [event["card"]["host_id"] for event in events if event["event"] == "host_admitted"]
    assert admitted.count("n0") == 2


def agents_in(state):
    """Return the pids of a node's agents: Ray's workers with this state folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            own = process.environ().get("GREENBENCH_STATE") == str(state)
        except psutil.Error:
            continue
        if own and " ".join(process.info["cmdline"] or ()).startswith("ray::HostAgent"):
            found.append(process.info["pid"])
    return found


def finished(events):
    return {event["shard"] for event in events if event["event"] == "block_finished"}


def test_a_killed_controllers_run_goes_on_where_it_was(nodes, tmp_path):
    for name in ("n0", "n1"):
        nodes.add(name)
    file, out = tmp_path / "suite.toml", tmp_path / "results"
    file.write_text("\n".join(toml_lines(suite().as_mapping())))
    driver = subprocess.Popen([sys.executable, DRIVER, nodes.cluster.address, str(file), str(out)])
    try:
        deadline = time.monotonic() + 90
        while not ((out / "all.fleet.jsonl").exists() and finished(log_of(tmp_path))):
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    before = finished(log_of(tmp_path))
    assert len(before) < 4
    outcome = measured(nodes, tmp_path, resume=True)
    assert not outcome.missing
    complete(outcome.folders[0])
    events = log_of(tmp_path)
    at = next(number for number, event in enumerate(events) if event["event"] == "fleet_resumed")
    again = {event["shard"] for event in events[at:] if event["event"] == "block_started"}
    assert again == {1, 2, 3, 4} - before


def test_a_lost_head_is_told_and_the_run_goes_on_with_another(nodes, tmp_path):
    for name in ("n0", "n1"):
        nodes.add(name)

    def lose_the_head():
        deadline = time.monotonic() + 90
        while not ((tmp_path / "results" / "all.fleet.jsonl").exists() and finished(log_of(tmp_path))):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in psutil.Process().children(recursive=True):
            if process.name() == "gcs_server":
                process.kill()

    with pytest.raises(FleetError, match=r"the Ray head at .* is silent for \d+ s .*--resume"):
        measured(nodes, tmp_path, meanwhile=lose_the_head, window_s=1.0, answer_s=3.0)
    before = finished(log_of(tmp_path))
    assert 0 < len(before) < 4
    nodes.cluster.shutdown()
    others = Nodes(tmp_path)
    try:
        others.add("n2")
        outcome = measured(others, tmp_path, window_s=1.0, resume=True)
    finally:
        others.cluster.shutdown()
    assert not outcome.missing
    complete(outcome.folders[0])
    events = log_of(tmp_path)
    at = next(number for number, event in enumerate(events) if event["event"] == "fleet_resumed")
    again = {event["shard"] for event in events[at:] if event["event"] == "block_started"}
    assert again == {1, 2, 3, 4} - before


def test_no_head_is_one_line():
    with pytest.raises(ConfigurationError, match="no Ray head answers"), ray_hosts("127.0.0.1:1"):
        pass
    with pytest.raises(ConfigurationError, match="is not HOST:PORT"), ray_hosts("nowhere"):
        pass
