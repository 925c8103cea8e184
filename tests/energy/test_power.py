import numpy as np
import pytest

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain, Series
from greenbench.energy.meter import MeterSet
from greenbench.energy.power import mean_power
from greenbench.energy.recorder import Record

SECOND = 1_000_000_000
BEGIN, END = 2 * SECOND, 12 * SECOND
CPU = MeterSet(domains={Domain.CPU: ("rapl:a", "rapl:b")})
GPU = MeterSet(domains={Domain.GPU: ("counter",)})


def series(stream, at_s, value, unit="J"):
    at = (np.asarray(at_s) * SECOND).astype(np.int64)
    return Series(stream=stream, unit=unit, t_before_ns=at, t_after_ns=at, value=np.asarray(value, float))


def measured(meters, domain, *found, dense=()):
    streams = {item.stream: item for item in found}
    record = Record(streams, periods_s=dict.fromkeys(streams, 0.1), dense=frozenset(dense))
    return mean_power(record, meters, domain, begin_ns=BEGIN, end_ns=END, sensor_period_s=0.1)


def rapl(stream, power):
    """A counter polled every 0.1 s for 14 s under a power that is a function of time."""
    at = np.arange(0, 14, 0.1) + 0.03
    joules = np.concatenate([[0.0], np.cumsum(power(at[:-1]) * 0.1)])
    return series(stream, at, joules)


def steady(watts):
    return lambda at: np.full(len(at), watts)


def test_sockets_add_up_and_a_steady_power_is_settled():
    found = measured(CPU, Domain.CPU, rapl("rapl:a", steady(40.0)), rapl("rapl:b", steady(25.0)))
    assert found.power_w == pytest.approx(65.0)
    assert found.standard_error_w == pytest.approx(0.0, abs=1e-6)
    assert found.settled


@pytest.mark.parametrize(("rise", "settled"), [(0.008, True), (0.03, False)])
def test_a_power_is_settled_where_its_halves_agree_within_one_percent(rise, settled):
    found = measured(
        CPU, Domain.CPU, rapl("rapl:a", lambda at: 50 * (1 + rise * (at > 7))), rapl("rapl:b", steady(0.0))
    )
    assert found.settled is settled


def test_the_standard_error_is_that_of_one_second_blocks():
    generator = np.random.default_rng(5)
    errors, said = [], []
    for _ in range(200):
        noise = np.repeat(generator.normal(0, 2.0, 15), 10)
        found = measured(
            CPU,
            Domain.CPU,
            rapl("rapl:a", lambda at, noise=noise: 50 + noise[: len(at)]),
            rapl("rapl:b", steady(0.0)),
        )
        errors.append(found.power_w - 50)
        said.append(found.standard_error_w)
    assert np.mean(said) == pytest.approx(np.std(errors), rel=0.2)
    assert np.mean(errors) == pytest.approx(0.0, abs=0.2)


def test_the_gpu_power_is_the_counters_between_its_own_changes():
    at = np.concatenate([np.arange(1.6, 2.4, 0.004), np.arange(11.6, 12.4, 0.004)])
    instant = np.arange(0, 14, 0.1)
    found = measured(
        GPU,
        Domain.GPU,
        series("counter", at, 72 * np.floor(at / 0.1 + 1e-9) * 0.1),
        series("instant", instant, np.full(len(instant), 75.0), unit="W"),
        dense={"counter"},
    )
    assert found.power_w == pytest.approx(72.0, rel=0.002)
    assert found.settled
    assert found.standard_error_w == pytest.approx(0.0, abs=1e-9)


def test_without_instant_power_nothing_is_called_settled():
    at = np.concatenate([np.arange(1.6, 2.4, 0.004), np.arange(11.6, 12.4, 0.004)])
    found = measured(
        GPU, Domain.GPU, series("counter", at, 72 * np.floor(at / 0.1 + 1e-9) * 0.1), dense={"counter"}
    )
    assert found.standard_error_w is None
    assert not found.settled


@pytest.mark.parametrize("kept", [slice(0, 60), slice(60, None), slice(0, 0)])
def test_a_counter_that_does_not_cover_the_stretch_gives_no_power(kept):
    whole = rapl("rapl:a", steady(40.0))
    part = Series(
        stream="rapl:a",
        unit="J",
        t_before_ns=whole.t_before_ns[kept],
        t_after_ns=whole.t_after_ns[kept],
        value=whole.value[kept],
    )
    with pytest.raises(MeterError, match="rapl:a"):
        measured(CPU, Domain.CPU, part, rapl("rapl:b", steady(1.0)))


def test_a_counter_that_went_backwards_gives_no_power():
    broken = rapl("rapl:a", steady(40.0))
    broken.value[70:] -= 100
    with pytest.raises(MeterError, match="backwards"):
        measured(CPU, Domain.CPU, broken, rapl("rapl:b", steady(1.0)))


def test_a_gpu_counter_that_stands_still_gives_no_power():
    at = np.arange(1.6, 12.4, 0.01)
    with pytest.raises(MeterError, match="did not change"):
        measured(GPU, Domain.GPU, series("counter", at, 0 * at), dense={"counter"})
