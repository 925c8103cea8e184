import errno
from pathlib import Path

import pytest
from tests.energy.closed import close_files
from tests.energy.test_perf_event import FakePerf, pmu
from tests.energy.test_powercap import zone

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain
from greenbench.energy.meter import open_meters, with_cpu
from greenbench.energy.powercap import UDEV_RULE
from greenbench.energy.rapl import RaplPlaces, open_rapl, sidecar_would_help


@pytest.fixture
def closed(tmp_path, monkeypatch) -> Path:
    """Powercap as most distributions have it: everything open but the counters."""
    root = tmp_path / "powercap"
    for socket in (0, 1):
        zone(root, f"intel-rapl:{socket}", f"package-{socket}", energy_uj=5_000_000 * (socket + 1))
        zone(root, f"intel-rapl:{socket}:0", "dram")
    close_files(monkeypatch, lambda path: path.name == "energy_uj")
    return root


def test_readable_files_come_first(tmp_path):
    zone(tmp_path / "powercap", "intel-rapl:0", "package-0")
    kernel = FakePerf()
    meter = open_rapl(RaplPlaces(powercap=tmp_path / "powercap", pmu=pmu(tmp_path), perf=kernel))
    assert meter.facts["cpu_route"] == "powercap"
    assert meter.facts["cpu_routes_refused"] == {}
    assert kernel.open_now == {}


def test_closed_files_lead_to_the_power_counters_with_powercaps_limits(closed, tmp_path):
    places = RaplPlaces(powercap=closed, pmu=pmu(tmp_path, cpumask="0,8"), perf=FakePerf())
    meter = open_rapl(places)
    assert meter.facts["cpu_route"] == "perf_event"
    assert "root only" in meter.facts["cpu_routes_refused"]["powercap"]
    assert meter.max_power_w == {"rapl:package@cpu0": 125.0, "rapl:package@cpu8": 125.0}
    assert meter.wraps == {}
    assert meter.facts["zones_without_power_limit"] == ["rapl:dram@cpu0", "rapl:dram@cpu8"]
    assert not sidecar_would_help(meter.facts, places)


def places_denied(closed, tmp_path) -> RaplPlaces:
    refuse = {2: errno.EACCES, 3: errno.EACCES}
    return RaplPlaces(powercap=closed, pmu=pmu(tmp_path), perf=FakePerf(refuse))


def test_with_every_route_closed_the_reason_names_each_and_the_udev_rule_once(closed, tmp_path):
    places = places_denied(closed, tmp_path)
    meter = open_rapl(places)
    assert meter.sensors == ()
    assert sidecar_would_help(meter.facts, places)
    (reason,) = {item.reason for item in meter.absent}
    assert "powercap:" in reason
    assert "perf_event:" in reason
    assert reason.count(UDEV_RULE) == 1
    assert "\n" not in reason


def test_the_sidecar_reads_what_we_may_not(closed, tmp_path):
    counters = {f"intel-rapl:{n}": f"{(n + 1) * 1_000_000}\n" for n in (0, 1)}
    counters |= {f"intel-rapl:{n}:0": "7000000\n" for n in (0, 1)}
    meter = open_rapl(places_denied(closed, tmp_path), sidecar=counters.__getitem__)
    assert meter.facts["cpu_route"] == "sidecar"
    assert set(meter.facts["cpu_routes_refused"]) == {"powercap", "perf_event"}
    values = {sensor.stream: sensor.read() for sensor in meter.sensors}
    assert values["rapl:package-0"] == 1.0
    assert values["rapl:package-1"] == 2.0
    assert values["rapl:package-1:dram"] == 7.0
    assert meter.max_power_w["rapl:package-0"] == 125.0
    assert meter.wraps["rapl:package-0"] == pytest.approx(262_143.32885)


def test_a_sidecar_that_refuses_one_socket_voids_the_domain(closed, tmp_path):
    def read(name):
        if name == "intel-rapl:1":
            raise MeterError("the RAPL sidecar refuses intel-rapl:1")
        return "1000000"

    meter = open_rapl(places_denied(closed, tmp_path), sidecar=read)
    assert meter.domains == {}
    assert "refuses intel-rapl:1" in meter.facts["cpu_routes_refused"]["sidecar"]


def test_no_zones_at_all_needs_no_sidecar_and_no_udev_rule(tmp_path):
    places = RaplPlaces(powercap=tmp_path / "none", pmu=tmp_path / "none", perf=FakePerf())
    meter = open_rapl(places)
    assert not sidecar_would_help(meter.facts, places)
    assert all("udev" not in item.reason for item in meter.absent)


def test_a_meter_opened_later_joins_the_set(closed, tmp_path):
    meters = open_meters(device="cpu", powercap_root=closed, pmu_root=tmp_path)
    assert meters.scope == "none"
    joined = with_cpu(
        meters, open_rapl(RaplPlaces(powercap=closed, pmu=tmp_path), sidecar=lambda _: "1000000")
    )
    assert joined.scope == "cpu+dram"
    assert {item.domain for item in joined.absent} == {Domain.GPU}
    assert joined.facts["cpu_route"] == "sidecar"
    assert joined.facts["cpu_meter"] == "powercap"
