import errno
from pathlib import Path

import pytest

from greenbench.core.reading import Domain
from greenbench.energy.perf_event import LinuxPerf, open_perf_event

SCALE = 2.3283064365386962890625e-10


class FakePerf:
    """Counts per (config, cpu) that a test sets; refuses what it is told to."""

    def __init__(self, refuse=None) -> None:
        self.counts, self.open_now, self._refuse = {}, {}, refuse or {}

    def open(self, kind, config, cpu):
        assert kind == 32
        if (config, cpu) in self._refuse or config in self._refuse:
            code = self._refuse.get((config, cpu), self._refuse.get(config))
            raise OSError(code, "refused")
        descriptor = 100 + len(self.open_now)
        self.open_now[descriptor] = (config, cpu)
        return descriptor

    def read(self, descriptor):
        return self.counts.get(self.open_now[descriptor], 0)

    def close(self, descriptor):
        del self.open_now[descriptor]


def pmu(root: Path, *, cpumask="0", events=("pkg", "ram"), unit="Joules") -> Path:
    folder = root / "power" / "events"
    folder.mkdir(parents=True)
    (root / "power" / "type").write_text("32\n")
    (root / "power" / "cpumask").write_text(f"{cpumask}\n")
    numbers = {"cores": 1, "pkg": 2, "ram": 3, "gpu": 4, "psys": 5}
    for name in events:
        (folder / f"energy-{name}").write_text(f"event=0x{numbers[name]:02x}\n")
        (folder / f"energy-{name}.scale").write_text(f"{SCALE}\n")
        (folder / f"energy-{name}.unit").write_text(f"{unit}\n")
    return root / "power"


def reasons(meter):
    return {item.domain: item.reason for item in meter.absent}


def test_one_counter_per_package_in_joules(tmp_path):
    kernel = FakePerf()
    root = pmu(tmp_path, cpumask="0,18", events=("cores", "pkg", "ram", "psys"))
    meter = open_perf_event(root, system=kernel)
    assert meter.domains == {
        Domain.CPU: ("rapl:package@cpu0", "rapl:package@cpu18"),
        Domain.DRAM: ("rapl:dram@cpu0", "rapl:dram@cpu18"),
        Domain.PSYS: ("rapl:psys@cpu0",),
    }
    assert meter.absent == ()
    kernel.counts = {(2, 0): 2**32, (2, 18): 2**33, (3, 0): 2**40}
    values = {sensor.stream: sensor.read() for sensor in meter.sensors}
    assert values["rapl:package@cpu0"] == pytest.approx(1.0)
    assert values["rapl:package@cpu18"] == pytest.approx(2.0)
    assert values["rapl:dram@cpu0"] == pytest.approx(256.0)  # far beyond the 32-bit register: no wrap


def test_closing_gives_every_counter_back(tmp_path):
    kernel = FakePerf()
    meter = open_perf_event(pmu(tmp_path, cpumask="0-1"), system=kernel)
    assert len(kernel.open_now) == 4
    meter.close()
    assert kernel.open_now == {}
    meter.close()


def test_a_processor_without_dram_counter_has_the_package_all_the_same(tmp_path):
    meter = open_perf_event(pmu(tmp_path, events=("pkg",)), system=FakePerf())
    assert list(meter.domains) == [Domain.CPU]
    assert reasons(meter) == {Domain.DRAM: "this processor has no energy-ram counter"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_no_permission_names_the_kernels_setting_and_its_remedy(tmp_path, code):
    paranoid = tmp_path / "paranoid"
    paranoid.write_text("4\n")
    meter = open_perf_event(pmu(tmp_path), system=FakePerf({2: code, 3: code}), paranoid=paranoid)
    assert meter.domains == {}
    said = reasons(meter)[Domain.CPU]
    assert "perf_event_paranoid is 4" in said
    assert "sysctl kernel.perf_event_paranoid=0" in said
    assert "\n" not in said


def test_one_socket_that_does_not_open_voids_the_domain_and_leaves_nothing_open(tmp_path):
    kernel = FakePerf({(2, 18): errno.ENODEV})
    meter = open_perf_event(pmu(tmp_path, cpumask="0,18", events=("pkg",)), system=kernel)
    assert Domain.CPU not in meter.domains
    assert "energy-pkg" in reasons(meter)[Domain.CPU]
    assert kernel.open_now == {}


def test_a_host_without_the_device_says_so(tmp_path):
    said = reasons(open_perf_event(tmp_path / "none", system=FakePerf()))
    assert "no power counters" in said[Domain.CPU]
    assert "no power counters" in said[Domain.DRAM]


def test_another_unit_or_an_empty_mask_is_refused_not_guessed(tmp_path):
    meter = open_perf_event(pmu(tmp_path / "a", unit="Nanojoules"), system=FakePerf())
    assert "not Joules" in reasons(meter)[Domain.CPU]
    meter = open_perf_event(pmu(tmp_path / "b", cpumask=""), system=FakePerf())
    assert "names no CPU" in reasons(meter)[Domain.CPU]


def test_the_real_call_is_well_formed():
    # A software event of the real kernel: type 1, config 0 is the CPU's clock.
    kernel = LinuxPerf()
    try:
        descriptor = kernel.open(1, 0, 0)
    except OSError as err:
        if err.errno in {errno.EINVAL, errno.E2BIG}:
            pytest.fail(f"the attribute is malformed: {err}")
        pytest.skip(f"this host lets nobody count: {err}")
    first = kernel.read(descriptor)
    assert kernel.read(descriptor) > first
    kernel.close(descriptor)


def test_a_kind_of_event_that_is_not_there_is_an_error_of_the_kernels():
    with pytest.raises(OSError):
        LinuxPerf().open(1 << 30, 0, 0)
