"""One call for the streams of one turn."""

import itertools

import pytest

from greenbench.energy.shared import FRESH_NS, SharedCall


def test_streams_of_one_turn_share_an_answer_and_the_next_turn_asks_anew():
    now, asked = [0], itertools.count(1)
    shared = SharedCall(lambda: next(asked), clock=lambda: now[0])
    assert (shared(), shared()) == (1, 1)
    now[0] = FRESH_NS
    assert shared() == 1
    now[0] = FRESH_NS + 1
    assert (shared(), shared()) == (2, 2)


def test_what_raises_is_asked_again_and_no_old_answer_stands_in():
    now, answers = [0], iter([1, OSError("gone"), 3])

    def call():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    shared = SharedCall(call, clock=lambda: now[0])
    assert shared() == 1
    now[0] = 2 * FRESH_NS
    with pytest.raises(OSError, match="gone"):
        shared()
    assert shared() == 3
