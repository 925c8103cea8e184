"""What a running container may do, seen from inside and by inspection."""

import os
import stat
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.containers.conftest import MEMORY_LIMIT_BYTES, spec

from greenbench.core.progress import Silence
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.compose import UNPRIVILEGED, container_owner


@pytest.fixture
def inside(instance):
    with RuntimeClient(instance.address, instance=instance) as client:
        return client.describe().versions


def test_from_inside_there_is_no_network_no_right_and_no_writable_root(inside):
    assert inside["interfaces"] == "lo"
    assert int(inside["CapEff"], 16) == 0
    assert inside["NoNewPrivs"] == "1"
    assert inside["uid"] != "0"
    assert inside["root"] == "False"
    assert inside["models"] == "False"


def test_from_inside_scratch_and_outbox_work(inside):
    assert inside["scratch_runs"] == "True"
    assert inside["outbox"] == "True"


def test_inspection_says_the_same(raw, settings):
    host = raw.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] > 0
    assert host["Memory"] == host["MemorySwap"] == MEMORY_LIMIT_BYTES
    assert host["RestartPolicy"]["Name"] == "no"
    assert not host["PortBindings"]
    mounts = {mount["Destination"]: mount["RW"] for mount in raw.attrs["Mounts"]}
    assert mounts == {"/models": False, "/run/greenbench": True}
    assert raw.labels["greenbench.runtime"] == "fake"


def test_the_socket_lies_in_a_closed_folder_of_its_user(instance, settings):
    folder = settings.state.run("fake")
    owner = folder.stat().st_uid
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert owner == (UNPRIVILEGED if os.getuid() == 0 else os.getuid())
    assert settings.state.socket("fake").is_socket()


def test_the_main_process_is_known_to_the_host_and_unprivileged(instance, raw):
    process = psutil.Process(instance.pid)
    assert "greenbench_runtime" in process.cmdline()
    assert process.uids().real == container_owner(rootless=False)[0]
    assert instance.container_id in Path(f"/proc/{instance.pid}/cgroup").read_text()


def test_tensors_pass_through_the_mounted_socket(instance):
    images = np.random.default_rng(0).standard_normal((8, 3, 224, 224), dtype=np.float32)
    with RuntimeClient(instance.address, instance=instance) as client:
        client.stage({"images": images})
        np.testing.assert_array_equal(client.check()["echo_images"], images)


def test_host_and_container_share_one_clock(instance):
    with RuntimeClient(instance.address, instance=instance) as client:
        before_ns = time.monotonic_ns()
        with client.run(max_iterations=20) as stream:
            stream.wait(30)
            summary = stream.stop()
        assert (
            before_ns < summary.started_ns < summary.ends_ns[0] <= summary.finished_ns < time.monotonic_ns()
        )


def test_building_again_reuses_image_and_container(launcher):
    first = launcher.built(spec("fake"), "cpu")
    again = launcher.build(spec("fake"), "cpu", Silence())
    assert first is not None
    assert again.reused
    assert again.identity == first.identity
    assert again.packages["grpcio"] == "1.76.0"
    assert again.python.startswith("3.11")


def test_the_image_runs_as_nobody_and_carries_no_setting_of_the_host(launcher, engine):
    image = engine.client.images.get("greenbench/fake:cpu")
    assert image.attrs["Config"]["User"] == "65532:65532"
    assert not [name for name in image.attrs["Config"]["Env"] if name.startswith("PIP_")]
    assert "pip_conf" not in str(image.history()).replace("id=pip_conf", "").replace("secrets/pip_conf", "")
