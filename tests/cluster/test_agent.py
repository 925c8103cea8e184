import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from greenbench.cluster.agent import HostAgent, Programs

HOST = str(Path(__file__).with_name("measuring_host.py"))
PROGRAMS = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))
SUITE = """
name = "t"
[matrix]
runtime = ["pytorch"]
model = ["resnet50"]
batch_size = [1]
[protocol]
rounds = 2
window_s = {window_s}
"""
OPTIONS = ("--seed", "0", "--shard", "1/1", "--fleet-node", "here")


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("GREENBENCH_STATE", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """Where agents make their folders."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_events_are_heard_once_each_and_the_folder_is_collected_whole(state, temporary):
    agent, lines, statuses = HostAgent(PROGRAMS), [], []
    agent.start(SUITE.format(window_s=0.2), OPTIONS)

    def ended():
        heard = agent.hear()
        lines.extend(heard.lines)
        statuses.append(heard.status)
        return heard.status is not None

    until(ended)
    assert statuses[-1] == 0
    assert [json.loads(line)["event"] for line in lines].count("trial") == 2
    with tarfile.open(fileobj=io.BytesIO(agent.collect())) as held:
        names = {Path(name).name for name in held.getnames()}
        log = held.extractfile("./events.jsonl").read().decode().splitlines()
    assert {"manifest.json", "trials.parquet"} <= names
    assert log == lines
    assert not list(temporary.iterdir())


def test_what_a_controller_says_in_the_end_is_told(state):
    agent = HostAgent(PROGRAMS)
    agent.start(SUITE.format(window_s=0.2), ("--seed", "0", "--shard", "7/1", "--fleet-node", "here"))
    until(lambda: agent.hear().status is not None)
    assert agent.hear().status == 1
    assert "--shard '7/1' is not I/N" in agent.hear().said


def test_what_a_failed_shard_left_goes_as_the_next_one_begins(state, temporary):
    agent = HostAgent(PROGRAMS)
    agent.start(SUITE.format(window_s=0.2), ("--seed", "0", "--shard", "7/1", "--fleet-node", "here"))
    until(lambda: agent.hear().status is not None)
    (failed,) = temporary.iterdir()
    agent.start(SUITE.format(window_s=0.2), OPTIONS)
    (present,) = temporary.iterdir()
    assert present != failed
    until(lambda: agent.hear().status is not None)
    agent.collect()


def test_a_new_agent_removes_what_a_killed_one_left_once_its_controller_has_ended(state, temporary):
    writing_on = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    program = (
        "import os, pathlib, sys, time\n"
        "from greenbench.cluster.agent import HostAgent, Programs\n"
        f"agent = HostAgent(Programs(controller=({sys.executable!r}, '-c', {writing_on!r})))\n"
        "agent.start('', ())\n"
        "while not agent._begun.path.joinpath('said').read_text():\n"
        "    time.sleep(0.01)\n"
        "print(agent._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    controller = psutil.Process(int(ended.stdout))
    (left,) = temporary.iterdir()
    HostAgent(PROGRAMS)
    assert left.exists(), "its controller still writes"
    controller.kill()
    until(lambda: not controller.is_running() or controller.status() == psutil.STATUS_ZOMBIE)
    (temporary / "greenbench-fleet-x").mkdir()  # of an agent that has not come to its lock
    (temporary / "greenbench-fleet-y").mkdir()
    os.mkfifo(temporary / "greenbench-fleet-y" / "lock", 0o600)  # would hang whoever waits for a writer
    HostAgent(PROGRAMS)
    assert {path.name for path in temporary.iterdir()} <= {"greenbench-fleet-x", "greenbench-fleet-y"}


def test_a_host_without_a_card_says_why(state):
    broken = Programs(card=(sys.executable, "-c", "raise SystemExit('no such thing')"))
    assert "no such thing" in HostAgent(broken).card("", "auto", "auto")["problem"]
    assert HostAgent(PROGRAMS).card("", "auto", "auto")["host_id"] == state.name


def test_the_controller_ends_with_its_agent_however_that_ends(state):
    program = (
        "import os, sys\n"
        "from greenbench.cluster.agent import HostAgent, Programs\n"
        f"agent = HostAgent(Programs(controller=({sys.executable!r}, {HOST!r})))\n"
        f"agent.start({SUITE.format(window_s=60.0)!r}, {OPTIONS!r})\n"
        "print(agent._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid = int(ended.stdout)
    assert ended.returncode == -9
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
