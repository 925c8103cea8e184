from dataclasses import replace

import pytest

from greenbench.cluster.card import HostCard, clock_note, refusals

CARD = HostCard(
    host_id="h",
    greenbench_version="1",
    device="cuda",
    model="H100",
    driver="570",
    requirements={"pytorch": "l", "jax": "m"},
    utc_s=1000.0,
)


def reasons(**changes):
    return list(refusals(replace(CARD, **changes), version="1", like=CARD))


def test_a_host_like_the_first_may_measure_and_another_gpu_or_driver_is_another_kind():
    assert reasons() == []
    assert reasons(model="A100", driver="560") == []
    assert len({CARD.kind(None), replace(CARD, driver="560").kind(None), CARD.kind("mine")}) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"greenbench_version": "2"}, "it has greenbench 2, and 1 asks"),
        ({"device": "cpu"}, "it measures on cpu, the first host on cuda"),
        ({"requirements": {"pytorch": "other", "jax": "m"}}, "pytorch is built from other"),
        ({"requirements": {"pytorch": "l"}}, "jax is built from nothing"),
        ({"problem": "pytorch is not built"}, "pytorch is not built"),
    ],
)
def test_who_differs_is_refused_by_what_differs(changes, words):
    (reason,) = reasons(**changes)
    assert words in reason


@pytest.mark.parametrize(
    ("asked_s", "answered_s", "words"),
    [
        (999.0, 1001.0, ""),
        (990.0, 1010.0, ""),
        (1003.0, 1004.0, "off by 3.0 s"),
        (900.0, 995.0, "off by 5.0 s"),
    ],
)
def test_a_clock_is_named_only_where_the_way_there_and_back_cannot_explain_it(asked_s, answered_s, words):
    note = clock_note(CARD, asked_s=asked_s, answered_s=answered_s)
    assert (words in note) if words else not note
