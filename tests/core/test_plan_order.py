from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from greenbench.core.plan import Cell, Plan, Protocol, order
from greenbench.core.workload import Workload


def cell(runtime, batch, **more):
    workload = Workload(
        model="bert_base",
        batch_size=batch,
        precision="fp32",
        sequence_length=more.pop("length", None),
        weights=more.pop("weights", "matched"),
    )
    base = {"mode": "cpu", "source": None, "path": "loop", "io": "device", "device": "cpu", "threads": 1}
    return Cell(runtime=runtime, workload=workload, weights_from="seeded", **(base | more))


CELLS = tuple(cell(runtime, batch) for runtime in "abc" for batch in (1, 2, 4, 8))


@given(st.integers(), st.integers(1, 6))
def test_every_round_loads_every_cell_once_and_keeps_runtimes_together(seed, rounds):
    loads = order(CELLS, rounds=rounds, seed=seed)
    assert [load.position for load in loads] == list(range(len(CELLS) * rounds))
    for number in range(1, rounds + 1):
        own = [load.cell for load in loads if load.round == number]
        assert sorted(c.cell_id for c in own) == sorted(c.cell_id for c in CELLS)
        changes = sum(a.runtime != b.runtime for a, b in pairwise(own))
        assert changes == 2


@given(st.integers())
def test_an_even_round_is_the_reverse_of_the_one_before(seed):
    loads = order(CELLS, rounds=4, seed=seed)
    by_round = {number: [load.cell for load in loads if load.round == number] for number in range(1, 5)}
    assert by_round[2] == by_round[1][::-1]
    assert by_round[4] == by_round[3][::-1]


def test_the_order_hangs_on_the_seed_and_not_on_the_order_of_the_suite():
    assert order(CELLS, rounds=2, seed=3) == order(CELLS[::-1], rounds=2, seed=3)
    assert len({tuple(load.load_id for load in order(CELLS, rounds=1, seed=seed)) for seed in range(20)}) > 10


def test_ids_are_readable_and_tell_every_difference_apart():
    assert cell("pytorch", 1, length=128).cell_id == "pytorch.cpu.bert_base.fp32.b1.l128"
    different = [
        cell("a", 1),
        cell("a", 2),
        cell("a", 1, mode="x"),
        cell("a", 1, source="mxnet"),
        cell("a", 1, io="host"),
        cell("a", 1, path="served"),
        cell("a", 1, weights="native"),
        cell("a", 1, length=64),
    ]
    assert len({one.cell_id for one in different}) == len(different)
    assert order([cell("a", 1)], rounds=2, seed=0)[1].load_id == "r02.a.cpu.bert_base.fp32.b1"


def test_a_plan_names_each_cell_once():
    protocol = Protocol(
        window_s=1, windows=1, rounds=3, baseline_host_s=0, baseline_loaded_s=0, warmup_cap_s=1, rest_cap_s=0
    )
    plan = Plan(loads=order(CELLS, rounds=3, seed=1), left_out=(), protocol=protocol, seed=1)
    assert len(plan.cells) == len(CELLS)
    assert plan.cells == tuple(load.cell for load in plan.loads if load.round == 1)


def test_a_fixed_order_repeats_the_suites_own_in_every_round():
    loads = order(CELLS, rounds=3, seed=5, fixed=True)
    assert [load.cell for load in loads] == [*CELLS] * 3
    assert [load.round for load in loads] == [number for number in (1, 2, 3) for _ in CELLS]
