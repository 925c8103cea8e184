"""A runtime that was taken over, and names files of the host as if it had made them."""

import os
from pathlib import Path

import pytest

from greenbench.core.errors import FleetError
from greenbench.fleet.outbox import take_made


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "outbox"
    folder.mkdir(parents=True)
    (tmp_path / "taken").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("of the host")
    return folder


@pytest.mark.parametrize("name", ["model.onnx", "deep/er/model.onnx"])
def test_a_made_file_is_moved(outbox, tmp_path, name):
    (outbox / name).parent.mkdir(parents=True, exist_ok=True)
    (outbox / name).write_bytes(b"made")
    taken = take_made(outbox, name, tmp_path / "taken")
    assert taken == tmp_path / "taken" / "model.onnx"
    assert taken.read_bytes() == b"made"
    assert not (outbox / name).exists()


@pytest.mark.parametrize(
    "told", ["../../secret/key", "a/../../../secret/key", "", ".", "..", "a\0b", "/etc/passwd"]
)
def test_a_path_that_leads_out_is_refused(outbox, tmp_path, told):
    with pytest.raises(FleetError, match="not inside its outbox"):
        take_made(outbox, told, tmp_path / "taken")
    assert (tmp_path / "secret" / "key").read_text() == "of the host"
    assert list((tmp_path / "taken").iterdir()) == []


def test_the_absolute_path_of_a_file_that_is_there_is_refused(outbox, tmp_path):
    with pytest.raises(FleetError, match="not inside its outbox"):
        take_made(outbox, str(tmp_path / "secret" / "key"), tmp_path / "taken")


@pytest.mark.parametrize("link", ["file", "folder", "outbox"])
def test_no_link_is_followed(outbox, tmp_path, link):
    if link == "outbox":
        outbox.rmdir()
        outbox.symlink_to(tmp_path / "secret")
    else:
        (outbox / link).symlink_to(tmp_path / "secret" / ("key" if link == "file" else "."))
    told = {"file": "file", "folder": "folder/key", "outbox": "key"}[link]
    with pytest.raises(FleetError, match="cannot be taken"):
        take_made(outbox, told, tmp_path / "taken")
    assert (tmp_path / "secret" / "key").read_text() == "of the host"
    assert list((tmp_path / "taken").iterdir()) == []


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_and_not_waited_for(outbox, tmp_path):
    os.mkfifo(outbox / "pipe")
    with pytest.raises(FleetError, match="not a regular file"):
        take_made(outbox, "pipe", tmp_path / "taken")


def test_a_folder_and_a_file_that_is_not_there_are_refused(outbox, tmp_path):
    (outbox / "folder").mkdir()
    with pytest.raises(FleetError, match="not a regular file"):
        take_made(outbox, "folder", tmp_path / "taken")
    with pytest.raises(FleetError, match="No such file"):
        take_made(outbox, "none", tmp_path / "taken")


def test_a_refusal_leaves_no_descriptor_open(outbox, tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(FleetError):
            take_made(outbox, "deep/none", tmp_path / "taken")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
