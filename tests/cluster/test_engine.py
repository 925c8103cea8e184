"""The engine over hosts that are agents in this process: no Ray."""

import io
import shutil
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from greenbench import __version__
from greenbench.cluster.agent import Heard, HostAgent, Programs
from greenbench.cluster.card import HostCard
from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.replay import replay
from greenbench.cluster.request import FleetRequest
from greenbench.cluster.shards import HostLostError
from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.core.progress import Silence
from greenbench.core.suite import parse_suite
from greenbench.results.events import read_events
from greenbench.results.stored import StoredRun

HOST = str(Path(__file__).with_name("measuring_host.py"))
PROGRAMS = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))


class LocalHost:
    def __init__(self, name, *, label="A", fails=0, lost=0, **card):
        self.name, self.label = name, label
        self.fails, self.lost = fails, lost
        self.about = {"greenbench_version": __version__, "utc_s": time.time()} | card
        self.agent = HostAgent(PROGRAMS)

    def card(self, suite, launcher, device):
        return HostCard(**self.about)

    def start(self, suite, options):
        self.agent.start(suite, options)

    def hear(self):
        if self.lost:
            self.lost -= 1
            raise HostLostError("no answer")
        heard = self.agent.hear()
        if heard.status is not None and self.fails:
            self.fails -= 1
            return Heard(lines=(), status=2, said="another run holds the state folder")
        return heard

    def collect(self):
        return self.agent.collect()


class LocalHosts:
    """Every host is there at first; one that was given up comes back when `again` says so."""

    def __init__(self, *hosts, again=False):
        self.new, self.again = list(hosts), again

    def arrived(self):
        found, self.new = self.new, []
        return found

    def abandon(self, host):
        host.agent.stop()
        self.new += [host] if self.again else []


class Clock:
    """Ten seconds pass while the engine sleeps a moment."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, _):
        time.sleep(0.05)
        self.now_s += 10


@pytest.fixture
def measured(tmp_path, monkeypatch):
    monkeypatch.setenv("GREENBENCH_STATE", str(tmp_path))

    def run(*hosts, again=False, protocol=None, resume=False, observer=None, **changes):
        matrix = {"runtime": ["pytorch"], "model": ["resnet50"], "batch_size": [1, 2]}
        values = {"name": "t", "matrix": matrix, "protocol": protocol or {"rounds": 1, "window_s": 0.01}}
        request = FleetRequest(
            suite=parse_suite(values, "test"), seed=0, out=tmp_path / "out", run_id="all", **changes
        )
        clock = Clock()
        found = LocalHosts(*hosts, again=again)
        if resume:
            request, _ = replay(request.log, version=__version__)
        return measure_fleet(
            found, request, observer or Silence(), resume=resume, clock=clock, sleep=clock.sleep
        )

    return run


def events(tmp_path):
    return list(read_events(tmp_path / "out" / "all.fleet.jsonl"))


def test_the_node_of_every_block_is_in_the_manifest(measured):
    outcome = measured(LocalHost("one"), LocalHost("two"))
    shards = StoredRun(outcome.folders[0]).manifest().shards
    assert {own.fleet_node for own in shards} == {"one", "two"}
    assert not outcome.missing


class Listening(Silence):
    def __init__(self):
        self.notes, self.trials = [], []

    def note(self, text):
        self.notes.append(text)

    def trial_ended(self, trial):
        self.trials.append(trial)


def test_progress_of_all_hosts_is_heard_in_one_place(measured):
    heard = Listening()
    outcome = measured(LocalHost("one"), LocalHost("two"), observer=heard)
    kept = {trial.trial_id for trial in StoredRun(outcome.folders[0]).trials()}
    assert sorted(trial.trial_id for trial in heard.trials) == sorted(kept)
    for name in ("one", "two"):
        assert any(note.startswith(f"{name} measures: A") for note in heard.notes)
        assert any(note.startswith(f"{name}: begins shard ") for note in heard.notes)


def test_a_controller_that_fails_is_tried_again_and_trials_are_there_once(measured, tmp_path):
    outcome = measured(LocalHost("one", fails=2))
    assert not outcome.missing
    assert len(StoredRun(outcome.folders[0]).trials()) == 2
    assert sum(event["event"] == "block_failed" for event in events(tmp_path)) == 2


def test_a_block_that_always_fails_is_named_and_the_rest_is_merged(measured):
    outcome = measured(LocalHost("one", fails=3))
    (sentence,) = outcome.missing
    assert "another run holds the state folder" in sentence
    run = StoredRun(outcome.folders[0])
    assert len(run.trials()) == 1
    assert run.manifest().shards_missing


def test_a_lost_host_that_comes_back_goes_on(measured):
    outcome = measured(LocalHost("one", lost=1), again=True)
    assert not outcome.missing
    assert len(StoredRun(outcome.folders[0]).trials()) == 2


def test_blocks_of_a_kind_that_stays_away_are_named(measured):
    outcome = measured(LocalHost("one", label="A", lost=1), LocalHost("two", label="B"), replicate=True)
    assert [folder.name for folder in outcome.folders] == ["all-b"]
    assert len(outcome.missing) == 2
    assert all("on A: " in sentence for sentence in outcome.missing)


def test_nobody_to_measure_is_one_line_with_every_reason(measured):
    with pytest.raises(ConfigurationError, match="no node has the resource greenbench_host"):
        measured()
    with pytest.raises(ConfigurationError, match=r"old: it has greenbench 0\.0.*; bare: jax is not built"):
        measured(LocalHost("old", greenbench_version="0.0"), LocalHost("bare", problem="jax is not built"))


def test_other_packages_than_the_first_hosts_are_turned_away(measured, tmp_path):
    outcome = measured(
        LocalHost("one", requirements={"pytorch": "a"}), LocalHost("two", requirements={"pytorch": "b"})
    )
    assert {own.fleet_node for own in StoredRun(outcome.folders[0]).manifest().shards} == {"one"}
    (refused,) = [event for event in events(tmp_path) if event["event"] == "host_refused"]
    assert refused["reasons"] == ["pytorch is built from b, on the first host from a"]


def test_other_images_are_turned_away_before_work_and_those_built_apart_are_named(measured, tmp_path):
    about = {
        "requirements": {"pytorch": "l"},
        "contents": {"pytorch": "c"},
        "images": {"pytorch": "sha256:i"},
    }
    outcome = measured(
        LocalHost("one", **about),
        LocalHost("two", **about | {"contents": {"pytorch": "other"}}),
        LocalHost("three", **about | {"images": {"pytorch": "sha256:k"}}),
    )
    assert {own.fleet_node for own in StoredRun(outcome.folders[0]).manifest().shards} == {"one", "three"}
    found = events(tmp_path)
    (refused,) = [event for event in found if event["event"] == "host_refused"]
    (reason,) = refused["reasons"]
    assert reason.startswith("pytorch holds other files or packages (other) than on the first host (c)")
    assert "two" not in {event["node"] for event in found if event["event"] == "block_started"}
    notes = {event["node"]: event["note"] for event in found if event["event"] == "host_admitted"}
    assert not notes["one"]
    assert "built apart (pytorch sha256:k, on the first host sha256:i)" in notes["three"]


def test_a_clock_that_is_off_is_told_with_the_host(measured, tmp_path):
    measured(LocalHost("one", utc_s=time.time() - 100))
    (admitted,) = [event for event in events(tmp_path) if event["event"] == "host_admitted"]
    assert "its time of day is off by" in admitted["note"]


def test_a_pilot_of_the_whole_plan_is_refused_before_any_host_is_asked(measured):
    with pytest.raises(ConfigurationError, match=r"protocol\.target_u"):
        measured(LocalHost("one"), protocol={"target_u": 0.05})


class Cut(BaseException):
    """The controller is gone: nothing after it is done."""


class CutHost(LocalHost):
    """Takes the controller down in its second block, which is partly measured by then."""

    collected = 0

    def hear(self):
        heard = super().hear()
        if self.collected == 1 and heard.lines:
            self.agent.stop()
            raise Cut
        return heard

    def collect(self):
        self.collected += 1
        return super().collect()


def begun(tmp_path):
    return [event["shard"] for event in events(tmp_path) if event["event"] == "block_started"]


def test_a_cut_run_goes_on_and_measures_only_what_is_missing(measured, tmp_path):
    with pytest.raises(Cut):
        measured(CutHost("one"))
    first = begun(tmp_path)
    kept = tmp_path / "out" / "all.shards" / "all" / f"{first[0]:04d}"
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    outcome = measured(LocalHost("other"), resume=True)
    assert not outcome.missing
    assert begun(tmp_path) == [*first, first[1]]
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
    trials = StoredRun(outcome.folders[0]).trials()
    assert len({trial.trial_id for trial in trials}) == len(trials) == 2


def test_a_block_whose_shard_is_gone_or_half_unpacked_is_measured_anew(measured, tmp_path):
    outcome = measured(LocalHost("one"))
    shard = tmp_path / "out" / "all.shards" / "all" / "0001"
    shard.rename(shard.with_name("0001.partial"))
    shutil.rmtree(outcome.folders[0])
    again = measured(LocalHost("one"), resume=True)
    assert not again.missing
    assert begun(tmp_path)[2:] == [1]
    assert not shard.with_name("0001.partial").exists()


def test_a_block_measured_again_by_another_kind_of_host_is_joined_once(measured, tmp_path):
    outcome = measured(LocalHost("one", label="A"))
    shutil.rmtree(tmp_path / "out" / "all.shards" / "all" / "0001")
    shutil.rmtree(outcome.folders[0])
    again = measured(LocalHost("two", label="B"), resume=True)
    shutil.rmtree(again.folders[0])
    joined = measured(resume=True)
    assert len(StoredRun(joined.folders[0]).trials()) == 2


def test_what_was_joined_of_fewer_blocks_is_kept_aside(measured, tmp_path):
    first = measured(LocalHost("one", fails=3))
    assert first.missing
    (first.folders[0] / "notes.txt").write_text("mine")
    second = measured(LocalHost("one"), resume=True)
    assert not second.missing
    assert second.folders == first.folders
    assert not StoredRun(second.folders[0]).manifest().shards_missing
    assert (tmp_path / "out" / "all.incomplete-1" / "notes.txt").read_text() == "mine"


def test_a_cut_joining_is_done_again_without_any_host(measured, tmp_path):
    outcome = measured(LocalHost("one"))
    (outcome.folders[0] / "manifest.json").unlink()
    again = measured(resume=True)
    assert len(StoredRun(again.folders[0]).trials()) == 2
    with pytest.raises(ConfigurationError, match="all: every block is measured and joined; nothing is left"):
        measured(LocalHost("one"), resume=True)


def test_every_kind_that_began_measures_every_block_after_a_resume(measured, tmp_path):
    other = LocalHost("two", label="B")
    with pytest.raises(Cut):
        measured(CutHost("one", label="A"), other, replicate=True)
    other.agent.stop()
    outcome = measured(
        LocalHost("one", label="A"), LocalHost("two", label="B"), LocalHost("three", label="C"), resume=True
    )
    assert not outcome.missing
    assert [folder.name for folder in outcome.folders] in (["all-a", "all-b"], ["all-b", "all-a"])
    ended = [(one["shard"], one["kind"]) for one in events(tmp_path) if one["event"] == "block_finished"]
    assert sorted(ended) == [(1, "A"), (1, "B"), (2, "A"), (2, "B")]


def test_hosts_of_a_resumed_run_are_held_to_the_first_hosts_packages(measured):
    with pytest.raises(Cut):
        measured(CutHost("one", requirements={"pytorch": "l"}))
    with pytest.raises(ConfigurationError, match="pytorch is built from other, on the first host from l"):
        measured(LocalHost("two", requirements={"pytorch": "other"}), resume=True)


def test_a_run_of_another_version_or_without_a_header_is_not_resumed(measured, tmp_path):
    measured(LocalHost("one"))
    log = tmp_path / "out" / "all.fleet.jsonl"
    with pytest.raises(ConfigurationError, match=r"all was begun by greenbench .*, this is 9\.9"):
        replay(log, version="9.9")
    log.write_text("")
    with pytest.raises(DamagedResultsError, match="does not begin with 'fleet_started'"):
        replay(log, version=__version__)


def archive(**member):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as made:
        entry = tarfile.TarInfo(member.pop("name"))
        for key, value in member.items():
            setattr(entry, key, value)
        made.addfile(entry)
    return held.getvalue()


@pytest.mark.parametrize(
    "sent",
    [
        archive(name="../../../outside"),
        archive(name="link", type=tarfile.SYMTYPE, linkname="../../../outside"),
        archive(name="hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        archive(name="device", type=tarfile.CHRTYPE),
        b"no archive",
    ],
    ids=["path", "symlink", "hardlink", "device", "bytes"],
)
def test_a_host_that_sends_what_leads_out_is_given_up_and_writes_nothing(measured, tmp_path, sent):
    class Hostile(LocalHost):
        def collect(self):
            super().collect()
            return sent

    outcome = measured(Hostile("bad"), LocalHost("good"))
    assert not outcome.missing
    assert {own.fleet_node for own in StoredRun(outcome.folders[0]).manifest().shards} == {"good"}
    assert "its archive is refused" in str(
        [one for one in events(tmp_path) if one["event"] == "block_failed"]
    )
    assert not list(tmp_path.rglob("outside"))
    assert not list(tmp_path.rglob("*.partial"))


class SlowToTell(LocalHost):
    """Tells its card, and what is new for the first time, only once three hosts are asked."""

    all_asked = threading.Barrier(3)
    heard_before = False

    def card(self, suite, launcher, device):
        self.all_asked.wait(timeout=20)
        return super().card(suite, launcher, device)

    def hear(self):
        if not self.heard_before:
            self.all_asked.wait(timeout=20)
        self.heard_before = True
        return super().hear()


def test_hosts_are_asked_at_once_so_that_a_silent_one_delays_nobody(measured):
    hosts = [SlowToTell(name, label=name) for name in ("one", "two", "three")]
    outcome = measured(*hosts, replicate=True, protocol={"rounds": 1, "window_s": 0.3})
    assert not outcome.missing
    assert len(outcome.folders) == 3
