import pytest
from rich.console import Console

from greenbench.bench.live_power import PowerNow, shown_power
from greenbench.core.reading import Domain
from greenbench.energy.meter import MeterSet
from greenbench.report.live import LiveObserver

SECOND = 1_000_000_000
BOTH = MeterSet(domains={Domain.GPU: ("counter",), Domain.CPU: ("a", "b")}, scope="gpu+cpu")


class Readings:
    """What a recorder has read last."""

    def __init__(self, **last):
        self.last = last

    def latest(self, stream):
        return self.last.get(stream)

    def at(self, seconds, **values):
        self.last |= {stream: (int(seconds * SECOND), value) for stream, value in values.items()}


def test_power_is_the_gpus_own_figure_and_the_slope_of_the_cpus_counters():
    readings = Readings()
    power = PowerNow(readings, BOTH)
    assert power() is None
    readings.at(1.0, instant=300.0, a=10.0, b=5.0)
    assert power() is None
    readings.at(2.0, instant=310.0, a=30.0, b=9.0)
    assert power() == pytest.approx(310.0 + 20.0 + 4.0)


def test_a_look_too_early_tells_the_same_again_and_a_wrap_tells_nothing():
    readings = Readings()
    power = PowerNow(readings, MeterSet(domains={Domain.CPU: ("a",)}, scope="cpu"))
    for second, joules in ((0.0, 0.0), (1.0, 50.0)):
        readings.at(second, a=joules)
        power()
    readings.at(1.1, a=99.0)
    assert power() == 50.0
    readings.at(2.0, a=3.0)
    assert power() is None
    readings.at(3.0, a=43.0)
    assert power() == 40.0


def test_a_domain_of_the_total_that_is_not_known_leaves_no_power():
    readings = Readings()
    readings.at(1.0, instant=300.0)
    assert PowerNow(readings, BOTH)() is None
    assert PowerNow(readings, MeterSet(domains={Domain.GPU: ("counter",)}, scope="gpu"))() == 300.0
    assert PowerNow(readings, MeterSet())() is None


def test_the_live_line_shows_watts_while_a_load_is_recorded_and_nothing_after():
    console = Console(force_terminal=True, width=160)
    readings = Readings()
    readings.at(1.0, instant=412.3)
    meters = MeterSet(domains={Domain.GPU: ("counter",)}, scope="gpu")
    with LiveObserver(console) as observer:
        with console.capture() as during, shown_power(observer, readings, meters):
            observer._progress.refresh()
        with console.capture() as after:
            observer._progress.refresh()
    assert "412 W" in during.get()
    assert " W" not in after.get()
