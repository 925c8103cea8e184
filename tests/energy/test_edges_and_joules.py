"""What no window may do: invent joules where the sensor's own changes are missing, or lose them elsewhere."""

import numpy as np
import pytest

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain, Series
from greenbench.energy.cgroup import CPU_STREAM
from greenbench.energy.changes import changes_of, first_edge_after, step_scatter
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Fault, Record
from greenbench.energy.window import cut

SECOND = 1_000_000_000
GPU = MeterSet(domains={Domain.GPU: ("counter",)}, scope="gpu")
CPU = MeterSet(domains={Domain.CPU: ("rapl:a",)}, scope="cpu", wraps={"rapl:a": 1000.0})
ENDS = np.arange(0, 12 * SECOND, SECOND // 50)


def series(stream, at_s, value, *, call_s=1e-5, unit="J"):
    begin = (np.asarray(at_s) * SECOND).astype(np.int64)
    return Series(
        stream=stream,
        unit=unit,
        t_before_ns=begin,
        t_after_ns=begin + int(call_s * SECOND),
        value=np.asarray(value, dtype=float),
    )


def window_of(meters, *found, dense=(), begin_s=1.0, end_s=9.0, ends_ns=ENDS, faults=()):
    streams = {item.stream: item for item in found}
    record = Record(streams, periods_s=dict.fromkeys(streams, 0.1), dense=frozenset(dense), faults=faults)
    return cut(
        record,
        meters,
        asked_begin_ns=int(begin_s * SECOND),
        asked_end_ns=int(end_s * SECOND),
        ends_ns=ends_ns,
        sensor_period_s=0.1,
    )


def counter(at_s, watts=300.0):
    at_s = np.asarray(at_s)
    return series("counter", at_s, watts * np.floor(at_s / 0.1 + 1e-9) * 0.1)


def test_a_counter_read_at_one_edge_only_gives_no_joules_instead_of_interpolated_steps():
    window = window_of(GPU, counter(np.arange(0.7, 8.95, 0.004)), dense={"counter"})
    assert window.edge_source == "runtime"
    assert window.energy == {}
    assert [item.domain for item in window.absent] == [Domain.GPU]
    assert "did not change" in window.absent[0].reason


def test_a_window_shorter_than_the_period_gives_no_joules_and_divides_by_nothing():
    window = window_of(GPU, counter(np.arange(0, 3, 0.004)), dense={"counter"}, begin_s=1.02, end_s=1.06)
    assert window.energy == {}
    assert window.duration_s > 0


def test_edges_outside_the_load_are_not_taken():
    ends = ENDS[(ENDS >= 3 * SECOND) & (ENDS <= 7 * SECOND)]
    window = window_of(GPU, counter(np.arange(0, 11, 0.004)), dense={"counter"}, ends_ns=ends)
    assert window.edge_source == "runtime"
    assert (window.begin_ns, window.end_ns) == (ends[0], ends[-1])
    assert window.iterations / window.duration_s == pytest.approx(50)


@pytest.mark.parametrize("count", [0, 1])
def test_without_a_whole_iteration_there_is_no_window(count):
    with pytest.raises(MeterError, match=r"protocol\.window_s"):
        window_of(GPU, counter(np.arange(0, 11, 0.004)), dense={"counter"}, ends_ns=ENDS[:count])


def test_rapl_edges_lie_on_its_own_readings():
    polls = np.arange(0.03, 12, 0.1)
    window = window_of(CPU, series("rapl:a", polls, 50 * polls))
    assert window.edge_source == "rapl"
    assert {window.begin_ns - 5_000, window.end_ns - 5_000} <= set((polls * SECOND).astype(np.int64))
    assert window.begin_ns > SECOND
    assert window.energy[Domain.CPU].joules == pytest.approx(50 * window.duration_s)


@pytest.mark.parametrize("at_s", [0.4, 10.6])
def test_a_reset_outside_the_window_leaves_it_alone(at_s):
    polls = np.arange(0.03, 12, 0.1)
    meters = MeterSet(domains={Domain.CPU: ("rapl:a",)}, scope="cpu")
    window = window_of(meters, series("rapl:a", polls, 50 * polls - 900 * (polls > at_s)))
    assert window.counter_resets == ()
    assert window.energy[Domain.CPU].joules == pytest.approx(50 * window.duration_s)


def test_a_reset_inside_the_window_voids_it():
    polls = np.arange(0.03, 12, 0.1)
    meters = MeterSet(domains={Domain.CPU: ("rapl:a",)}, scope="cpu")
    window = window_of(meters, series("rapl:a", polls, 50 * polls - 900 * (polls > 5)))
    assert window.energy == {}
    assert "backwards" in window.counter_resets[0]


def test_a_stream_that_never_answered_says_what_its_sensor_said():
    polls = np.arange(0.03, 12, 0.1)
    meters = MeterSet(domains={Domain.CPU: ("rapl:a",), Domain.DRAM: ("rapl:b",)}, scope="cpu+dram")
    window = window_of(
        meters,
        series("rapl:a", polls, 50 * polls),
        series("rapl:b", [], []),
        faults=(Fault(stream="rapl:b", t_ns=SECOND, message="Permission denied"),),
    )
    assert {item.domain: item.reason for item in window.absent}[Domain.DRAM].endswith("Permission denied")
    assert Domain.CPU in window.energy


def test_cpu_seconds_that_do_not_cover_the_window_are_null_with_a_reason():
    at = np.arange(0, 8.8, 0.2)
    window = window_of(MeterSet(), series(CPU_STREAM, at, at, unit="s"))
    assert window.cpu_s is None
    assert [item.domain for item in window.absent] == ["cpu_s"]


@pytest.mark.parametrize(("every_s", "uncertain"), [(0.02, False), (0.43, True)])
def test_a_fraction_of_an_iteration_is_uncertain_where_it_is_longer_than_a_period(every_s, uncertain):
    ends = (np.arange(0, 12, every_s) * SECOND).astype(np.int64)
    window = window_of(GPU, counter(np.arange(0, 11, 0.004)), dense={"counter"}, ends_ns=ends)
    assert window.edge_source == "counter"
    assert (window.iterations_u95 > 0) is uncertain
    assert window.iterations_u95 * window.iterations < 1


def test_steps_that_differ_widen_the_interval():
    generator = np.random.default_rng(1)
    at = np.arange(0, 11, 0.004)
    latched = 300 * np.arange(120) * 0.1 + generator.normal(0, 2.0, 120)
    index = np.floor(at / 0.1 + 1e-9).astype(int)
    calm = window_of(GPU, counter(at), dense={"counter"}).energy[Domain.GPU]
    rough = window_of(GPU, series("counter", at, latched[index]), dense={"counter"}).energy[Domain.GPU]
    assert rough.edge_u95_j > calm.edge_u95_j + 2.0
    scatter = step_scatter(changes_of(series("counter", at, latched[index])), (SECOND, 9 * SECOND), 0.1)
    assert scatter == pytest.approx(2.0 * np.sqrt(2), rel=0.5)


def test_a_change_across_a_slow_read_is_placed_within_one_period_before_its_read():
    at = np.concatenate([np.arange(4.82, 4.898, 0.004), np.arange(5.05, 5.09, 0.004)])
    edge = first_edge_after(changes_of(counter(at)), 4 * SECOND + 900_000_000, 0.1)
    assert edge is not None
    assert abs(edge.t_ns / SECOND - 5.0) <= 0.1
    assert edge.uncertainty_s <= 0.05


def test_a_change_that_a_pause_hides_is_no_edge():
    """The counter may have stopped since, long before the first read after the pause."""
    at = np.concatenate([np.arange(0, 0.5, 0.004), np.arange(5.05, 5.09, 0.004)])
    assert first_edge_after(changes_of(counter(at)), 4 * SECOND + 900_000_000, 0.1) is None
