import os
import subprocess
import sys

import pytest

from greenbench.energy import gpu_processes
from greenbench.energy.gpu_processes import (
    FIRST_PID_NAMESPACE,
    OwnProcesses,
    foreign_processes,
    in_nested_namespace,
    is_here,
)


def count(pids, *, mine=(), here=(), nested=False):
    return foreign_processes(
        set(pids), lambda seen: seen & set(mine), nested=nested, known=lambda pid: pid in here
    )


@pytest.mark.parametrize(
    ("pids", "mine", "here", "nested", "foreign"),
    [
        ((), (), (), False, 0),
        ((10,), (10,), (10,), False, 0),
        ((10, 20), (10,), (10, 20), False, 1),
        # On the host every number means something: a stranger is a stranger.
        ((99,), (), (), False, 1),
        # Numbers of the host's, seen from inside a container: one of them is the runtime.
        ((4001,), (), (), True, 0),
        ((4001, 4002), (), (), True, 1),
        ((4001, 4002, 4003), (), (), True, 2),
        # A driver that translates: ours is recognised, so every unknown one is foreign.
        ((10, 4001), (10,), (10,), True, 1),
        # A process that is here and not ours is foreign, translated or not.
        ((20,), (), (20,), True, 1),
        ((20, 4001), (), (20,), True, 1),
        ((), (), (), True, 0),
    ],
)
def test_strangers_are_counted_and_the_runtime_is_not(pids, mine, here, nested, foreign):
    assert count(pids, mine=mine, here=here, nested=nested) == foreign


def test_namespaces_are_told_apart_by_their_inode(tmp_path, monkeypatch):
    file = tmp_path / "pid"
    file.write_text("")
    assert in_nested_namespace(file)
    assert not in_nested_namespace(tmp_path / "absent")
    real = type(file).stat

    class First:
        st_ino = FIRST_PID_NAMESPACE

    monkeypatch.setattr(type(file), "stat", lambda self, **_: First() if self == file else real(self))
    assert not in_nested_namespace(file)


def test_this_process_and_its_children_are_ours_and_others_are_not():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert OwnProcesses()({os.getpid(), child.pid, 1}) == {os.getpid(), child.pid}
        assert is_here(child.pid)
        child.communicate(b"\n")
    assert OwnProcesses()({child.pid}) == set()


def test_a_process_of_ours_is_looked_at_once_while_it_is_named_and_a_new_one_when_it_comes(monkeypatch):
    looked = []
    monkeypatch.setattr(gpu_processes, "_is_ours", lambda pid: looked.append(pid) or pid < 100)
    ours = OwnProcesses()
    assert [ours({10, 200}), ours({10, 200}), ours({10, 20, 200})] == [{10}, {10}, {10, 20}]
    assert sorted(looked) == [10, 20, 200, 200, 200]
    assert ours({20}) == {20}
    looked.clear()
    assert ours({10, 20}) == {10, 20}
    assert looked == [10]  # it was gone meanwhile: another process may have its number


def test_after_some_seconds_without_a_look_every_process_is_looked_at_anew(monkeypatch):
    looked, now_s = [], [100.0]
    monkeypatch.setattr(gpu_processes, "_is_ours", lambda pid: looked.append(pid) or True)
    ours = OwnProcesses(lambda: now_s[0])
    for later_s, looks in ((0.0, 1), (4.0, 1), (4.0, 1), (6.0, 2), (1.0, 2)):
        now_s[0] += later_s
        assert ours({10}) == {10}
        assert len(looked) == looks
