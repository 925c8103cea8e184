"""Every rule of the validity table, each verdict proven by a fault put into a healthy load.

The faults enter where they would: into what a sensor answers, into the clock, into what the container or
the runtime says. From there on the code is that of a run. A rule or a limit without a case fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from tests.bench.simulated_host import BEGIN_S, METERS, PERIOD_S, Host, flat
from tests.bench.test_environment import BUILD, GPU, START
from tests.bench.test_rows import CELL, EQUAL, FACTS, IDENTITY, PLANNED, baseline

from greenbench.bench import schedule
from greenbench.bench.instruments import Instruments
from greenbench.bench.parity import compare
from greenbench.bench.rest import Rest
from greenbench.bench.rows import net_of_host, rows_of
from greenbench.bench.trial import MeasuredLoad, _kept_parity, _Measuring, _static_doubts
from greenbench.core.doubt import SENTENCES, Doubt, Rule, Verdict
from greenbench.core.progress import Silence
from greenbench.core.reading import Domain
from greenbench.energy.meter import MeterSet
from greenbench.energy.sensor import CallSensor
from greenbench.energy.validity import DEFAULT_LIMITS, ITERATIONS, STEAL, judge

SECOND = 1_000_000_000


def on(**faults) -> Callable[[], tuple[Doubt, ...]]:
    """Return what judges a window on a host with these faults."""

    def doubts() -> tuple[Doubt, ...]:
        window = Host(**faults).window()
        assert window.edge_source == "counter"
        return judge(window, DEFAULT_LIMITS)

    return doubts


def stopped(**faults):
    """Return the doubts of a window that a counter leaves without joules."""
    window = Host(**faults).window()
    assert Domain.GPU not in window.energy
    return judge(window, DEFAULT_LIMITS)


def once(at: np.ndarray) -> np.ndarray:
    """Return 1 in a single reading of the window."""
    return ((at > 5.0) & (at < 5.1)).astype(float)


def never_steady():
    """A clock that the warm-up runs out of; the runtime tells no iteration."""
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * SECOND)

    tools = Instruments(
        meters=METERS, sensor_period_s=PERIOD_S, limits=DEFAULT_LIMITS, clock=lambda: now[0], sleep=sleep
    )
    load = _Measuring(
        running=None,
        recorder=SimpleNamespace(record=dict),
        instruments=tools,
        planned=PLANNED,
        protocol=SimpleNamespace(warmup_cap_s=3.0, window_s=10.0),
        generator=Random(0),  # noqa: S311 - phases
        observer=Silence(),
    )
    return load._warm_up(SimpleNamespace(wait=lambda _: True, ends_ns=lambda: np.empty(0, dtype=np.int64)))


def too_warm():
    """A GPU that started at 40 degrees in the pilot and stays at 60."""
    degrees, now = [40.0], [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * SECOND)

    sensor = CallSensor(stream="temperature", unit="degC", period_s=1.0, call=lambda: degrees[0])
    tools = Instruments(
        meters=MeterSet(sensors=(sensor,)),
        sensor_period_s=0.0,
        limits=DEFAULT_LIMITS,
        clock=lambda: now[0],
        sleep=sleep,
    )
    rest = Rest(cap_s=120.0)
    assert rest.wait(tools, Silence(), pilot=True) == ()
    degrees[0] = 60.0
    return rest.wait(tools, Silence(), pilot=False)


def drifting(watts: float):
    """B0 before and after a window of a healthy load."""
    tools = Instruments(meters=METERS, sensor_period_s=PERIOD_S, limits=DEFAULT_LIMITS)
    window = Host().window()
    (row,) = rows_of(
        IDENTITY, PLANNED, MeasuredLoad(facts=FACTS, parity=EQUAL, windows=(window,)), tools, attempt=1
    )
    assert row.verdict is Verdict.VALID
    around = (baseline("B0", 100.0, -3), baseline("B0", watts, 20))
    return net_of_host(row, around, DEFAULT_LIMITS)


REFERENCE = np.random.default_rng(1).normal(size=(8, 1000)).astype(np.float32)


def wrong_outputs():
    parity = compare(REFERENCE * np.float32(1.01), REFERENCE, precision="fp32")
    return _static_doubts(CELL, FACTS, parity, DEFAULT_LIMITS)


def wrong_in_the_loop():
    kept = SimpleNamespace(outputs={"output": REFERENCE * np.float32(1.01)})
    running = SimpleNamespace(client=SimpleNamespace(kept=lambda: [kept]))
    found = _kept_parity(running, CELL, REFERENCE)
    return (found.doubt,) if found and found.doubt else ()


def said(**facts):
    return _static_doubts(CELL, replace(FACTS, **facts), EQUAL, DEFAULT_LIMITS)


def on_providers(**nodes: int):
    cell = replace(CELL, runtime="onnxruntime", mode="cuda")
    return _static_doubts(cell, replace(FACTS, nodes_per_provider=nodes), EQUAL, DEFAULT_LIMITS)


def in_environment(*, now=GPU, start=START, build=BUILD, **clocks):
    """What a load gets when the driver and the container say this at its end."""
    meters = MeterSet(facts={"gpu": now}, conditions=lambda: dict(now))
    bench = SimpleNamespace(
        instruments=Instruments(meters=meters, sensor_period_s=0.0, limits=DEFAULT_LIMITS),
        environment=start,
        observer=Silence(),
        folder=SimpleNamespace(log=lambda *_, **__: None),
    )
    load = MeasuredLoad(facts=FACTS, parity=EQUAL, build=build)
    return schedule._in_its_environment(bench, PLANNED, load, **clocks).doubts


PYRAPL = MeterSet(
    domains={Domain.GPU: ("counter",), Domain.CPU: ("rapl:package-0",)}, scope="gpu+cpu", handles_wraps=False
)
RAPL = replace(PYRAPL, handles_wraps=True)
SPLIT = GPU | {"mig": True}
D, I = Verdict.DOUBTFUL, Verdict.INVALID  # noqa: E741 - the table's two columns


@dataclass(frozen=True, kw_only=True)
class Case:
    fault: str
    rule: Rule
    verdict: Verdict
    value: float
    limit: float
    inject: Callable[[], object]


def case(fault, rule, verdict, value, inject, limit=None):
    usual = DEFAULT_LIMITS[rule]
    limit = (usual.doubtful if verdict is D else usual.invalid) if limit is None else limit
    return Case(fault=fault, rule=rule, verdict=verdict, value=value, limit=limit, inject=inject)


CASES = (
    case("a window of 5 s", Rule.TOO_SHORT, D, 50, on(window_s=5.0)),
    case("a window of 0.8 s", Rule.TOO_SHORT, I, 8, on(window_s=0.8)),
    case("27 iterations", Rule.TOO_SHORT, D, 27.6, on(iteration_s=0.37), ITERATIONS.doubtful),
    case("2 iterations", Rule.TOO_SHORT, I, 2.2, on(iteration_s=4.6), ITERATIONS.invalid),
    case("the load slows by 1%", Rule.NOT_STEADY, D, 0.01, on(slower_s=0.00014)),
    case("the load slows by 10%", Rule.NOT_STEADY, I, 0.091, on(slower_s=0.0014)),
    case("power climbs", Rule.NOT_STEADY, D, 0.02, on(watts=lambda at: 500 + 2 * at)),
    case("power climbs fast", Rule.NOT_STEADY, I, 0.113, on(watts=lambda at: 500 + 12 * at)),
    case("the warm-up never ends", Rule.NOT_STEADY, D, 3.0, never_steady, 0.0),
    case("instant power reads high", Rule.SENSOR_DISAGREEMENT, D, 0.0476, on(instant_gain=1.05)),
    case("instant power reads low", Rule.SENSOR_DISAGREEMENT, I, 0.176, on(instant_gain=0.85)),
    case("iterations of half a period", Rule.PERIOD_LOCKED, D, 0.01, on(iteration_s=0.0505)),
    case("one reading throttled", Rule.THROTTLED, D, 0.0098, on(throttled=once)),
    case("throttled all the time", Rule.THROTTLED, I, 1.0, on(throttled=flat(1.0))),
    case("another process", Rule.FOREIGN_PROCESS, I, 1.0, on(foreign=flat(1.0))),
    case("others take half a core", Rule.BUSY_HOST, D, 0.5, on(others_cores=0.5)),
    case("stolen time", Rule.BUSY_HOST, D, 0.0435, on(steal_cores=0.05), STEAL.doubtful),
    case("much stolen time", Rule.BUSY_HOST, I, 0.214, on(steal_cores=0.3), STEAL.invalid),
    case("power unread for 0.5 s", Rule.GAP, D, 5.0, on(silent_s=0.35)),
    case("power unread for 1.6 s", Rule.GAP, I, 16.0, on(silent_s=1.5)),
    case("the counter stands still from the middle on", Rule.GAP, I, 27.7, lambda: stopped(frozen_s=6.0)),
    case("the counter is lost", Rule.GAP, I, 27.7, lambda: stopped(unread_s=6.0)),
    case("RAPL stands still from the middle on", Rule.GAP, I, 52.0, on(rapl_frozen_s=6.0, meters=RAPL)),
    case("a GPU that stays warm", Rule.TEMPERATURE, D, 20.0, too_warm),
    case("B0 rises by 7%", Rule.BASELINE_DRIFT, D, 0.07, lambda: drifting(107.0).doubts),
    case("B0 rises by 20%", Rule.BASELINE_DRIFT, I, 0.2, lambda: drifting(120.0).absent),
    case("outputs off by 1%", Rule.PARITY, I, 0.01, wrong_outputs, 1e-4),
    case("outputs off in the loop", Rule.PARITY, I, 0.01, wrong_in_the_loop, 1e-4),
    case("TF32 left on", Rule.NUMERIC_MODE, I, 1.0, lambda: said(flags={"cuda.matmul.allow_tf32": "True"})),
    case("half weights", Rule.NUMERIC_MODE, I, 1.0, lambda: said(dtypes={"weights": "float16"})),
    case(
        "1 of 100 nodes elsewhere",
        Rule.PROVIDER_FALLBACK,
        D,
        0.01,
        lambda: on_providers(CUDAExecutionProvider=99, CPUExecutionProvider=1),
    ),
    case(
        "half the nodes elsewhere",
        Rule.PROVIDER_FALLBACK,
        I,
        0.5,
        lambda: on_providers(CUDAExecutionProvider=50, CPUExecutionProvider=50),
    ),
    case(
        "a power limit lowered",
        Rule.ENVIRONMENT_CHANGED,
        I,
        1.0,
        lambda: in_environment(now=GPU | {"power_limit_w": 500.0}),
    ),
    case("the host sleeps", Rule.ENVIRONMENT_CHANGED, I, 1.0, lambda: in_environment(slept_s=3.0)),
    case(
        "another image",
        Rule.ENVIRONMENT_CHANGED,
        I,
        1.0,
        lambda: in_environment(build=replace(BUILD, identity="sha256:cc")),
    ),
    case("the clock is set", Rule.CLOCK_STEPPED, D, 3600.0, lambda: in_environment(stepped_s=-3600.0)),
    case("the counter starts again", Rule.COUNTER_RESET, I, 1.0, on(lost_j=9000.0)),
    case("pyRAPL", Rule.NO_WRAP_HANDLING, D, 1.0, on(meters=PYRAPL)),
    case("a split GPU", Rule.MIG, D, 1.0, lambda: in_environment(now=SPLIT, start=replace(START, gpu=SPLIT))),
)


def test_a_healthy_host_raises_nothing():
    assert on()() == ()
    assert said() == ()
    assert in_environment() == ()
    assert on_providers(CUDAExecutionProvider=100) == ()
    assert drifting(100.0).doubts == ()


def test_a_counter_that_freezes_gives_no_joules_and_says_why():
    window = Host(frozen_s=6.0).window()
    assert Domain.GPU not in window.energy
    (absent,) = [item for item in window.absent if item.domain == "gpu"]
    assert "did not change close after both of the window's asked edges" in absent.reason
    assert window.iterations


def test_a_counter_that_is_lost_says_its_last_words():
    window = Host(unread_s=6.0, said="counter: GPU is lost").window()
    (absent,) = [item for item in window.absent if item.domain == "gpu"]
    assert absent.reason.endswith("asked edges: counter: GPU is lost")


def test_a_driver_reloaded_in_the_same_version_is_told_by_its_counter_and_its_silence():
    """Nothing of it is among a run's facts: the counter begins anew, and nobody answered meanwhile."""
    found = {doubt.rule: doubt for doubt in on(lost_j=1e6, silent_s=1.5)()}
    assert set(found) == {Rule.COUNTER_RESET, Rule.GAP}
    assert {doubt.verdict for doubt in found.values()} == {Verdict.INVALID}
    window = Host(lost_j=1e6, silent_s=1.5).window()
    assert Domain.GPU not in window.energy
    assert in_environment() == ()


def test_a_platform_counter_that_never_moves_voids_nothing():
    """It is in no total, and some platforms have one that stands still."""
    still = replace(METERS, domains={**METERS.domains, Domain.PSYS: ("rapl:package-0",)})
    assert on(rapl_frozen_s=0.0, meters=still)() == ()


def test_a_counter_that_was_never_read_is_a_gap():
    (doubt,) = stopped(unread_s=0.0)
    assert (doubt.rule, doubt.verdict) == (Rule.GAP, Verdict.INVALID)


def test_every_limit_of_every_rule_has_a_case():
    table = [*DEFAULT_LIMITS.items(), (Rule.TOO_SHORT, ITERATIONS), (Rule.BUSY_HOST, STEAL)]
    limits = {
        (rule, verdict, limit)
        for rule, own in table
        for verdict, limit in ((D, own.doubtful), (I, own.invalid))
        # An output's limit is its precision's own, not the table's.
        if limit is not None and rule is not Rule.PARITY
    }
    proven = {(one.rule, one.verdict, one.limit) for one in CASES}
    assert limits <= proven
    assert {rule for rule, _, _ in proven} == set(Rule) == set(DEFAULT_LIMITS)


@pytest.mark.parametrize(("readings", "verdict"), [(1, D), (2, I)])
def test_one_throttled_reading_of_a_short_window_is_a_doubt_and_two_void_it(readings, verdict):
    """At 1 s each is a tenth of all, beyond what voids a window."""

    def throttled(at: np.ndarray) -> np.ndarray:
        return ((at > BEGIN_S + 0.45) & (at < BEGIN_S + 0.45 + 0.1 * readings)).astype(float)

    found = {doubt.rule: doubt for doubt in on(throttled=throttled, window_s=1.0)()}
    assert found[Rule.THROTTLED].verdict is verdict
    assert found[Rule.THROTTLED].value > 0.05


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.fault)
def test_an_injected_fault_is_marked_with_sentence_value_and_limit(one):
    found = one.inject()
    if (one.rule, one.verdict) == (Rule.BASELINE_DRIFT, I):
        # It voids the net column alone: the mark is the reason of what is absent.
        (sentence,) = [item.reason for item in found if item.domain == "energy_gpu_net_b0_j"]
    else:
        (doubt,) = found
        assert (doubt.rule, doubt.verdict) == (one.rule, one.verdict)
        assert doubt.limit == pytest.approx(one.limit)
        assert doubt.value == pytest.approx(one.value, rel=0.06)
        sentence = doubt.sentence
    assert sentence.startswith(SENTENCES[one.rule])
    assert f"limit {one.limit:.4g})" in sentence
