import os

import psutil
import pytest
from campaigns.flatness import FEWEST_SAMPLES, MEBIBYTE, Sample, Watch, growth_table, judge, plot


def samples(number: int = 60, **grows: float) -> list[Sample]:
    """Noise of a fixed kind over what grows by so much a sample."""
    held = {"memory_bytes": 100 * MEBIBYTE, "descriptors": 12, "sockets": 2, "threads": 13}
    return [
        Sample(
            elapsed_s=float(at),
            work=at,
            **{name: int(base + at * grows.get(name, 0) + (at * 7) % 3 // 2) for name, base in held.items()},
        )
        for at in range(number)
    ]


def flat(found):
    return {growth.name: growth.flat for growth in found}


def test_noise_is_flat():
    assert all(flat(judge(samples())).values())


@pytest.mark.parametrize(
    ("name", "step"),
    [("memory_bytes", MEBIBYTE), ("descriptors", 0.2), ("sockets", 0.2), ("threads", 0.2)],
)
def test_a_slow_leak_of_one_thing_is_found_and_named(name, step):
    found = flat(judge(samples(**{name: step})))
    assert [what for what, is_flat in found.items() if not is_flat] == [name]


def test_what_grows_only_while_it_warms_up_is_flat():
    steps = [
        Sample(
            elapsed_s=at,
            work=at,
            memory_bytes=min(at, 15) * MEBIBYTE * 9,
            descriptors=9,
            sockets=1,
            threads=3,
        )
        for at in range(60)
    ]
    assert all(flat(judge(steps)).values())


def test_too_few_samples_are_no_proof():
    with pytest.raises(ValueError, match="cannot show growth"):
        judge(samples(FEWEST_SAMPLES - 1))


def test_the_table_says_what_grows():
    lines = growth_table(judge(samples(descriptors=1.0)))
    assert [line for line in lines if "**grows**" in line] == [
        line for line in lines if "descriptors" in line
    ]


def test_a_watch_sees_descriptors_come_and_go():
    watch = Watch(psutil.Process())
    watch.look(0)
    ends = os.pipe()
    watch.look(1)
    for end in ends:
        os.close(end)
    watch.look(2)
    first, second, third = (sample.descriptors for sample in watch.samples)
    assert (second - first, third) == (2, first)


def test_the_picture_is_drawn(tmp_path):
    plot({"runtime": samples(20), "controller": samples(20)}, tmp_path / "soak.svg", work="cycles")
    text = (tmp_path / "soak.svg").read_text()
    assert all(word in text for word in ("descriptors", "sockets", "threads", "controller"))
