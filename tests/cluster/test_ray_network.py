"""Ray nodes with networks of their own: a cable is pulled while a window runs, and put back."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tests.cluster.network import network
from tests.cluster.test_ray_hosts import DRIVER, begun_on, complete, log_of, suite
from tests.needed import not_here

from greenbench.cluster.ray_hosts import RESOURCE
from greenbench.report.reproduce import toml_lines

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),
]

RAY = str(Path(sys.executable).with_name("ray"))
PORT = 6379


@pytest.fixture
def cables():
    if os.getuid() != 0 or not shutil.which("ip"):
        not_here("root and iproute2 for network namespaces")
    with network(3) as laid:
        yield laid


@pytest.fixture
def nodes(cables, tmp_path):
    """A head that measures nothing and two hosts, each with a network and a state folder of its own."""
    scratch, processes = tempfile.mkdtemp(prefix="gbray-"), []

    def start(number, *options, **environment):
        command = cables.inside(number, RAY, "start", "--block", "--disable-usage-stats", *options)
        command += [f"--node-ip-address={cables.address(number)}"]
        log = (tmp_path / f"node{number}.log").open("w")
        processes.append(
            subprocess.Popen(
                command, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
            )
        )
        log.close()

    start(0, "--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={scratch}")
    head = f"{cables.address(0)}:{PORT}"
    _answers(cables, head)
    # One after another: nodes that start together in one scratch folder take the same names in it.
    for number in (1, 2):
        state = tmp_path / f"n{number}"
        state.mkdir()
        resources = f'--resources={{"{RESOURCE}": 1}}'
        start(number, f"--address={head}", "--num-cpus=1", resources, GREENBENCH_STATE=str(state))
        _answers(cables, head, nodes=number + 1)
    yield head
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    shutil.rmtree(scratch, ignore_errors=True)


def _answers(cables, head, nodes=1, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        asked = cables.inside(0, RAY, "status", f"--address={head}")
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        if said.count(" node_") >= nodes:
            return
        time.sleep(0.5)
    pytest.fail(f"Ray does not answer at {head}: {said}")


def test_a_host_whose_cable_is_pulled_is_given_up_and_takes_part_again(cables, nodes, tmp_path):
    file = tmp_path / "suite.toml"
    file.write_text("\n".join(toml_lines(suite(window_s=2.5).as_mapping())))
    command = cables.inside(0, sys.executable, DRIVER, nodes, str(file), str(tmp_path / "results"), "3")
    with (tmp_path / "driver.log").open("w") as log:
        driver = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        begun_on(tmp_path, "n1")
        cables.plug(1, there=False)
        time.sleep(8)
        cables.plug(1, there=True)
        assert driver.wait(200) == 0, (tmp_path / "driver.log").read_text()
    finally:
        driver.kill()
        driver.wait()
    complete(tmp_path / "results" / "all")
    events = log_of(tmp_path)
    assert any("did not answer" in event.get("reason", "") for event in events)
    admitted = [event["card"]["host_id"] for event in events if event["event"] == "host_admitted"]
    assert admitted.count("n1") == 2
    assert admitted.count("n2") == 1
