from pathlib import Path

import numpy as np
import pytest
from tests.energy.closed import close_files

from greenbench.core.errors import MeterError
from greenbench.core.reading import Domain, Series
from greenbench.energy import powercap
from greenbench.energy.meter import open_meters
from greenbench.energy.powercap import open_powercap
from greenbench.energy.recorder import Record
from greenbench.energy.window import cut

SECOND = 1_000_000_000


def zone(
    root: Path, name: str, label: str, *, energy_uj=1_000_000, range_uj=262_143_328_850, limit_uw=125_000_000
):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(label + "\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    if limit_uw is not None:
        (folder / "constraint_0_max_power_uw").write_text(f"{limit_uw}\n")
    return folder


@pytest.fixture
def two_sockets(tmp_path) -> Path:
    for socket in (0, 1):
        zone(tmp_path, f"intel-rapl:{socket}", f"package-{socket}")
        zone(tmp_path, f"intel-rapl:{socket}:0", "core")
        zone(tmp_path, f"intel-rapl:{socket}:1", "dram")
    zone(tmp_path, "intel-rapl:2", "psys")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    return tmp_path


def test_packages_and_dram_add_up_and_psys_stays_apart(two_sockets):
    meter = open_powercap(two_sockets)
    assert meter.domains == {
        Domain.CPU: ("rapl:package-0", "rapl:package-1"),
        Domain.DRAM: ("rapl:package-0:dram", "rapl:package-1:dram"),
        Domain.PSYS: ("rapl:psys",),
    }
    meters = open_meters(device="cpu", powercap_root=two_sockets)
    assert meters.scope == "cpu+dram"


def test_dies_of_one_socket_are_packages_of_their_own(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0-die-0")
    zone(tmp_path, "intel-rapl:1", "package-0-die-1")
    assert len(open_powercap(tmp_path).domains[Domain.CPU]) == 2


def test_memory_that_is_never_counted_is_absent_and_voids_no_window(two_sockets):
    for socket in (0, 1):
        (two_sockets / f"intel-rapl:{socket}:1" / "energy_uj").write_text("0\n")
    meter = open_powercap(two_sockets)
    assert Domain.DRAM not in meter.domains
    (absent,) = [item for item in meter.absent if item.domain == Domain.DRAM]
    assert "stands at 0: this host's firmware does not count its memory" in absent.reason
    assert meter.domains[Domain.CPU] == ("rapl:package-0", "rapl:package-1")
    assert open_meters(device="cpu", powercap_root=two_sockets).scope == "cpu"


def test_memory_whose_counter_just_began_again_is_counted(two_sockets):
    told = iter(["0", "700"])

    def read(path: Path) -> str:
        return next(told) if path.parent.name == "intel-rapl:0:1" else path.read_text()

    assert open_powercap(two_sockets, read).domains[Domain.DRAM] == (
        "rapl:package-0:dram",
        "rapl:package-1:dram",
    )


def test_a_host_without_zones_says_so(tmp_path):
    meters = open_meters(device="cpu", powercap_root=tmp_path, pmu_root=tmp_path)
    assert meters.scope == "none"
    assert powercap.NO_ZONES in {item.domain: item.reason for item in meters.absent}["cpu"]


def test_one_unreadable_socket_voids_the_domain_and_names_the_remedy(two_sockets, monkeypatch):
    close_files(monkeypatch, lambda path: path.match("intel-rapl:1/energy_uj"))
    meter = open_powercap(two_sockets)
    assert Domain.CPU not in meter.domains
    reason = {item.domain: item.reason for item in meter.absent}[Domain.CPU]
    assert "root only" in reason
    assert "udev" in reason


def test_without_a_readable_power_limit_nothing_is_refused_and_that_is_said(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", limit_uw=None)
    meter = open_powercap(tmp_path)
    assert meter.max_power_w == {}
    assert meter.facts["zones_without_power_limit"] == ["package-0"]


def test_the_poll_period_guarantees_one_wrap_at_most(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", range_uj=2_000_000, limit_uw=100_000_000)
    (sensor,) = open_powercap(tmp_path).sensors
    assert sensor.period_s == pytest.approx(2.0 / (2 * 100))


def window_of(values, tmp_path, *, range_uj=1_000_000_000, limit_uw=1_000_000_000):
    """Cut a window over readings taken every 0.1 s, from second 1 to second 9."""
    zone(tmp_path, "intel-rapl:0", "package-0", range_uj=range_uj, limit_uw=limit_uw)
    meters = open_meters(device="cpu", powercap_root=tmp_path)
    at = (np.arange(len(values)) * 0.1 * SECOND).astype(np.int64)
    series = Series(
        stream="rapl:package-0", unit="J", t_before_ns=at, t_after_ns=at + 10_000, value=np.array(values)
    )
    record = Record({"rapl:package-0": series}, periods_s={"rapl:package-0": 0.1})
    ends = np.arange(0, int(10.5 * SECOND), SECOND // 100)
    return cut(
        record, meters, asked_begin_ns=SECOND, asked_end_ns=9 * SECOND, ends_ns=ends, sensor_period_s=0.0
    )


@pytest.mark.parametrize("watts", [0.5, 100.0, 300.0, 700.0])
def test_known_power_comes_back_over_any_number_of_wraps(tmp_path, watts):
    range_j = 1000.0
    values = (900.0 + watts * np.arange(106) * 0.1) % range_j
    window = window_of(values, tmp_path)
    assert window.edge_source == "rapl"
    assert window.energy[Domain.CPU].joules == pytest.approx(watts * window.duration_s, rel=1e-3)
    assert window.counter_resets == ()


def test_an_implausible_step_is_refused_not_added(tmp_path):
    values = 100.0 * np.arange(106) * 0.1
    values[50:] += 500.0
    window = window_of(values, tmp_path, range_uj=10_000_000_000, limit_uw=150_000_000)
    assert Domain.CPU not in window.energy
    assert "stepped by" in window.counter_resets[0]
    assert {item.domain for item in window.absent} == {Domain.CPU}


def test_psys_is_kept_and_never_in_the_total(two_sockets):
    meters = open_meters(device="cpu", powercap_root=two_sockets)
    assert "psys" not in meters.scope
    assert Domain.PSYS in meters.domains


def test_one_socket_without_dram(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", energy_uj=2_500_000)
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "uncore")
    meter = open_powercap(tmp_path)
    assert meter.domains == {Domain.CPU: ("rapl:package-0",)}
    assert [sensor.read() for sensor in meter.sensors] == [2.5]
    assert "no dram zone" in {item.domain: item.reason for item in meter.absent}[Domain.DRAM]


def test_the_memory_mapped_twin_of_a_package_is_not_counted_again(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    meter = open_powercap(tmp_path)
    assert meter.domains[Domain.CPU] == ("rapl:package-0",)
    assert "mmio" not in meter.facts["zones"]["package-0"]


@pytest.mark.parametrize(
    ("limits", "watts"),
    [
        ({"constraint_0_max_power_uw": 15_000_000, "constraint_1_max_power_uw": 0}, 15.0),
        ({"constraint_0_power_limit_uw": 28_000_000, "constraint_1_power_limit_uw": 51_000_000}, 51.0),
        # A laptop: its only maximum is the long-term one, yet the short-term limit lets it draw more.
        ({"constraint_0_max_power_uw": 15_000_000, "constraint_1_power_limit_uw": 51_000_000}, 51.0),
    ],
)
def test_the_largest_plausible_power_is_the_largest_constraint(tmp_path, limits, watts):
    folder = zone(tmp_path, "intel-rapl:0", "package-0", limit_uw=None)
    for name, value in limits.items():
        (folder / name).write_text(str(value))
    assert open_powercap(tmp_path).max_power_w == {"rapl:package-0": watts}


@pytest.mark.parametrize(("file", "text"), [("max_energy_range_uj", "many"), ("energy_uj", "")])
def test_a_zone_that_holds_no_number_voids_its_domain_and_is_named(tmp_path, file, text):
    zone(tmp_path, "intel-rapl:0", "package-0")
    (zone(tmp_path, "intel-rapl:1", "package-1") / file).write_text(text)
    meter = open_powercap(tmp_path)
    assert Domain.CPU not in meter.domains
    assert "intel-rapl:1" in {item.domain: item.reason for item in meter.absent}[Domain.CPU]


def test_an_unreadable_range_voids_the_domain(tmp_path):
    (zone(tmp_path, "intel-rapl:0", "package-0") / "max_energy_range_uj").unlink()
    meter = open_powercap(tmp_path)
    assert meter.sensors == ()
    assert "max_energy_range_uj" in {item.domain: item.reason for item in meter.absent}[Domain.CPU]


def test_a_zone_that_stops_answering_is_an_error_of_its_sensor(tmp_path):
    folder = zone(tmp_path, "intel-rapl:0", "package-0")
    (sensor,) = open_powercap(tmp_path).sensors
    (folder / "energy_uj").write_text("no data\n")
    with pytest.raises(MeterError, match="no data"):
        sensor.read()


def test_a_read_that_was_stamped_late_is_not_taken_for_a_step(tmp_path):
    """The value is latched inside the call: a late stamp after it must not look like power."""
    zone(tmp_path, "intel-rapl:0", "package-0", range_uj=10_000_000_000, limit_uw=150_000_000)
    meters = open_meters(device="cpu", powercap_root=tmp_path)
    at = (np.arange(106) * 0.1 * SECOND).astype(np.int64)
    after = at + 10_000
    after[50] = at[51] - 1_000
    series = Series(
        stream="rapl:package-0", unit="J", t_before_ns=at, t_after_ns=after, value=140.0 * at / SECOND
    )
    window = cut(
        Record({"rapl:package-0": series}, periods_s={"rapl:package-0": 0.1}),
        meters,
        asked_begin_ns=SECOND,
        asked_end_ns=9 * SECOND,
        ends_ns=np.arange(0, int(10.5 * SECOND), SECOND // 100),
        sensor_period_s=0.0,
    )
    assert window.counter_resets == ()
    assert window.energy[Domain.CPU].joules == pytest.approx(140.0 * window.duration_s, rel=0.01)


def test_a_recorder_follows_a_zone_over_its_wrap(tmp_path):
    folder = zone(tmp_path, "intel-rapl:0", "package-0", energy_uj=900, range_uj=1_000, limit_uw=None)
    (sensor,) = open_powercap(tmp_path).sensors
    meters = open_meters(device="cpu", powercap_root=tmp_path)
    stamps = iter(range(0, 10_000 * SECOND, SECOND // 10))
    begin, values = [], []
    for micro in (900, 950, 1_000 - 1, 49, 99, 149, 199):
        (folder / "energy_uj").write_text(str(micro))
        begin.append(next(stamps))
        values.append(sensor.read())
    series = Series(
        stream=sensor.stream,
        unit="J",
        t_before_ns=np.array(begin),
        t_after_ns=np.array(begin),
        value=np.array(values),
    )
    window = cut(
        Record({sensor.stream: series}, periods_s={sensor.stream: 0.1}),
        meters,
        asked_begin_ns=SECOND // 10,
        asked_end_ns=SECOND // 2,
        ends_ns=np.arange(0, SECOND, SECOND // 100),
        sensor_period_s=0.0,
    )
    assert window.energy[Domain.CPU].joules == pytest.approx(500e-6 * window.duration_s, rel=0.02)
