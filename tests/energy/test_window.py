"""Windows over simulated sensors, of which the true energy is known."""

import numpy as np
import pytest

from greenbench.bench.timeline import Asked, dense_stretches, edge_changes
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.reading import Domain, Series
from greenbench.energy.cgroup import CPU_STREAM
from greenbench.energy.meter import MeterSet
from greenbench.energy.observations import power_halves
from greenbench.energy.pacing import Pace
from greenbench.energy.recorder import Record
from greenbench.energy.validity import DEFAULT_LIMITS, judge
from greenbench.energy.window import cut

SECOND = 1_000_000_000
GPU = MeterSet(domains={Domain.GPU: ("counter",)}, scope="gpu")
JITTER = (0.0014, 0.006)
"""Of a period: on the recorded H100 the changes leave their grid by 0.14% idle, by 0.6% at most loaded."""


def series(stream, at_s, value, call_s=1e-5, unit="J"):
    begin = (np.asarray(at_s) * SECOND).astype(np.int64)
    after = begin + (np.broadcast_to(call_s, begin.shape) * SECOND).astype(np.int64)
    return Series(
        stream=stream, unit=unit, t_before_ns=begin, t_after_ns=after, value=np.asarray(value, float)
    )


def record_of(*found, dense=frozenset(), period_s=0.1):
    streams = {item.stream: item for item in found}
    return Record(streams, periods_s=dict.fromkeys(streams, period_s), dense=frozenset(dense))


def simulated(generator, period_s, length_s=1.0, late_s=1e-4):
    """A window of known, drifting power: (error, half-width of its interval), in sensor steps; or None."""
    watts = generator.uniform(80, 650)
    slope = generator.uniform(-0.02, 0.02) * watts / length_s
    begin = 1.0 + generator.uniform(0, period_s)
    asked = Asked(begin_ns=int(begin * SECOND), end_ns=int((begin + length_s) * SECOND))
    ticks = generator.uniform(0, period_s) + period_s * np.arange(int((3 + length_s) / period_s))
    jitter = generator.uniform(*JITTER) * period_s
    ticks = np.sort(ticks + generator.normal(0, jitter, len(ticks)))
    cheapest, dearest = period_s * 0.02, period_s * 0.13

    def energy(instant):
        return watts * instant + slope * instant**2 / 2

    def counter(instant):
        return energy(ticks[np.searchsorted(ticks, instant, side="right") - 1])

    changes = edge_changes((asked,), period_s)
    pace, reads = Pace(period_s, seed=int(generator.integers(1 << 32))), []
    quiet = (int(0.1 * period_s * SECOND), int(0.9 * SECOND))  # as in a run: the loaded baseline comes before
    for first, last in (quiet, *dense_stretches((asked,), period_s)):
        now = first
        pace.begin(now, changes=changes)
        # As the recorder does, and a sleeping thread wakes late.
        while (due := pace.due_ns(now) + int(generator.exponential(late_s) * SECOND)) < last:
            call_s = generator.uniform(cheapest, dearest)
            reads.append((due / SECOND, counter(due / SECOND), call_s))
            pace.saw(due, due + int(call_s * SECOND), reads[-1][1])
            now = due + int(call_s * SECOND) + pace.pause_ns
    at, values, calls = np.array(reads).T
    window = cut(
        record_of(series("counter", at, values, calls), dense={"counter"}),
        GPU,
        asked_begin_ns=asked.begin_ns,
        asked_end_ns=asked.end_ns,
        ends_ns=np.arange(0, (3 + length_s) * SECOND, int(period_s * SECOND / 3)).astype(np.int64),
        sensor_period_s=period_s,
    )
    if Domain.GPU not in window.energy:
        return None
    truth = energy(window.end_ns / SECOND) - energy(window.begin_ns / SECOND)
    found = window.energy[Domain.GPU]
    return (found.joules - truth) / watts / period_s, found.edge_u95_j / watts / period_s


KINDS = {
    "10 ms": (0.01, 1.0),
    "20 ms": (0.02, 1.0),
    "50 ms": (0.05, 1.0),
    "100 ms": (0.1, 1.0),
    "100 ms, long": (0.1, 10.0),
}
"""A sensor's period and a window's length, seconds; long windows have fewer changes seen at their edges."""

DRAWN = 500
"""Independent windows of each kind."""


@pytest.fixture(scope="module")
def drawn():
    """Kind -> errors and half-widths of its windows, in sensor steps: float64 [2, n]."""
    generator = np.random.default_rng(7)
    windows = {name: [simulated(generator, *kind) for _ in range(DRAWN)] for name, kind in KINDS.items()}
    found = {name: [pair for pair in pairs if pair is not None] for name, pairs in windows.items()}
    # Where every change near an edge fell into a slow read there are no joules, and that must be rare.
    assert all(len(pairs) >= 0.99 * DRAWN for pairs in found.values())
    return {name: np.array(pairs).T for name, pairs in found.items()}


def test_intervals_hold_the_truth_as_often_as_they_say(drawn):
    errors, u95 = np.concatenate(list(drawn.values()), axis=1)
    assert len(errors) >= 1000
    assert 0.93 <= np.mean(np.abs(errors) <= u95) <= 0.97
    assert abs(errors.mean()) <= 3 * errors.std() / np.sqrt(len(errors))


@pytest.mark.parametrize("kind", KINDS)
def test_no_sensors_intervals_are_too_narrow_or_too_wide(drawn, kind):
    errors, u95 = drawn[kind]
    # Of 500 windows the share itself is uncertain by 2%.
    assert 0.92 <= np.mean(np.abs(errors) <= u95) <= 0.985
    span = np.diff(np.percentile(errors, [2.5, 97.5]))[0]
    assert 2 * u95.mean() <= 2 * span


def test_rapl_intervals_hold_the_truth_where_power_changes_between_polls():
    generator = np.random.default_rng(8)
    meters = MeterSet(domains={Domain.CPU: ("rapl:package-0",)}, scope="cpu")
    covered = []
    for _ in range(200):
        grid = np.arange(0, 6, 0.01)
        power = 100 * (1 + 0.1 * np.sin(2 * np.pi * (grid * generator.uniform(1, 30) + generator.random())))
        total = np.concatenate([[0.0], np.cumsum(power * 0.01)[:-1]])
        polls = np.arange(generator.uniform(0, 0.1), 5.9, 0.1)
        window = cut(
            record_of(series("rapl:package-0", polls, np.interp(polls, grid, total))),
            meters,
            asked_begin_ns=SECOND,
            asked_end_ns=4 * SECOND,
            ends_ns=np.arange(0, 6 * SECOND, SECOND // 50),
            sensor_period_s=0.0,
        )
        truth = np.diff(np.interp([window.begin_ns / SECOND, window.end_ns / SECOND], grid, total))[0]
        found = window.energy[Domain.CPU]
        covered.append(abs(found.joules - truth) <= found.edge_u95_j)
    assert np.mean(covered) >= 0.93


def dense_counter(value):
    at = np.arange(0, 6, 0.005)
    return series("counter", at, value(np.floor(at / 0.1) * 0.1))


def gpu_window(counter, *others, ends_ns=None, meters=GPU, begin_s=1.0, end_s=4.0):
    return cut(
        record_of(counter, *others, dense={"counter"}),
        meters,
        asked_begin_ns=int(begin_s * SECOND),
        asked_end_ns=int(end_s * SECOND),
        ends_ns=np.arange(0, 6 * SECOND, SECOND // 50) if ends_ns is None else ends_ns,
        sensor_period_s=0.1,
    )


def test_a_counter_that_goes_backwards_inside_is_no_joule_and_void():
    window = gpu_window(dense_counter(lambda at: np.where(at < 2.5, 300 * at, 300 * at - 500)))
    assert window.energy == {}
    assert "backwards" in window.counter_resets[0]
    (doubt,) = [doubt for doubt in judge(window, DEFAULT_LIMITS) if doubt.rule is Rule.COUNTER_RESET]
    assert doubt.verdict is Verdict.INVALID


def test_a_counter_that_stands_still_leaves_the_window_to_the_runtime():
    window = gpu_window(dense_counter(lambda at: 0 * at))
    assert window.edge_source == "runtime"
    assert window.iterations == pytest.approx(150)


def test_the_integral_of_power_is_compared_with_the_counter():
    at = np.arange(0, 6, 0.1)
    power = series("instant", at, np.full(len(at), 250.0), unit="W")
    window = gpu_window(dense_counter(lambda at: 300 * at), power)
    assert window.counter_over_integral == pytest.approx(1.2, rel=0.02)
    assert window.instant_readings == pytest.approx(30, abs=1)


def averaged(power, every_s=0.5):
    """What a board gives that averages over a second, as read every half second."""
    at = np.arange(0.07, 7, every_s)
    return series("average", at, [power(np.linspace(one - 1, one, 200)).mean() for one in at], unit="W")


@pytest.mark.parametrize("change", [0.0, 0.2])
def test_a_change_of_power_is_told_by_the_boards_average_which_lags_by_a_second(change):
    def power(at):
        return 300 * (1 + change * (at > 2.0) + 9 * (at < 1))  # what came before the window is not in it

    record = record_of(averaged(power), series("instant", [1.5, 2.5], [1, 500], unit="W"))
    said = power_halves(record, SECOND, 5 * SECOND)
    # The halves meet at 3 s: the first holds the change, the second none of it.
    assert said == (pytest.approx(0.077, abs=0.005) if change else 0.0, 0.0)


def test_where_the_board_averages_nothing_the_spread_of_single_readings_widens_the_answer():
    at = np.arange(1.05, 5, 0.1)
    watts = 300 + 30 * (-1.0) ** np.arange(len(at)) + 15 * (at > 3)
    said = power_halves(record_of(series("instant", at, watts, unit="W")), SECOND, 5 * SECOND)
    error = 30 * np.sqrt(20 / 19) / np.sqrt(20)
    t_38 = 2.0244  # Student's, 38 degrees of freedom
    assert said == pytest.approx((0.05, t_38 * np.sqrt(2) * error / 300), rel=1e-4)


def test_halves_shorter_than_the_boards_average_are_told_by_single_readings():
    at = np.arange(0.05, 5, 0.1)
    record = record_of(averaged(lambda at: 300 + 0 * at), series("instant", at, np.full(50, 250.0), unit="W"))
    assert power_halves(record, SECOND, 2 * SECOND) == (0.0, 0.0)
    assert power_halves(record_of(record["average"]), SECOND, 2 * SECOND) is None
    few = record_of(series("instant", [1.1, 1.2, 1.4, 1.7, 1.9], np.ones(5)))
    assert power_halves(few, SECOND, 2 * SECOND) is None


def test_rapl_is_taken_at_the_counters_own_edges():
    polls = np.arange(0.03, 6, 0.1)
    meters = MeterSet(domains={Domain.GPU: ("counter",), Domain.CPU: ("rapl:a", "rapl:b")}, scope="gpu+cpu")
    window = gpu_window(
        dense_counter(lambda at: 300 * at),
        series("rapl:a", polls, 50 * polls),
        series("rapl:b", polls, 70 * polls),
        meters=meters,
    )
    assert window.energy[Domain.GPU].joules == pytest.approx(300 * window.duration_s, rel=0.005)
    assert window.energy[Domain.CPU].joules == pytest.approx(120 * window.duration_s, rel=1e-6)


def test_a_stream_that_ends_inside_the_window_is_absent_not_extrapolated():
    polls = np.arange(0.03, 3, 0.1)
    meters = MeterSet(domains={Domain.GPU: ("counter",), Domain.CPU: ("rapl:a",)}, scope="gpu+cpu")
    window = gpu_window(
        dense_counter(lambda at: 300 * at), series("rapl:a", polls, 50 * polls), meters=meters
    )
    assert Domain.CPU not in window.energy
    assert [item.domain for item in window.absent] == [Domain.CPU]
    assert max(window.gaps.values()) > 10


@pytest.mark.parametrize("every_s", [1.5, 5.0, 50.0])
def test_iterations_longer_than_the_window_void_it_and_crash_nothing(every_s):
    at = np.arange(0, 6, 0.1)
    others = [series(name, at, at, unit="s") for name in (CPU_STREAM, "host:busy", "host:self")]
    window = cut(
        record_of(*others),
        MeterSet(),
        asked_begin_ns=2 * SECOND,
        asked_end_ns=3 * SECOND,
        ends_ns=(np.array([1.0, 1.0 + every_s]) * SECOND).astype(np.int64),
        sensor_period_s=0.0,
    )
    assert window.duration_s > 0
    (short,) = [doubt for doubt in judge(window, DEFAULT_LIMITS) if doubt.rule is Rule.TOO_SHORT]
    assert short.verdict is Verdict.INVALID


def test_latencies_are_the_times_between_ends():
    ends = np.cumsum(np.full(400, 15_000_000))
    window = gpu_window(dense_counter(lambda at: 300 * at), ends_ns=ends)
    assert (window.latency_p50_s, window.latency_p99_s) == pytest.approx((0.015, 0.015))


def test_what_others_took_of_the_host_is_what_neither_runtime_nor_controller_used():
    at = np.arange(0, 6, 0.1)
    window = gpu_window(
        dense_counter(lambda at: 300 * at),
        series(CPU_STREAM, at, 1.0 * at, unit="s"),
        series("host:busy", at, 1.5 * at, unit="s"),
        series("host:self", at, 0.1 * at, unit="s"),
        series("host:steal", at, 0.5 * at, unit="s"),
    )
    assert window.others_cores == pytest.approx(0.4)
    assert window.steal_share == pytest.approx(0.25)
    assert window.cpu_s == pytest.approx(window.duration_s)
