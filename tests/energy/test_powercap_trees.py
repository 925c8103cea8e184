"""Whole powercap trees whose counters run at a known power, read by greenbench and by pyRAPL side by side."""

import errno
import importlib
import importlib.util
import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.energy.closed import close_files
from tests.energy.test_powercap import SECOND, zone

from greenbench.core.reading import Domain, Series
from greenbench.energy.meter import open_meters
from greenbench.energy.powercap import open_powercap
from greenbench.energy.pyrapl import open_pyrapl
from greenbench.energy.recorder import Record
from greenbench.energy.window import cut

WATTS = 50.0
STEP_S = 0.1
STEPS = 106
FIRST, LAST = 10, 90
"""pyRAPL begins and ends at these steps; the window is asked for between the same instants."""

needs_pyrapl = pytest.mark.skipif(
    importlib.util.find_spec("pyRAPL") is None, reason="pip install 'greenbench[pyrapl]'"
)


@dataclass(frozen=True)
class Tree:
    """Powercap as sysfs shows it: zones nested, and flat by links."""

    root: Path
    sockets: int
    range_j: float
    start_j: float
    apart_j: float = 0.0

    @property
    def flat(self) -> Path:
        return self.root / "sys/class/powercap"

    def advance(self, step: int) -> None:
        """Let every package have drawn `WATTS`, and every DRAM a fifth of it, for so many steps."""
        for path in self.flat.glob("intel-rapl:*"):
            watts = WATTS if path.name.count(":") == 1 else WATTS / 5
            start_j = self.start_j + self.apart_j * int(path.name.split(":")[1])
            joules = (start_j + watts * step * STEP_S) % self.range_j
            (path / "energy_uj").write_text(f"{round(joules * 1e6)}\n")


def grown(root: Path, *, sockets: int, range_j: float, start_j: float, apart_j: float = 0.0) -> Tree:
    tree = Tree(root=root, sockets=sockets, range_j=range_j, start_j=start_j, apart_j=apart_j)
    nested = tree.flat / "intel-rapl"
    for socket in range(sockets):
        package = zone(
            nested,
            f"intel-rapl:{socket}",
            f"package-{socket}",
            range_uj=round(range_j * 1e6),
            limit_uw=300_000_000,
        )
        zone(package, f"intel-rapl:{socket}:0", "dram", range_uj=round(range_j * 1e6))
    for path in nested.rglob("intel-rapl:*"):
        (tree.flat / path.name).symlink_to(path)
    cpus = root / "sys/devices/system/cpu"
    for cpu in range(sockets):
        (cpus / f"cpu{cpu}/topology").mkdir(parents=True)
        (cpus / f"cpu{cpu}/topology/physical_package_id").write_text(f"{cpu}\n")
    (cpus / "present").write_text("0\n" if sockets == 1 else f"0-{sockets - 1}\n")
    tree.advance(0)
    return tree


def watched(tree: Tree, at_step=lambda _: None):
    """Poll every zone as the recorder would; return the window from one second to nine."""
    meters = open_meters(device="cpu", powercap_root=tree.flat, pmu_root=tree.root)
    sensors = [sensor for sensor in meters.sensors if sensor.stream.startswith("rapl:")]
    values = {sensor.stream: [] for sensor in sensors}
    for step in range(STEPS):
        tree.advance(step)
        at_step(step)
        for sensor in sensors:
            values[sensor.stream].append(sensor.read())
    at = (np.arange(STEPS) * STEP_S * SECOND).astype(np.int64)
    record = Record(
        {
            stream: Series(
                stream=stream, unit="J", t_before_ns=at, t_after_ns=at + 10_000, value=np.array(found)
            )
            for stream, found in values.items()
        },
        periods_s=dict.fromkeys(values, STEP_S),
    )
    return cut(
        record,
        meters,
        asked_begin_ns=round(FIRST * STEP_S * SECOND),
        asked_end_ns=round(LAST * STEP_S * SECOND),
        ends_ns=np.arange(0, int(10.5 * SECOND), SECOND // 100),
        sensor_period_s=0.0,
    )


DRAWN_J = WATTS * (LAST - FIRST) * STEP_S
WRAPS = {0: (10_000.0, 100.0), 1: (1_000.0, 700.0), 5: (80.0, 10.0)}
"""Wraps of a package over the window -> range and start, joules."""


@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("wraps", WRAPS)
def test_known_power_comes_back_whatever_wraps(tmp_path, sockets, wraps):
    range_j, start_j = WRAPS[wraps]
    began, ended = (start_j + WATTS * step * STEP_S for step in (FIRST, LAST))
    assert ended // range_j - began // range_j == wraps
    window = watched(grown(tmp_path, sockets=sockets, range_j=range_j, start_j=start_j))
    assert window.counter_resets == ()
    cpu, dram = window.energy[Domain.CPU].joules, window.energy[Domain.DRAM].joules
    assert cpu == pytest.approx(sockets * WATTS * window.duration_s, rel=1e-3)
    assert dram == pytest.approx(sockets * WATTS / 5 * window.duration_s, rel=1e-2)


@pytest.fixture
def pyrapl(monkeypatch):
    """pyRAPL's own classes, with the paths of its device module led into a tree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module("pyRAPL")
    left_open = []

    def lead(tree: Tree):
        def inside(path):
            return Path(str(tree.root) + path if str(path).startswith("/sys/") else path)

        def opened(path, *args):
            left_open.append(inside(path).open(*args))
            return left_open[-1]

        monkeypatch.setattr(library.device_api, "open", opened, raising=False)
        monkeypatch.setattr(
            library.device_api,
            "os",
            SimpleNamespace(path=SimpleNamespace(exists=lambda p: inside(p).exists())),
        )
        return library

    yield lead
    for file in left_open:  # it closes none of them
        file.close()


@needs_pyrapl
@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("wraps", WRAPS)
def test_pyrapl_beside_ours_on_the_same_tree(tmp_path, pyrapl, sockets, wraps):
    range_j, start_j = WRAPS[wraps]
    tree = grown(tmp_path, sockets=sockets, range_j=range_j, start_j=start_j)
    library = pyrapl(tree)
    library.setup()
    measurement = library.Measurement("beside")
    steps = {FIRST: measurement.begin, LAST: measurement.end}
    window = watched(tree, lambda step: steps.get(step, lambda: None)())
    ours = window.energy[Domain.CPU].joules / window.duration_s
    assert ours == pytest.approx(sockets * WATTS, rel=1e-3)
    theirs = measurement.result.pkg
    if wraps == 0:
        assert sum(theirs) * 1e-6 == pytest.approx(sockets * DRAWN_J, rel=1e-6)
    else:
        # None where all figures are negative, which it takes for missing ones; else what the wraps have left.
        assert theirs is None or sum(theirs) * 1e-6 < 0.5 * sockets * DRAWN_J


@needs_pyrapl
def test_where_one_socket_of_two_wraps_pyrapl_gives_a_negative_number(tmp_path, pyrapl):
    tree = grown(tmp_path, sockets=2, range_j=1_000.0, start_j=100.0, apart_j=600.0)
    library = pyrapl(tree)
    library.setup()
    measurement = library.Measurement("beside")
    steps = {FIRST: measurement.begin, LAST: measurement.end}
    window = watched(tree, lambda step: steps.get(step, lambda: None)())
    assert window.energy[Domain.CPU].joules == pytest.approx(2 * WATTS * window.duration_s, rel=1e-3)
    first, second = (value * 1e-6 for value in measurement.result.pkg)
    assert first == pytest.approx(DRAWN_J)
    assert second == pytest.approx(DRAWN_J - 1_000.0)


@needs_pyrapl
def test_our_adapter_reads_pyrapls_own_devices_as_it_does(tmp_path, pyrapl):
    tree = grown(tmp_path, sockets=2, range_j=10_000.0, start_j=100.0)
    pyrapl(tree)
    meter = open_pyrapl()
    assert meter.domains == {
        Domain.CPU: ("pyrapl:cpu-0", "pyrapl:cpu-1"),
        Domain.DRAM: ("pyrapl:dram-0", "pyrapl:dram-1"),
    }
    tree.advance(10)
    theirs = [sensor.read() for sensor in meter.sensors]
    ours = [sensor.read() for sensor in open_powercap(tree.flat).sensors]
    assert theirs == pytest.approx([150.0, 150.0, 110.0, 110.0])
    assert ours == pytest.approx(theirs)


def linked(root: Path, *zones: tuple[str, str]) -> Tree:
    """A tree of two sockets with these top-level zones (name, label), package or not, each at 1 J."""
    tree = grown(root, sockets=2, range_j=10_000.0, start_j=1.0)
    nested = tree.flat / "intel-rapl"
    for link in tree.flat.glob("intel-rapl:*"):
        link.unlink()
    shutil.rmtree(nested)
    for name, label in zones:
        parent = nested / name.rsplit(":", 1)[0] if name.count(":") == 2 else nested
        path = zone(parent, name, label, limit_uw=None)
        (tree.flat / name).symlink_to(path)
    return tree


PACKAGES = (("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1"))
DIES = tuple((f"intel-rapl:{2 * s + d}", f"package-{s}-die-{d}") for s in (0, 1) for d in (0, 1))


@needs_pyrapl
@pytest.mark.parametrize(
    ("zones", "theirs", "ours"),
    [
        pytest.param((*PACKAGES, ("intel-rapl:2", "psys")), 2, 2, id="psys is none of their packages"),
        pytest.param((*PACKAGES, ("intel-rapl:0:0", "core")), 2, 2, id="AMD: cores, no dram"),
        pytest.param(DIES, 0, 4, id="dies: pyRAPL takes none of them"),
    ],
)
def test_pyrapl_beside_ours_on_other_trees(tmp_path, pyrapl, zones, theirs, ours):
    tree = linked(tmp_path, *zones)
    pyrapl(tree)
    meter, own = open_pyrapl(), open_powercap(tree.flat)
    assert len(meter.domains.get(Domain.CPU, ())) == theirs
    assert len(own.domains[Domain.CPU]) == ours
    read = {sensor.stream: sensor.read() for sensor in (*meter.sensors, *own.sensors)}
    assert [read[stream] for stream in meter.domains.get(Domain.CPU, ())] == pytest.approx([1.0] * theirs)
    assert [read[stream] for stream in own.domains[Domain.CPU]] == pytest.approx([1.0] * ours)
    # What one of them does not have is said, whatever it raises inside.
    assert {item.domain for item in meter.absent} >= {Domain.DRAM} | (set() if theirs else {Domain.CPU})


@needs_pyrapl
def test_where_counters_are_closed_pyrapl_is_absent_with_its_reason(tmp_path, pyrapl, monkeypatch):
    tree = linked(tmp_path, *PACKAGES)
    library = pyrapl(tree)
    real = library.device_api.open

    def denied(path, *args):
        if str(path).endswith("energy_uj"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args)

    monkeypatch.setattr(library.device_api, "open", denied)
    (reason,) = [item.reason for item in open_pyrapl().absent if item.domain is Domain.CPU]
    assert "pyRAPL" in reason


def test_dies_of_two_sockets_are_four_packages_with_their_own_dram(tmp_path):
    for number, (socket, die) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        zone(tmp_path, f"intel-rapl:{number}", f"package-{socket}-die-{die}", energy_uj=1_000_000)
        zone(tmp_path, f"intel-rapl:{number}:0", "dram", energy_uj=500_000)
    meter = open_powercap(tmp_path)
    assert len(meter.domains[Domain.CPU]) == len(meter.domains[Domain.DRAM]) == 4
    assert len(set(meter.wraps)) == 8
    assert sum(sensor.read() for sensor in meter.sensors) == pytest.approx(6.0)


def test_an_amd_processor_has_packages_and_cores_and_no_limit(tmp_path):
    # AMD's zones carry Intel's names, hold no constraint, and core is a part of its package.
    for socket in (0, 1):
        zone(tmp_path, f"intel-rapl:{socket}", f"package-{socket}", range_uj=65_532_610_987, limit_uw=None)
        zone(tmp_path, f"intel-rapl:{socket}:0", "core", range_uj=65_532_610_987, limit_uw=None)
    meter = open_powercap(tmp_path)
    assert meter.domains == {Domain.CPU: ("rapl:package-0", "rapl:package-1")}
    assert meter.max_power_w == {}
    assert meter.facts["zones_without_power_limit"] == ["package-0", "package-1"]
    assert "no dram zone" in {item.domain: item.reason for item in meter.absent}[Domain.DRAM]


def test_a_limit_that_may_not_be_read_is_said_and_refuses_nothing(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    close_files(monkeypatch, lambda path: path.name.startswith("constraint_"))
    meter = open_powercap(tmp_path)
    assert meter.max_power_w == {}
    assert meter.facts["zones_without_power_limit"] == ["package-0"]
    assert meter.domains == {Domain.CPU: ("rapl:package-0",)}


@pytest.fixture
def open_folder():
    # Pytest's own folders are closed to others, who have to come as far as the file that they may not read.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def somebody():
    """Be somebody who is not root: root may read everything."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


def test_files_that_are_really_closed(open_folder):
    folder = zone(open_folder, "intel-rapl:0", "package-0")
    (folder / "energy_uj").chmod(0o000)
    with somebody():
        meter = open_powercap(open_folder)
    assert Domain.CPU not in meter.domains
    assert "root only" in {item.domain: item.reason for item in meter.absent}[Domain.CPU]


def test_a_counter_that_is_closed_after_opening_is_an_error_and_no_number(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    (sensor,) = open_powercap(tmp_path).sensors

    def gone(*_):  # as sysfs answers once the zone's driver was unloaded
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(OSError, match="energy_uj"):
        sensor.read()
