from dataclasses import replace

import pytest

from greenbench.cluster.card import HostCard, clock_note, image_note, refusals
from greenbench.cluster.host_program import what_is_built
from greenbench.fleet.launcher import Build

CARD = HostCard(
    host_id="h",
    greenbench_version="1",
    device="cuda",
    model="H100",
    driver="570",
    launcher="docker",
    requirements={"pytorch": "l", "jax": "m"},
    contents={"pytorch": "c", "jax": "d"},
    images={"pytorch": "sha256:i", "jax": "sha256:j"},
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
        ({"contents": {"pytorch": "other", "jax": "d"}}, "pytorch holds other files or packages (other)"),
        ({"contents": {"pytorch": "c"}}, "jax holds other files or packages (unknown) than"),
        ({"launcher": "venv", "contents": {}}, "its launcher is venv, the first host's is docker"),
        ({"problem": "pytorch is not built"}, "pytorch is not built"),
    ],
)
def test_who_differs_is_refused_by_what_differs(changes, words):
    (reason,) = reasons(**changes)
    assert words in reason


def test_images_that_hold_the_same_and_were_built_apart_are_named():
    assert not image_note(CARD, None)
    assert not image_note(CARD, CARD)
    apart = replace(CARD, images=CARD.images | {"jax": "sha256:k"})
    assert image_note(apart, CARD).endswith("(jax sha256:k, on the first host sha256:j)")


def built(**changes):
    values = {
        "runtime": "pytorch",
        "device": "cpu",
        "launcher": "docker",
        "identity": "sha256:i",
        "requirements_sha256": "l",
        "python": "3.11.7",
        "packages": {"torch": "2.11.0", "numpy": "2.4"},
        "fingerprint": "f",
        "log_path": None,
        "reused": True,
        "elapsed_s": 0.0,
    }
    return Build(**values | changes)


def test_an_images_contents_are_its_files_its_python_and_its_packages_wherever_it_was_built():
    contents = what_is_built([built()])["contents"]
    assert what_is_built([built(identity="sha256:other", elapsed_s=9.0)])["contents"] == contents
    assert what_is_built([built(packages={"numpy": "2.4", "torch": "2.11.0"})])["contents"] == contents
    others = (
        {"fingerprint": "g"},
        {"python": "3.11.8"},
        {"packages": {"torch": "2.11.1", "numpy": "2.4"}},
        {"launcher": "venv"},
    )
    for changes in others:
        assert what_is_built([built(**changes)])["contents"] != contents, changes


def test_a_card_has_digests_of_images_alone():
    told = what_is_built([built(), built(runtime="jax", launcher="venv", identity="l", fingerprint=None)])
    assert told["images"] == {"pytorch": "sha256:i"}
    assert told["requirements"] == {"pytorch": "l", "jax": "l"}
    assert set(told["contents"]) == {"pytorch", "jax"}


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
