from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from greenbench.cluster.dispatch import ATTEMPTS, Dispatch, Task

KINDS = {"a1": "A", "a2": "A", "b1": "B"}


@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(["next", "finish", "fail"]))))
def test_whatever_happens_each_task_is_in_one_place_only(moves):
    dispatch = Dispatch(range(1, 6))
    for host, move in moves:
        if move == "next":
            dispatch.next_for(host, KINDS[host])
        elif move == "finish" and host in dispatch.running:
            dispatch.finish(host)
        elif move == "fail":
            dispatch.fail(host, "lost")
    everywhere = [
        *dispatch.waiting, *dispatch.running.values(), *dispatch.finished, *dispatch.given_up,
    ]  # fmt: skip
    assert Counter(task.index for task in everywhere) == Counter(range(1, 6))
    assert all(task.attempt <= ATTEMPTS for task in everywhere)


def test_a_lost_hosts_task_goes_first_and_to_its_own_kind():
    dispatch = Dispatch([1, 2, 3])
    assert dispatch.next_for("a1", "A").index == 1
    dispatch.fail("a1", "lost")
    assert dispatch.next_for("b1", "B").index == 2
    again = dispatch.next_for("a2", "A")
    assert (again.index, again.attempt, again.reason) == (1, 2, "lost")


def test_a_busy_host_gets_nothing_and_a_host_without_a_task_loses_none():
    dispatch = Dispatch([1, 2])
    dispatch.next_for("a1", "A")
    assert dispatch.next_for("a1", "A") is None
    assert dispatch.fail("b1", "lost") is None
    assert [task.index for task in dispatch.waiting] == [2]


def test_a_task_that_fails_everywhere_is_given_up_with_its_last_reason():
    dispatch = Dispatch([1])
    for number in range(ATTEMPTS):
        assert dispatch.next_for("a1", "A").attempt == number + 1
        dispatch.fail("a1", f"reason {number}")
    assert dispatch.done
    assert dispatch.given_up[0].reason == f"reason {ATTEMPTS - 1}"


def test_replicated_each_kind_gets_each_task_once():
    dispatch = Dispatch([1, 2], ["A", "B"])
    dealt = []
    while not dispatch.done:
        for host, kind in KINDS.items():
            if task := dispatch.next_for(host, kind):
                dealt.append((task.index, task.kind))
                dispatch.finish(host)
    assert sorted(dealt) == [(1, "A"), (1, "B"), (2, "A"), (2, "B")]


def test_what_waits_for_a_kind_that_is_gone_is_given_up_and_the_rest_goes_on():
    dispatch = Dispatch([1, 2])
    dispatch.next_for("a1", "A")
    dispatch.fail("a1", "lost")
    dispatch.give_up(["B"], "no host of its kind is left")
    assert [(task.index, task.reason) for task in dispatch.given_up] == [(1, "lost")]
    assert [task.index for task in dispatch.waiting] == [2]
    dispatch.give_up([], "no host of its kind is left")
    assert dispatch.done


def test_what_is_finished_is_not_dealt_again():
    done = [Task(index=1, kind="A"), Task(index=2, kind="B")]
    assert [task.index for task in Dispatch([1, 2, 3], finished=done).waiting] == [3]
    waiting = Dispatch([1, 2], ["A", "B"], finished=done).waiting
    assert [(task.index, task.kind) for task in waiting] == [(1, "B"), (2, "A")]
