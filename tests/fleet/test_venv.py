import errno
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from greenbench.core.errors import (
    BuildError,
    FleetError,
    GreenbenchError,
    NotBuiltError,
    RuntimeDiedError,
    RuntimeTimeoutError,
)
from greenbench.core.progress import Silence
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.venv import VenvLauncher

SPEC = RuntimeSpec(
    name="fake",
    engine="fake",
    title="Fake",
    modes={"plain": ("cpu",)},
    precisions=("fp32",),
    devices={"cpu": DeviceBuild(requirements="fake-cpu.lock")},
)


def test_an_adopted_environment_is_recorded_and_nothing_is_installed(settings, state):
    build = VenvLauncher(settings).build(SPEC, "cpu", Silence())
    assert build.packages["grpcio"]
    assert build.requirements_sha256 is None
    assert build.identity == sys.executable
    assert not list(state.venvs.iterdir())
    assert VenvLauncher(settings).built(SPEC, "cpu") == build


def test_bytecode_of_an_adopted_environment_is_kept_outside_of_it(start, settings, state):
    wait_ready(start(), deadline_s=30)
    assert any(state.bytecode.rglob("*.pyc"))
    assert not list(settings.assets.rglob("__pycache__"))


def test_an_adopted_python_that_is_not_there_is_one_line(settings):
    wrong = replace(settings, environments={"fake": Path("/no/python")})
    with pytest.raises(BuildError, match=r"cannot be run: No such file.*--env fake=PYTHON"):
        VenvLauncher(wrong).build(SPEC, "cpu", Silence())


def test_an_environment_without_grpc_is_one_line(settings, tmp_path):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'grpc'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    with pytest.raises(
        BuildError, match="cannot serve fake: ModuleNotFoundError: No module named 'grpc'; it needs grpcio"
    ):
        VenvLauncher(replace(settings, environments={"fake": bare})).build(SPEC, "cpu", Silence())


@pytest.mark.parametrize("place", ["process.json", "runtime-fake.log"])
def test_a_full_state_folder_is_one_line_and_leaves_nothing_running(settings, monkeypatch, place):
    opened = Path.open

    def full(path: Path, *arguments, **more):
        if path.name == place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, *arguments, **more)

    VenvLauncher(settings).build(SPEC, "cpu", Silence())
    before = psutil.Process().children()
    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr(Path, "write_text", lambda path, *_, **__: full(path))
    with pytest.raises(
        GreenbenchError, match=rf"cannot write .*{place}: the disk is full.*--resume"
    ) as caught:
        VenvLauncher(settings).start(SPEC, "cpu")
    assert not isinstance(caught.value, FleetError)  # which would count as the load's failure
    assert psutil.Process().children() == before


def test_starting_what_was_not_built_names_the_command(settings):
    with pytest.raises(NotBuiltError, match="greenbench up fake --launcher venv --device cpu"):
        VenvLauncher(settings).start(SPEC, "cpu")


def test_pip_failing_shows_its_line_and_keeps_the_log(settings, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = settings.assets / "docker" / "requirements" / "fake-cpu.lock"
    lock.write_text("there-is-no-such-thing==99.0\n")
    launcher = VenvLauncher(replace(settings, environments={}))
    with pytest.raises(
        BuildError, match=r"No matching distribution found for there-is-no-such-thing==99.0"
    ) as caught:
        launcher.build(SPEC, "cpu", Silence())
    assert "there-is-no-such-thing" in Path(caught.value.log_path or "").read_text()
    assert launcher.built(SPEC, "cpu") is None


def test_a_process_stops_whole_and_leaves_no_note(instance, state):
    process = psutil.Process(instance.pid)
    assert os.getpgid(instance.pid) == instance.pid
    assert instance.exit_state() is None
    instance.stop()
    instance.stop()
    assert not process.is_running()
    assert not (state.run("fake") / "process.json").exists()


def test_a_runtime_sees_no_gpu_and_no_thread_settings_of_the_shell(start, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    instance = start("fake")
    wait_ready(instance, deadline_s=30)
    with RuntimeClient(instance.address) as client:
        seen = client.describe().versions
    assert seen["visible_gpus"] == ""
    assert seen["threads"] == "unset"


def test_what_a_killed_controller_left_is_ended_at_the_next_start(start, settings, state):
    left = start("fake")
    process = psutil.Process(left.pid)
    fresh = start("fake")
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert wait_ready(fresh, deadline_s=30) > 0
    fresh.stop()


def test_another_process_with_the_noted_number_is_left_alone(settings, state):
    state.prepare_run("fake")
    note = state.run("fake") / "process.json"
    note.write_text(json.dumps({"pid": os.getppid(), "created": 1.0}))
    assert VenvLauncher(settings).down(images=True) == ()
    assert psutil.pid_exists(os.getppid())


def test_down_stops_and_removes(start, settings, state):
    left = start("fake")
    (state.venvs / "fake-cpu-x").mkdir(parents=True)
    said = VenvLauncher(settings).down(images=True)
    assert said == ("stopped fake, left by a controller that is gone", "removed environment fake-cpu-x")
    assert left.exit_state() is not None


def test_a_runtime_that_ends_at_its_start_is_told_with_its_last_lines(start):
    with pytest.raises(
        RuntimeDiedError, match=r"died during starting with exit status 3.*the framework is not there"
    ):
        wait_ready(start("broken"), deadline_s=30)


def test_a_runtime_that_never_serves_is_told_with_the_deadline(start):
    with pytest.raises(RuntimeTimeoutError, match=r"did not answer its start within 5 s.*listening"):
        wait_ready(start("mute"), deadline_s=5)


def test_the_status_of_a_killed_process_counts_from_128(instance):
    os.kill(instance.pid, signal.SIGTERM)
    psutil.Process(instance.pid).wait(30)
    assert instance.exit_state() is not None


def test_leaving_by_an_error_stops_the_process(start):
    instance = start("fake")

    def interrupted() -> None:
        with instance:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert instance.exit_state() is not None
