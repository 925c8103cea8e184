from dataclasses import replace

import numpy as np
import pytest

from greenbench.bench.baseline import interpolate
from greenbench.bench.instruments import Instruments
from greenbench.bench.rows import RunIdentity, blank_row, net_of_host, parity_row, rows_of
from greenbench.bench.trial import MeasuredLoad
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.parity import Parity
from greenbench.core.plan import Cell, PlannedLoad
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent, Baseline
from greenbench.core.workload import Workload
from greenbench.energy.estimate import WATTS_PER_BUSY_CORE
from greenbench.energy.meter import MeterSet
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.energy.window import Energy, Window
from greenbench.fleet.answers import LoadedFacts

SECOND = 1_000_000_000
T_OF_TWO_BLOCKS = 12.7062
"""Student's t, 95%, of the two 1 s blocks of a baseline of 2 s."""
LOAD = Workload(model="resnet50", batch_size=64, precision="fp32", sequence_length=None, weights="matched")
CELL = Cell(
    runtime="pytorch",
    mode="eager",
    source=None,
    workload=LOAD,
    path="loop",
    io="device",
    device="cuda",
    threads=2,
    weights_from="seeded",
)
PLANNED = PlannedLoad(round=2, position=7, cell=CELL)
IDENTITY = RunIdentity(run_id="run", host_id="host", gpu_uuid="GPU-1")
EQUAL = Parity(relative_error=1e-6, cosine=1.0, top1_agreement=1.0, rows=8, limit=1e-4, passed=True)
FACTS = LoadedFacts(
    inputs=(),
    outputs=(),
    parameters=1,
    flops=2,
    device_bytes=0,
    load_s=1,
    build_s=0.1,
    nodes_per_provider={},
    flags={},
    dtypes={},
)
METERS = MeterSet(
    domains={Domain.GPU: ("counter",), Domain.CPU: ("rapl:package-0",), Domain.PSYS: ("rapl:psys",)},
    scope="gpu+cpu",
    absent=(Absent(domain="dram", reason="no dram zone"),),
)
INSTRUMENTS = Instruments(meters=METERS, sensor_period_s=0.1, limits=DEFAULT_LIMITS)
WINDOW = Window(
    begin_ns=0,
    end_ns=10 * SECOND,
    iterations=400.5,
    edge_source="counter",
    sensor_periods=100.0,
    cpu_s=9.0,
    energy={
        Domain.GPU: Energy(joules=5000.0, edge_u95_j=3.0),
        Domain.CPU: Energy(joules=1000.0, edge_u95_j=4.0),
        Domain.PSYS: Energy(joules=9000.0, edge_u95_j=100.0),
    },
)


def baseline(kind, watts, begin_s, domain="gpu", error_w=None):
    return Baseline(
        kind=kind,
        load_id=None,
        domain=domain,
        begin_ns=begin_s * SECOND,
        end_ns=(begin_s + 2) * SECOND,
        power_w=watts,
        standard_error_w=error_w,
        settled=True,
    )


def row(window=WINDOW, **changes):
    (found,) = rows_of(
        IDENTITY,
        PLANNED,
        MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(window,), **changes),
        INSTRUMENTS,
        attempt=1,
    )
    return found


def test_totals_are_the_scope_and_nothing_else():
    found = row()
    assert found.energy_total_j == 6000.0
    assert found.energy_psys_j == 9000.0
    assert found.samples == pytest.approx(400.5 * 64)
    assert found.energy_j_per_sample == pytest.approx(6000.0 / (400.5 * 64))
    assert found.energy_u95_j == pytest.approx(5.0)
    assert found.verdict is Verdict.VALID
    assert found.energy_dram_j is None


def test_the_gain_of_a_board_is_told_beside_its_joules_and_of_a_sum_it_is_unknown():
    both = row()
    assert both.gain_u_rel is None
    assert "not published" in {item.domain: item.reason for item in both.absent}["gain_u_rel"]
    gpu = replace(INSTRUMENTS, meters=replace(INSTRUMENTS.meters, scope="gpu"))
    load = MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(WINDOW,))
    (alone,) = rows_of(IDENTITY, PLANNED, load, gpu, attempt=1)
    assert (alone.energy_total_j, alone.gain_u_rel) == (5000.0, 0.05)
    nothing = row(replace(WINDOW, energy={}))
    assert nothing.gain_u_rel is None
    assert "gain_u_rel" not in {item.domain for item in nothing.absent}


def test_a_domain_without_a_reading_voids_the_total_with_its_reason():
    found = row(replace(WINDOW, energy={Domain.GPU: Energy(joules=5000.0, edge_u95_j=3.0)}))
    assert found.energy_gpu_j == 5000.0
    assert found.energy_total_j is None
    assert found.energy_j_per_sample is None
    assert "cpu" in {item.domain for item in found.absent}


def test_the_reason_of_an_absent_domain_is_the_meters_own_and_only_that():
    why = Absent(domain="cpu", reason="rapl:package-0 gave no reading: Permission denied")
    found = row(replace(WINDOW, energy={Domain.GPU: WINDOW.energy[Domain.GPU]}, absent=(why,)))
    assert [item for item in found.absent if item.domain == "cpu"] == [why]


def test_an_edge_inside_a_long_iteration_widens_the_interval():
    found = row(replace(WINDOW, iterations_u95=0.002))
    assert found.energy_u95_j == pytest.approx((5.0**2 + (0.002 * 6000.0) ** 2) ** 0.5)


def test_net_of_the_loaded_runtime_is_not_clipped_at_zero():
    found = row(baselines=(baseline("B1", 600.0, 0),))
    assert found.energy_gpu_net_b1_j == pytest.approx(5000.0 - 600.0 * 10)
    assert found.energy_cpu_net_b1_j is None


def test_outputs_that_disagree_leave_a_row_without_figures():
    wrong = replace(EQUAL, passed=False, relative_error=0.5)
    (found,) = rows_of(
        IDENTITY,
        PLANNED,
        MeasuredLoad(facts=FACTS, parity=wrong, doubts=(wrong.doubt,)),
        INSTRUMENTS,
        attempt=1,
    )
    assert found.verdict is Verdict.INVALID
    assert found.iterations is None
    assert "differ from the reference" in found.failure


def test_b0_is_interpolated_to_the_windows_midpoint():
    found = interpolate((baseline("B0", 100.0, 0), baseline("B0", 110.0, 100)), "gpu", 51 * SECOND)
    assert found.power_w == pytest.approx(105.0)
    assert found.drift == pytest.approx(0.1)
    assert interpolate((), "gpu", 0) is None


def test_what_a_baseline_leaves_open_widens_the_net_interval_and_not_the_gross_one():
    own = tuple(baseline("B1", 120.0, begin, domain, 0.5) for domain in ("gpu", "cpu") for begin in (-9, 12))
    found = row(baselines=own)
    assert found.energy_u95_j == pytest.approx(5.0)
    # Two baselines a domain halve the square of an error; 10 s of it; both domains are in the total.
    terms = 2 * (T_OF_TWO_BLOCKS * 0.5 / 2**0.5 * 10) ** 2
    assert found.energy_net_b1_u95_j == pytest.approx((25.0 + terms) ** 0.5)
    assert row(baselines=own[:2]).energy_net_b1_u95_j is None
    assert row(baselines=(*own, baseline("B1", 120.0, 30, "cpu"))).energy_net_b1_u95_j is None


def test_net_intervals_hold_the_truth_as_often_as_they_say():
    """1,000 loads: a baseline of 10 s whose blocks scatter by 1%, edges known to 3 J and 4 J."""
    generator, held = np.random.default_rng(9), []
    for _ in range(1000):
        b1 = []
        for domain in ("gpu", "cpu"):
            blocks = generator.normal(100.0, 1.0, 10)
            item = baseline("B1", blocks.mean(), -20, domain, blocks.std(ddof=1) / 10**0.5)
            b1.append(replace(item, end_ns=item.begin_ns + 10 * SECOND))
        gross = {
            domain: replace(energy, joules=energy.joules + generator.normal(0, energy.edge_u95_j / 1.96))
            for domain, energy in WINDOW.energy.items()
        }
        found = row(replace(WINDOW, energy=gross), baselines=tuple(b1))
        net = found.energy_gpu_net_b1_j + found.energy_cpu_net_b1_j
        held.append(abs(net - (6000.0 - 2 * 100.0 * 10)) <= found.energy_net_b1_u95_j)
    assert 0.93 <= np.mean(held) <= 0.97


def test_an_interpolated_b0_has_the_error_of_both():
    around = [baseline("B0", 100.0, begin, domain, 0.4) for domain in ("gpu", "cpu") for begin in (-12, 20)]
    found = net_of_host(row(), tuple(around), DEFAULT_LIMITS)
    share = (5 - -11) / (21 - -11)
    error_w = 0.4 * ((1 - share) ** 2 + share**2) ** 0.5
    assert found.energy_net_b0_u95_j == pytest.approx(
        (25.0 + 2 * (T_OF_TWO_BLOCKS * error_w * 10) ** 2) ** 0.5
    )
    assert found.energy_u95_j == pytest.approx(5.0)


def test_drift_of_b0_is_a_doubt_of_the_net_columns_or_voids_them():
    shifted = replace(WINDOW, begin_ns=50 * SECOND, end_ns=60 * SECOND)
    calm = net_of_host(row(shifted), (baseline("B0", 100.0, 0), baseline("B0", 101.0, 100)), DEFAULT_LIMITS)
    assert calm.energy_gpu_net_b0_j == pytest.approx(5000.0 - 100.54 * 10, rel=1e-3)
    assert calm.doubts == ()
    drifting = net_of_host(
        row(shifted), (baseline("B0", 100.0, 0), baseline("B0", 107.0, 100)), DEFAULT_LIMITS
    )
    assert {doubt.rule for doubt in drifting.doubts} == {Rule.BASELINE_DRIFT}
    assert drifting.energy_gpu_net_b0_j is not None
    void = net_of_host(row(shifted), (baseline("B0", 100.0, 0), baseline("B0", 120.0, 100)), DEFAULT_LIMITS)
    assert void.energy_gpu_net_b0_j is None
    assert void.energy_gpu_j == 5000.0
    assert "energy_gpu_net_b0_j" in {item.domain for item in void.absent}


def test_a_blank_row_is_a_failed_one_that_names_what_was_asked():
    found = blank_row(IDENTITY, PLANNED, attempt=2, window=1)
    assert found.verdict is Verdict.FAILED
    assert found.trial_id == "r02.pytorch.eager.resnet50.fp32.b64.a2.w1"
    assert found.iterations is None


@pytest.mark.parametrize("scope", ["gpu+cpu", "none"])
def test_an_estimate_has_a_column_of_its_own_and_is_in_no_total(scope):
    instruments = replace(INSTRUMENTS, meters=replace(METERS, scope=scope))
    measured = MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(WINDOW,))
    (plain,) = rows_of(IDENTITY, PLANNED, measured, instruments, attempt=1)
    (estimated,) = rows_of(replace(IDENTITY, estimate_cpu=True), PLANNED, measured, instruments, attempt=1)
    assert plain.energy_cpu_estimated_j is None
    assert estimated.energy_cpu_estimated_j == pytest.approx(9.0 * WATTS_PER_BUSY_CORE)
    assert replace(estimated, energy_cpu_estimated_j=None) == plain


def test_without_cpu_seconds_nothing_is_estimated():
    measured = MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(replace(WINDOW, cpu_s=None),))
    (found,) = rows_of(replace(IDENTITY, estimate_cpu=True), PLANNED, measured, INSTRUMENTS, attempt=1)
    assert found.energy_cpu_estimated_j is None


def test_a_parity_row_names_weights_and_what_they_were_compared_with():
    measured = MeasuredLoad(facts=FACTS, parity=EQUAL)
    matched = parity_row(CELL, measured)
    native = parity_row(replace(CELL, workload=replace(CELL.workload, weights="native")), measured)
    converted = parity_row(
        replace(CELL, source="mxnet", workload=replace(CELL.workload, weights="native")), measured
    )
    assert (matched["weights"], matched["compared_with"]) == ("matched", "reference")
    assert (native["weights"], native["compared_with"]) == ("native", f"native {CELL.runtime}")
    assert converted["compared_with"] == "native mxnet"
    assert native["parameters"] == FACTS.parameters
