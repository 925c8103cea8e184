import errno
import hashlib
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from greenbench.core.doubt import Verdict
from greenbench.core.errors import DamagedResultsError, GreenbenchError
from greenbench.results.events import EventLog, plain, read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def log(path, **more):
    return EventLog(
        path, clock=lambda: 42, now=lambda: datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC), **more
    )


def test_a_line_carries_event_clock_and_time_of_day(path):
    with log(path) as events:
        events.append("trial", value=1.5)
    nothing = hashlib.sha256(b"").hexdigest()
    expected = '{"event":"trial","t_ns":42,"utc":"2026-01-02T03:04:05.678Z","chain":"%s","value":1.5}\n'
    assert path.read_text() == expected % nothing


def test_every_line_names_the_one_before_it_over_a_torn_end_too(path):
    with log(path) as events:
        events.append("a")
        events.append("b")
    path.write_bytes(path.read_bytes() + b'{"event":"torn')
    with log(path) as events:
        events.append("c")
    lines = path.read_bytes().splitlines(keepends=True)
    named = [json.loads(line)["chain"] for line in lines]
    assert named == [hashlib.sha256(line).hexdigest() for line in (b"", *lines[:-1])]


def test_every_event_is_synced_and_so_is_the_folder_at_creation(path, monkeypatch):
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd))
    )
    with log(path) as events:
        assert synced == [str(path.parent)]
        events.append("one")
        assert synced == [str(path.parent), str(path)]


def test_an_event_is_one_write(path, monkeypatch):
    writes: list[bytes] = []
    real = os.write
    with log(path) as events:
        monkeypatch.setattr(os, "write", lambda fd, data: (writes.append(bytes(data)), real(fd, data))[1])
        events.append("big", text="x" * 100_000)
        monkeypatch.undo()
    assert len(writes) == 1


@pytest.mark.parametrize("torn", [b'{"event":"tr', b'{"event":"trial","t_ns":1}', b"\xff\x00"])
def test_a_torn_last_line_is_passed_over_and_cut_on_reopening(path, torn):
    with log(path) as events:
        events.append("one")
    with path.open("ab") as file:
        file.write(torn)
    assert [event["event"] for event in read_events(path)] == ["one"]
    with log(path) as events:
        events.append("two")
    assert [event["event"] for event in read_events(path)] == ["one", "two"]
    assert torn not in path.read_bytes()


def test_reading_never_changes_a_log_that_is_being_written(path):
    path.write_bytes(b'{"event":"a"}\n{"event":')
    assert len(list(read_events(path))) == 1
    assert path.read_bytes().endswith(b'{"event":')


@pytest.mark.parametrize("damage", [b"not json\n", b"[1]\n", b'{"no":"event"}\n', b"\n", b"\xff\xfe\n"])
def test_a_damaged_line_in_the_middle_names_file_and_line(path, damage):
    path.write_bytes(b'{"event":"a"}\n' + damage + b'{"event":"b"}\n')
    with pytest.raises(DamagedResultsError, match=r"events\.jsonl line 2 is damaged"):
        list(read_events(path))


def test_a_missing_log_names_its_file(path):
    with pytest.raises(DamagedResultsError, match=r"events\.jsonl cannot be read: No such file"):
        list(read_events(path))


def test_numbers_that_are_none_become_null(path):
    with log(path) as events:
        events.append("x", nan=math.nan, inf=[math.inf, {"deep": -math.inf}], numpy=np.float64("nan"))
    event = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} was written"))
    assert (event["nan"], event["inf"], event["numpy"]) == (None, [None, {"deep": None}], None)


def test_plain_unwraps_what_json_does_not_know():
    value = {
        "v": Verdict.VALID,
        "n": np.int64(3),
        "a": np.array([1.0, 2.5]),
        "p": Path("x"),
        "b": np.bool_(True),
    }
    assert json.loads(json.dumps(plain(value))) == {
        "v": "valid",
        "n": 3,
        "a": [1.0, 2.5],
        "p": "x",
        "b": True,
    }


def test_a_full_disk_is_one_line_and_leaves_whole_events(path, monkeypatch):
    real = os.write
    full = False

    def short(fd, data):
        nonlocal full
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        full = True
        return real(fd, bytes(data)[:10])

    with log(path) as events:
        events.append("one")
        before = path.read_bytes()
        monkeypatch.setattr(os, "write", short)
        with pytest.raises(
            GreenbenchError, match=r"events\.jsonl: the disk is full; everything finished .* kept"
        ) as caught:
            events.append("two", text="x" * 100)
        monkeypatch.undo()
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
        events.append("three")
    assert [event["event"] for event in read_events(path)] == ["one", "three"]
