import os

import pytest

from greenbench.core.errors import ConfigurationError, MeterError
from greenbench.core.reading import Domain
from greenbench.energy.estimate import estimate_cpu_j
from greenbench.energy.host import host_sensors
from greenbench.energy.meter import open_meters


def zones(root):
    for name, label in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "dram"), ("intel-rapl:1", "psys")):
        folder = root / name
        folder.mkdir()
        (folder / "name").write_text(label)
        (folder / "energy_uj").write_text("1")
        (folder / "max_energy_range_uj").write_text("262143328850")
    return root


def test_a_run_on_the_cpu_sums_the_cpu_alone_and_says_why_there_is_no_gpu(tmp_path):
    meters = open_meters(device="cpu", powercap_root=zones(tmp_path), no_gpu="no driver")
    assert meters.scope == "cpu+dram"
    assert {item.domain: item.reason for item in meters.absent} == {Domain.GPU: "no driver"}
    assert meters.facts["gpu"] is None
    assert meters.facts["cpu_meter"] == "powercap"
    assert meters.handles_wraps


def test_a_host_without_any_meter_has_no_total_and_a_reason_for_each_domain(tmp_path):
    meters = open_meters(device="cpu", powercap_root=tmp_path)
    assert meters.scope == "none"
    assert {item.domain for item in meters.absent} == {Domain.GPU, Domain.CPU, Domain.DRAM}
    assert all(item.reason for item in meters.absent)


def test_an_unknown_cpu_meter_names_the_known(tmp_path):
    with pytest.raises(ConfigurationError, match="powercap, pyrapl"):
        open_meters(device="cpu", cpu_meter="guess", powercap_root=tmp_path)


def test_what_was_opened_is_closed_in_the_end():
    from greenbench.energy.meter import MeterSet  # noqa: PLC0415

    closed = []
    with MeterSet(closers=(lambda: closed.append(1),)):
        assert closed == []
    assert closed == [1]


def test_the_estimate_carries_its_band():
    found = estimate_cpu_j(10.0)
    assert (found.low_j, found.high_j) == pytest.approx((0.6 * found.energy_j, 1.4 * found.energy_j))
    assert estimate_cpu_j(20.0).energy_j == pytest.approx(2 * found.energy_j)
    assert estimate_cpu_j(0.0).energy_j == 0.0


def test_the_hosts_busy_and_stolen_seconds(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9999 888 5 6 77 40 0\ncpu0 1 1\n")
    found = {sensor.stream: sensor for sensor in host_sensors(stat)}
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert found["host:busy"].read() == pytest.approx((100 + 20 + 30 + 5 + 6) * tick)
    assert found["host:steal"].read() == pytest.approx(77 * tick)
    assert found["host:self"].read() > 0


def test_a_kernel_table_of_another_shape_is_named(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu 1 2 3\n")
    with pytest.raises(MeterError, match="3 CPU columns"):
        host_sensors(stat)[1].read()


def test_without_a_kernel_table_there_are_no_host_sensors(tmp_path):
    assert host_sensors(tmp_path / "stat") == ()
