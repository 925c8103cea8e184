import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenbench.core.errors import ConfigurationError
from greenbench.core.plan import Cell, Plan, Protocol, order
from greenbench.core.shard import (
    Block,
    Shard,
    block_of,
    blocks_of,
    parse_shard,
    part_of,
    plan_sha256,
    share_of,
)
from greenbench.core.suite import parse_suite
from greenbench.core.workload import Workload

BLOCKS = tuple(Block(model=model, batch_size=batch) for model in "abc" for batch in (1, 8, 64))
PROTOCOL = Protocol(
    window_s=1, windows=1, rounds=3, baseline_host_s=1, baseline_loaded_s=1, warmup_cap_s=1, rest_cap_s=1
)


def cell(runtime, model, batch):
    workload = Workload(
        model=model, batch_size=batch, precision="fp32", sequence_length=None, weights="matched"
    )
    own = {"mode": "cpu", "source": None, "path": "loop", "io": "device", "device": "cpu", "threads": 1}
    return Cell(runtime=runtime, workload=workload, weights_from="seeded", **own)


def plan(seed=0):
    cells = tuple(cell(runtime, block.model, block.batch_size) for runtime in "xyz" for block in BLOCKS)
    return Plan(loads=order(cells, rounds=3, seed=seed), left_out=(), protocol=PROTOCOL, seed=seed)


def suite(**values):
    matrix = {"model": ["resnet50", "bert_base"], "batch_size": [1, 64]}
    return parse_suite({"name": "t", "matrix": matrix, **values}, "test")


@given(st.integers(), st.integers(1, len(BLOCKS)))
def test_shards_are_disjoint_equal_to_one_block_and_the_whole_together(seed, count):
    parts = [share_of(BLOCKS, Shard(index=index, count=count), seed=seed) for index in range(1, count + 1)]
    assert sorted(block for part in parts for block in part) == sorted(BLOCKS)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_shards_hang_on_the_seed_and_not_on_the_order_of_the_blocks():
    shard = Shard(index=1, count=3)
    assert share_of(BLOCKS, shard, seed=4) == share_of(BLOCKS[::-1], shard, seed=4)
    assert len({share_of(BLOCKS, shard, seed=seed) for seed in range(20)}) > 10


@given(st.integers(), st.integers(1, len(BLOCKS)))
def test_a_shard_keeps_blocks_whole_over_all_rounds_in_the_order_of_the_plan(seed, count):
    whole, seen = plan(seed), []
    for index in range(1, count + 1):
        blocks = share_of(BLOCKS, Shard(index=index, count=count), seed=seed)
        part = part_of(whole, blocks)
        positions = [load.position for load in part.loads]
        assert positions == sorted(positions)
        assert {block_of(load.cell) for load in part.loads} == set(blocks)
        assert len(part.loads) == len(blocks) * 3 * 3
        seen += part.loads
    assert sorted(seen, key=lambda load: load.position) == list(whole.loads)


def test_more_shards_than_blocks_are_refused_with_the_number_there_is():
    with pytest.raises(ConfigurationError, match=r"has 9 blocks .* use at most 9 shards"):
        share_of(BLOCKS, Shard(index=1, count=10), seed=0)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3", "", "1.0/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ConfigurationError, match="is not I/N"):
        parse_shard(text)


def test_a_shard_reads_as_it_is_written():
    assert parse_shard(" 2/3 ") == Shard(index=2, count=3)
    assert parse_shard("2/3").label == "2/3"


def test_blocks_come_from_the_suite_alone_and_leave_out_what_it_excludes_whole():
    assert [block.block_id for block in blocks_of(suite())] == [
        "bert_base.b1", "bert_base.b64", "resnet50.b1", "resnet50.b64",
    ]  # fmt: skip
    some = suite(exclude=[{"model": "bert_base", "batch_size": 64}, {"runtime": "pytorch", "batch_size": 1}])
    assert [block.block_id for block in blocks_of(some)] == ["bert_base.b1", "resnet50.b1", "resnet50.b64"]


def test_the_plan_is_another_with_another_suite_seed_or_device_and_the_same_on_another_gpu():
    known = plan_sha256(suite(), seed=1, device="cpu")
    assert plan_sha256(suite(host={"gpu": 3, "env": {"jax": "/p"}}), seed=1, device="cpu") == known
    others = {
        plan_sha256(suite(), seed=2, device="cpu"),
        plan_sha256(suite(), seed=1, device="cuda"),
        plan_sha256(suite(host={"threads": 2}), seed=1, device="cpu"),
        plan_sha256(suite(protocol={"rounds": 3}), seed=1, device="cpu"),
    }
    assert len(others | {known}) == 5
