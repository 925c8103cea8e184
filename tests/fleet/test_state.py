import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from greenbench.core.errors import ConfigurationError, GreenbenchError, StateLockedError
from greenbench.fleet.lease import StateLease
from greenbench.fleet.state import SOCKET_PATH_LIMIT_BYTES, StateFolder, default_state_root


def test_every_place_lies_inside_the_folder(state):
    state.create()
    places = (
        state.lock,
        state.models,
        state.venvs,
        state.logs,
        state.calibration,
        state.builds,
        state.run("a"),
    )
    assert all(place.is_relative_to(state.root) for place in places)
    assert state.models.is_dir()
    assert state.address("a") == f"unix:{state.root}/run/a/grpc.sock"


def test_default_is_the_users_own_folder():
    assert StateFolder.at(None).root == default_state_root()
    assert StateFolder.at(Path("~/x")).root == Path.home() / "x"


def test_identity_differs_by_folder_and_not_by_call(state):
    assert state.identity == StateFolder.at(state.root).identity
    assert state.identity != StateFolder.at(state.root / "other").identity


@pytest.mark.parametrize("excess", [0, 1])
def test_a_socket_path_too_long_for_linux_is_one_line(excess):
    fixed = len("/run/pytorch/grpc.sock")
    state = StateFolder.at(Path("/" + "x" * (SOCKET_PATH_LIMIT_BYTES - fixed - 1 + excess)))
    if excess:
        with pytest.raises(ConfigurationError, match=r"108 bytes, Linux allows 107; set GREENBENCH_STATE"):
            state.socket("pytorch")
    else:
        assert len(os.fsencode(state.socket("pytorch"))) == 107


def test_a_run_folder_is_closed_and_holds_no_old_socket(state):
    state.prepare_run("a")
    state.socket("a").write_text("old")
    folder = state.prepare_run("a")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not state.socket("a").exists()
    assert state.outbox("a").is_dir()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written: Not a directory; set GREENBENCH_STATE"):
        StateFolder.at(tmp_path / "file" / "state").create()


def test_a_second_holder_is_told_the_first_ones_pid(state):
    with (
        StateLease(state, purpose="greenbench run quick"),
        pytest.raises(StateLockedError, match=rf"process {os.getpid()} \(greenbench run quick\) holds"),
        StateLease(state, purpose="another"),
    ):
        pass


def test_a_lease_ends_and_can_be_taken_again(state):
    for _ in range(2):
        with StateLease(state, purpose="one"):
            assert state.lock.read_text() == f"{os.getpid()}\none\n"
    assert state.lock.read_text() == ""


def test_a_lease_of_a_dead_process_is_none(state):
    program = (
        "import os, sys; from pathlib import Path; from greenbench.fleet.lease import StateLease;"
        "from greenbench.fleet.state import StateFolder;"
        "StateLease(StateFolder.at(Path(sys.argv[1])), purpose='gone').__enter__(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, state.root], check=False).returncode == 9
    assert "gone" in state.lock.read_text()
    with StateLease(state, purpose="next"):
        assert "next" in state.lock.read_text()


def test_a_lease_does_not_pass_to_children(state):
    with StateLease(state, purpose="parent"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with StateLease(state, purpose="next"):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_lease_on_a_full_disk_is_one_line(state, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state.create()
    monkeypatch.setattr(os, "pwrite", full)
    with (
        pytest.raises(GreenbenchError, match=r"lock: the disk is full.*--resume"),
        StateLease(state, purpose="a"),
    ):
        pass
    monkeypatch.undo()
    with StateLease(state, purpose="b"):
        assert "b" in state.lock.read_text()
