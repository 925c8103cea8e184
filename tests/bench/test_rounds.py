import pytest
from tests.bench.test_planning import CATALOGUE, CPU
from tests.results.conftest import manifest, trial

from greenbench.bench.planning import make_plan
from greenbench.bench.rounds import FIXED, PILOT_ROUNDS, fix_rounds, rounds_entry, sentence, spreads
from greenbench.bench.schedule import same_plan
from greenbench.core.doubt import Verdict
from greenbench.core.errors import ConfigurationError
from greenbench.core.progress import Silence
from greenbench.core.sample_size import ROUNDS_CAP
from greenbench.core.suite import parse_suite
from greenbench.results.folder import RunFolder

STEADY = (1.00, 1.01, 0.99, 1.02, 0.98)


def pilot(target_u=0.01):
    protocol = {} if target_u is None else {"target_u": target_u}
    values = {"name": "t", "matrix": {"batch_size": [1], "model": ["resnet50"]}, "protocol": protocol}
    return make_plan(parse_suite(values, "test"), CATALOGUE, CPU, seed=3)


def rows(cell, joules, *, verdict=Verdict.VALID, **values):
    return [
        trial(
            cell_id=cell,
            load_id=f"r{number:02d}.{cell}",
            trial_id=f"r{number:02d}.{cell}.a1.w1",
            round=number,
            verdict=verdict,
            **({"energy_scope": "cpu", "energy_j_per_sample": value} | values),
        )
        for number, value in enumerate(joules, start=1)
    ]


@pytest.fixture
def folder(tmp_path):
    order = tuple(load.load_id for load in pilot().loads)
    with RunFolder.create(tmp_path, "run", manifest(order=order)) as made:
        yield made


def test_with_a_target_the_plan_is_the_pilot():
    assert pilot().protocol.rounds == PILOT_ROUNDS
    assert {load.round for load in pilot().loads} == set(range(1, PILOT_ROUNDS + 1))
    assert pilot(None).protocol.rounds == 10


def test_without_a_target_nothing_is_fixed(folder):
    plan = pilot(None)
    assert fix_rounds(folder, plan, Silence()) is plan
    assert list(folder.events(FIXED)) == []


def test_the_widest_cell_decides_and_the_number_is_kept(folder):
    plan = pilot()
    first, second = (cell.cell_id for cell in plan.cells)
    wide = [1 + 2 * (value - 1) for value in STEADY]
    for row in (*rows(first, STEADY), *rows(second, wide)):
        folder.add_trial(row)
    whole = fix_rounds(folder, plan, Silence())
    (event,) = folder.events(FIXED)
    assert event["cell"] == second
    assert event["spread_rel"] == pytest.approx(0.0316, abs=1e-4)
    assert event["rounds"] == whole.protocol.rounds > PILOT_ROUNDS
    assert whole.loads[: len(plan.loads)] == plan.loads
    assert len(whole.loads) == 2 * whole.protocol.rounds
    stored = folder.manifest()
    assert stored.order == tuple(load.load_id for load in whole.loads)
    assert stored.rounds.rounds == whole.protocol.rounds


def test_a_resumed_run_keeps_the_number_whatever_it_measured_since(folder):
    plan = pilot()
    cell = plan.cells[0].cell_id
    for row in rows(cell, STEADY):
        folder.add_trial(row)
    before = fix_rounds(folder, plan, Silence())
    for row in rows(cell, [9.0, 0.1, 5.0], window=2):
        folder.add_trial(row)
    folder.close()
    with RunFolder.resume("run", folder.path.parent) as resumed:
        same_plan(plan, resumed.manifest().order[: len(plan.loads)])
        assert fix_rounds(resumed, pilot(), Silence()) == before
        assert len(list(resumed.events(FIXED))) == 1


def test_a_crash_between_event_and_manifest_is_mended_on_resume(folder):
    plan = pilot()
    for row in rows(plan.cells[0].cell_id, STEADY):
        folder.add_trial(row)
    whole = fix_rounds(folder, plan, Silence())
    short = tuple(load.load_id for load in plan.loads)
    folder.update_manifest(folder.manifest().model_copy(update={"order": short, "rounds": None}))
    assert fix_rounds(folder, plan, Silence()) == whole
    assert len(folder.manifest().order) == len(whole.loads)


def test_without_energy_time_is_the_figure():
    timed = [
        trial(cell_id="c", round=number, throughput_samples_per_s=1 / value)
        for number, value in enumerate(STEADY, start=1)
    ]
    (found,) = spreads(timed)
    assert found.relative == pytest.approx(0.0158, abs=1e-4)


def test_invalid_and_failed_trials_have_no_spread():
    assert spreads(rows("c", STEADY, verdict=Verdict.INVALID)) == ()
    entry = rounds_entry((), 0.01, pilot=PILOT_ROUNDS)
    assert entry.rounds == PILOT_ROUNDS
    assert "no cell" in sentence(entry)


def test_windows_of_a_round_are_one_value():
    two = [*rows("c", STEADY), *rows("c", [2 - value for value in STEADY], window=2)]
    (found,) = spreads(two)
    assert found.rounds == PILOT_ROUNDS
    assert found.relative == pytest.approx(0.0)


def test_a_spread_that_would_take_too_many_rounds_is_said():
    entry = rounds_entry(spreads(rows("c", [1, 2, 1, 2, 1])), 0.01, pilot=PILOT_ROUNDS)
    assert entry.rounds == ROUNDS_CAP
    assert entry.capped
    assert f"more than {ROUNDS_CAP} are not planned" in sentence(entry)


@pytest.mark.parametrize("value", [0, 1.0, -0.1])
def test_a_target_that_is_no_share_is_refused(value):
    with pytest.raises(ConfigurationError, match="target_u"):
        pilot(value)
