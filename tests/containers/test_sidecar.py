"""The root sidecar on a real engine, over a powercap tree of files."""

import os
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.energy.closed import close_files
from tests.energy.test_powercap import SECOND, zone

from greenbench.bench.context import Options
from greenbench.bench.cpu_route import cpu_by_sidecar
from greenbench.core.errors import FleetError, MeterError, NotBuiltError
from greenbench.core.progress import Silence
from greenbench.core.reading import Domain
from greenbench.energy.meter import open_meters
from greenbench.energy.powercap import open_powercap
from greenbench.energy.rapl import RaplPlaces
from greenbench.energy.recorder import Recorder
from greenbench.energy.window import cut
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.sidecar import RaplSidecar
from greenbench.fleet.state import StateFolder


@dataclass(frozen=True)
class SimpleContext:
    """What the route needs of a context."""

    state: StateFolder
    options: Options
    house: Any
    meters: Any


@pytest.fixture
def tree(tmp_path) -> Path:
    """Nested as /sys/devices/virtual/powercap is; the counters closed where the tests may make them so."""
    nested = tmp_path / "tree" / "intel-rapl"
    for number in (0, 1):
        package = zone(nested, f"intel-rapl:{number}", f"package-{number}", energy_uj=3_000_000 + number)
        dram = zone(package, f"intel-rapl:{number}:0", "dram", energy_uj=9_000_000)
        for folder in (package, dram):
            (folder / "energy_uj").chmod(0o400 if os.getuid() == 0 else 0o444)
    zone(nested.with_name("intel-rapl-mmio"), "intel-rapl-mmio:0", "package-0")
    return tmp_path / "tree"


@pytest.fixture
def flat(tree, tmp_path) -> Path:
    """As /sys/class/powercap shows the same zones."""
    folder = tmp_path / "class"
    folder.mkdir()
    for path in tree.rglob("intel-rapl:*"):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def sidecar(settings: LaunchSettings, engine, tree):
    built = RaplSidecar(settings, engine, tree=tree)
    built.build(Silence())
    yield built
    engine.client.images.remove(built.tag, force=True)


@pytest.fixture
def ours(engine, settings):
    def find():
        label = f"greenbench.state={settings.state.identity}"
        found = engine.client.containers.list(all=True, filters={"label": [label, "greenbench.sidecar"]})
        return list(found)

    return find


def test_counters_come_through_it_and_change_with_the_files(sidecar, tree, ours):
    with sidecar.reading() as reader:
        assert reader.read("intel-rapl:0").strip() == "3000000"
        assert reader.read("intel-rapl:1:0").strip() == "9000000"
        (tree / "intel-rapl" / "intel-rapl:0" / "energy_uj").write_text("3500000\n")
        assert reader.read("intel-rapl:0").strip() == "3500000"
        begin_s = time.perf_counter()
        for _ in range(100):
            reader.read("intel-rapl:0")
        assert (time.perf_counter() - begin_s) / 100 < 0.05
    assert ours() == []


def test_it_is_sealed_and_sees_the_tree_read_only(sidecar, ours, tree):
    with sidecar.reading():
        (container,) = ours()
        host = container.attrs["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        mounts = {mount["Destination"]: mount["RW"] for mount in container.attrs["Mounts"]}
        assert mounts == {"/powercap": False, "/run/rapl.sock": True}
        written = container.exec_run(["sh", "-c", "echo 1 > /powercap/intel-rapl/intel-rapl:0/name"])
        assert written.exit_code != 0
        rights = container.exec_run(["grep", "CapEff", "/proc/self/status"]).output.decode()
        assert int(rights.split()[1], 16) == 0


def test_the_socket_lies_in_a_folder_that_is_closed(sidecar, settings):
    with sidecar.reading():
        folder = settings.state.run("rapl-sidecar")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / "rapl.sock").is_socket()
    assert not (folder / "rapl.sock").exists()


def test_it_reads_counters_of_zones_and_nothing_else(sidecar):
    with sidecar.reading() as reader:
        for asked in ("../../etc/shadow", "intel-rapl:7", "intel-rapl-mmio:0", ""):
            with pytest.raises(MeterError, match="no zone"):
                reader.read(asked)
        assert reader.read("intel-rapl:0")


def test_it_is_a_route_to_rapl(sidecar, flat):
    with sidecar.reading() as reader:
        meter = open_powercap(flat, lambda path: reader.read(path.parent.name))
        assert meter.domains[Domain.CPU] == ("rapl:package-0", "rapl:package-1")
        values = {sensor.stream: sensor.read() for sensor in meter.sensors}
        assert values["rapl:package-1"] == pytest.approx(3.000001)
        assert values["rapl:package-0:dram"] == 9.0


def test_a_socket_of_another_user_is_reached_without_any_capability(sidecar, settings):
    """What root's side sees where the controller is not root: a folder and a socket that are not its own."""
    if os.getuid() != 0:
        pytest.skip("only root can give files away; elsewhere every test here shows it")
    with sidecar._listening() as door:
        folder = settings.state.run("rapl-sidecar")
        os.chown(folder, 65532, 65532)
        os.chown(folder / "rapl.sock", 65532, 65532)
        container = sidecar._create()
        try:
            container.start()
            door.settimeout(20)
            with door.accept()[0] as connection:
                connection.sendall(b"intel-rapl:0\n")
                assert connection.recv(100) == b"3000000\n"
        finally:
            container.remove(force=True)
            os.chown(folder, 0, 0)


@pytest.fixture
def closed_to_us(monkeypatch):
    """This process may not read counters; the container is another process."""
    close_files(monkeypatch, lambda path: path.name == "energy_uj")


def run_at(tree: Path, watts: float, stop: Event) -> None:
    """Let every package draw a known power in real time."""
    begin_s = time.monotonic()
    while not stop.wait(0.002):
        for number in (0, 1):
            file = tree / "intel-rapl" / f"intel-rapl:{number}" / "energy_uj"
            descriptor = os.open(file, os.O_WRONLY)
            # One write of one length: a reader never sees half of it.
            os.write(descriptor, b"%020d\n" % round((time.monotonic() - begin_s) * watts * 1e6))
            os.close(descriptor)


def test_a_runs_meters_measure_a_known_power_through_it(
    sidecar, flat, tree, settings, tmp_path, closed_to_us
):
    places = RaplPlaces(powercap=flat, pmu=tmp_path)
    context = SimpleContext(
        state=settings.state,
        options=Options(base_image=settings.base_image),
        house=SimpleNamespace(launcher=SimpleNamespace(name="docker")),
        meters=open_meters(device="cpu", powercap_root=flat, pmu_root=tmp_path),
    )
    assert context.meters.scope == "none"
    stop = Event()
    drawing = Thread(target=run_at, args=(tree, 50.0, stop))
    drawing.start()
    try:
        with cpu_by_sidecar(context, Silence(), places, tree) as changed:
            assert changed.meters.scope == "cpu+dram"
            begin_ns = time.monotonic_ns()
            with Recorder(changed.meters.sensors, clock=time.monotonic_ns, seed=1) as recorder:
                time.sleep(4)
                record = recorder.record()
            window = cut(
                record,
                changed.meters,
                asked_begin_ns=begin_ns + SECOND,
                asked_end_ns=begin_ns + 3 * SECOND,
                ends_ns=np.arange(begin_ns, begin_ns + 4 * SECOND, SECOND // 100),
                sensor_period_s=0.0,
            )
    finally:
        stop.set()
        drawing.join()
    assert window.energy[Domain.CPU].joules == pytest.approx(100.0 * window.duration_s, rel=0.02)


def test_killed_under_a_reading_it_is_an_error_not_a_hang(sidecar, ours):
    with sidecar.reading() as reader:
        (container,) = ours()
        container.kill()
        container.wait(timeout=20)
        with pytest.raises(MeterError, match="sidecar"):
            reader.read("intel-rapl:0")


def test_it_ends_when_the_controller_dies_and_the_next_start_clears_up(sidecar, ours, settings):
    with sidecar._listening() as door:
        container = sidecar._create()
        container.start()
        door.settimeout(20)
        connection = door.accept()[0]
        connection.shutdown(socket.SHUT_RDWR)  # what the kernel does for a process that is killed
        connection.close()
        assert container.wait(timeout=20)["StatusCode"] == 0
    with sidecar.reading() as reader:
        assert reader.read("intel-rapl:0")
        assert len(ours()) == 1
    assert ours() == []


def test_without_its_image_the_remedy_is_named(settings, engine, tree, tmp_path):
    other = LaunchSettings(
        state=StateFolder.at(tmp_path / "s"), assets=settings.assets, base_image=settings.base_image
    )
    with pytest.raises(NotBuiltError, match="greenbench up"), RaplSidecar(other, engine, tree=tree).reading():
        pass


def test_a_tree_that_is_not_there_is_one_sentence(settings, engine, sidecar, tmp_path):
    missing = RaplSidecar(settings, engine, tree=tmp_path / "nothing")
    with pytest.raises(FleetError), missing.reading():
        pass
