"""Containers that die, hang or eat; images that cannot be built; what is left behind."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.containers.conftest import LOCK, spec

from greenbench.core.errors import BuildError, NotBuiltError, RuntimeDiedError, RuntimeTimeoutError
from greenbench.core.progress import Silence
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.state import StateFolder


def load(instance, model: str, **more):
    with RuntimeClient(instance.address, instance=instance) as client:
        return client.load(model=model, batch_size=1, mode="plain", device="cpu", threads=1, **more)


def test_a_killed_container_is_told_with_status_137(instance, raw):
    with RuntimeClient(instance.address, instance=instance) as client, client.run() as stream:
        assert stream.started_ns
        raw.kill()
        with pytest.raises(RuntimeDiedError, match="died during Run with exit status 137") as caught:
            stream.wait(30)
    assert caught.value.exit_status_of_runtime == 137
    assert not caught.value.out_of_memory
    assert caught.value.log_tail[-1] == "listening"


def test_a_container_killed_for_memory_says_so(instance):
    with pytest.raises(RuntimeDiedError, match="killed for memory") as caught:
        load(instance, "eat")
    assert caught.value.out_of_memory
    assert caught.value.exit_status_of_runtime == 137


def test_a_container_that_hangs_passes_its_deadline_and_can_be_stopped(instance):
    with pytest.raises(RuntimeTimeoutError, match=r"did not answer Load within 1 s.*about to hang"):
        load(instance, "hang", deadline_s=1)
    instance.stop()
    assert instance.exit_state() is not None


def test_a_container_starts_again_after_it_died(launcher):
    for _ in range(2):
        with launcher.start(spec("fake"), "cpu") as instance:
            wait_ready(instance, deadline_s=60)
            assert instance.log_tail() == ("listening",)
            instance._container.kill()


def test_what_a_killed_controller_left_running_is_ended_when_asked(launcher):
    left = launcher.start(spec("fake"), "cpu")
    wait_ready(left, deadline_s=60)
    assert launcher.end_leftovers() == ("fake",)
    assert left.exit_state() is not None
    assert launcher.end_leftovers() == ()


def test_what_a_killed_controller_left_running_is_stopped_first(launcher):
    left = launcher.start(spec("fake"), "cpu")
    wait_ready(left, deadline_s=60)
    with launcher.start(spec("fake"), "cpu") as fresh:
        wait_ready(fresh, deadline_s=60)
        assert fresh.pid != left.pid


def test_a_container_that_somebody_removed_is_told(launcher, engine):
    with launcher.start(spec("fake"), "cpu") as instance:
        wait_ready(instance, deadline_s=60)
        engine.client.containers.get(instance.container_id).remove(force=True)
        with pytest.raises(RuntimeDiedError, match="an unknown exit status"):
            load(instance, "tiny")
    with pytest.raises(NotBuiltError, match="greenbench up fake --launcher docker --device cpu"):
        launcher.start(spec("fake"), "cpu")
    assert launcher.build(spec("fake"), "cpu", Silence()).reused


def test_pip_failing_in_a_build_shows_the_line_and_keeps_the_log(settings, engine, make_assets):
    wrong = replace(settings, assets=make_assets(fake="numpy==99.99\n"))
    with pytest.raises(
        BuildError, match=r"No matching distribution found for numpy==99.99 \(log: "
    ) as caught:
        DockerLauncher(wrong, engine).build(spec("fake"), "cpu", Silence())
    assert "\n" not in str(caught.value)
    assert "numpy==99.99" in Path(caught.value.log_path or "").read_text()


def test_packages_that_the_stubs_do_not_work_with_fail_the_build(settings, engine, make_assets):
    old = make_assets(
        fake=LOCK.replace("protobuf>=6.31.1,<7", "protobuf==5.29.5").replace("1.76.0", "1.71.0")
    )
    with pytest.raises(BuildError, match=r"building the image of fake failed: .*(gencode|grpc|[Pp]rotobuf)"):
        DockerLauncher(replace(settings, assets=old), engine).build(spec("fake"), "cpu", Silence())


def test_a_base_image_that_cannot_be_had_is_one_line(settings, engine):
    wrong = replace(settings, base_image="greenbench.invalid/no-such-base:1")
    with pytest.raises(
        BuildError, match=r"base image greenbench.invalid/no-such-base:1 .*--base-image"
    ) as caught:
        DockerLauncher(wrong, engine).build(spec("fake"), "cpu", Silence())
    assert "\n" not in str(caught.value)


def test_down_removes_containers_and_images_removes_the_image(settings, engine, make_assets, tmp_path):
    other = replace(settings, state=StateFolder.at(tmp_path), assets=make_assets(other=LOCK))
    launcher = DockerLauncher(other, engine)
    launcher.build(spec("other"), "cpu", Silence())
    label = {"label": f"greenbench.state={other.state.identity}"}
    assert len(engine.client.containers.list(all=True, filters=label)) == 1
    assert any("removed container" in line for line in launcher.down(images=False))
    assert not engine.client.containers.list(all=True, filters=label)
    assert engine.client.images.list(name="greenbench/other")
    assert "removed image greenbench/other:cpu" in launcher.down(images=True)
    assert not engine.client.images.list(name="greenbench/other")
