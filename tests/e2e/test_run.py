"""The main job for real: two runtimes, real models, real gRPC; in environments and in sealed containers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from greenbench.bench.library import Entry, ModelLibrary, onnx_key, weights_key
from greenbench.results.schema import TRIALS

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(1800)]
LAUNCHERS = [pytest.param("venv"), pytest.param("docker", marks=pytest.mark.container)]
FILES = {
    "manifest.json",
    "events.jsonl",
    "trials.parquet",
    "readings.parquet",
    "iterations.parquet",
    "baselines.parquet",
    "parity.json",
    "report.html",
}


@pytest.fixture
def built(request, launcher):
    request.getfixturevalue(f"built_{launcher}")
    return launcher


def rows(folder) -> list[dict]:
    return pq.read_table(folder / "trials.parquet").to_pylist()


def events(folder, name: str) -> list[dict]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def wait_for_event(process, folder_of, name: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if events(folder_of(), name):
                return
        except (ValueError, OSError):
            pass
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    pytest.fail(f"no event {name} in {seconds} s")


def until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_run_is_measured_told_and_complete_on_disk(greenbench, built, short, run_folder, launcher):
    ended = greenbench("run", "--launcher", launcher, "--rounds", "2", *short)
    assert ended.status == 0, ended.err
    folder = run_folder()
    assert {path.name for path in folder.iterdir()} == FILES
    trials = rows(folder)
    assert len(trials) == 4
    assert {trial["runtime"] for trial in trials} == {"pytorch", "onnxruntime"}
    assert pq.read_schema(folder / "trials.parquet").names == TRIALS.names
    for trial in trials:
        assert trial["verdict"] in {"valid", "doubtful"}
        assert trial["iterations"] > 3
        assert trial["throughput_samples_per_s"] == pytest.approx(trial["samples"] / trial["duration_s"])
        assert trial["duration_s"] == pytest.approx((trial["end_ns"] - trial["begin_ns"]) / 1e9)
        assert trial["latency_p50_s"] <= trial["latency_p90_s"] <= trial["latency_p99_s"]
        # A busy loop on n threads uses more than a tenth of a core and no more cores than there are.
        assert 0.1 < trial["cpu_s"] / trial["duration_s"] <= (os.cpu_count() or 1) * 1.1
        assert trial["memory_peak_b"] > 50e6
        if trial["energy_scope"] == "none":
            assert trial["energy_total_j"] is None
            assert {item["domain"] for item in trial["absent"]} >= {"cpu"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["order"] == [event["load_id"] for event in events(folder, "load_started")]
    assert manifest["runtimes"]["pytorch"]["packages"]["torch"].startswith("2.")
    parity = json.loads((folder / "parity.json").read_text())["cells"]
    assert {cell["runtime"]: cell["passed"] for cell in parity} == {"pytorch": True, "onnxruntime": True}
    assert all(cell["relative_error"] <= 1e-4 for cell in parity)
    assert all(cell["kept_relative_error"] <= 1e-4 for cell in parity)
    assert "mobilenet_v2" in ended.out
    assert str(folder.name) in ended.out.splitlines()[-1]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_iterations_lie_inside_the_hosts_own_clock(greenbench, built, short, run_folder, launcher):
    before_ns = time.monotonic_ns()
    ended = greenbench("run", "--launcher", launcher, "--rounds", "1", *short)
    after_ns = time.monotonic_ns()
    assert ended.status == 0, ended.err
    table = pq.read_table(run_folder() / "iterations.parquet").to_pydict()
    ends = np.array(table["end_ns"])
    assert len(ends) > 20
    assert before_ns < ends.min()
    assert ends.max() < after_ns
    for load in set(table["load_id"]):
        own = ends[np.array(table["load_id"]) == load]
        assert (np.diff(own) > 0).all()


def test_a_window_twice_as_long_is_filled_twice_as_long(greenbench, built_venv, short, tmp_path):
    durations = {}
    for seconds in (2, 4):
        ended = greenbench(
            "run",
            "--launcher",
            "venv",
            "--rounds",
            "2",
            *short,
            "--set",
            f"protocol.window_s={seconds}",
            "--out",
            f"out{seconds}",
            "--json",
        )
        assert ended.status == 0, ended.err
        (folder,) = (tmp_path / f"out{seconds}").iterdir()
        table = pq.read_table(folder / "iterations.parquet").to_pydict()
        ends, loads = np.array(table["end_ns"]), np.array(table["load_id"])
        own = [trial for trial in rows(folder) if trial["runtime"] == "onnxruntime"]
        assert len(own) == 2
        durations[seconds] = [trial["duration_s"] for trial in own]
        for trial in own:
            inside = ends[
                (loads == trial["load_id"]) & (ends > trial["begin_ns"]) & (ends <= trial["end_ns"])
            ]
            # The count is of the iterations that ended inside, and they follow each other from edge to edge:
            # at whatever speed the machine runs that moment, twice the window holds twice the iterations.
            assert trial["iterations"] == len(inside)
            spans_s = np.diff([trial["begin_ns"], *inside, trial["end_ns"]]) / 1e9
            assert trial["latency_p50_s"] == pytest.approx(np.median(spans_s[:-1]), rel=0.1)
            assert spans_s[-1] <= spans_s[:-1].max(), "the load ran on past the window's end"
    # A window may end an iteration or a sensor period late, never early.
    assert min(durations[2]) >= 2 * 0.99
    assert min(durations[4]) >= 4 * 0.99
    assert max(durations[2]) < 3 < max(durations[4]) < 6


@pytest.mark.container
def test_what_answers_while_run_measures_is_a_sealed_container(started, built_docker, short, run_folder):
    process = started("run", "--launcher", "docker", "--rounds", "1", *short, "--set", "protocol.window_s=6")
    wait_for_event(process, run_folder, "load_started")
    deadline = time.monotonic() + 120
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        found = subprocess.check_output(
            ["docker", "ps", "-q", "--filter", "label=greenbench.runtime"], text=True
        ).split()
        time.sleep(0.1)
    assert len(found) == 1, "exactly one runtime is up at a time"
    (inspected,) = json.loads(subprocess.check_output(["docker", "inspect", found[0]]))
    host = inspected["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert inspected["Config"]["User"].split(":")[0] not in {"", "0", "root"}
    assert {mount["Destination"]: mount["RW"] for mount in inspected["Mounts"]} == {
        "/run/greenbench": True,
        "/models": False,
    }
    # The process that answers on the socket is the container's own.
    (folder,) = [
        mount["Source"] for mount in inspected["Mounts"] if mount["Destination"] == "/run/greenbench"
    ]
    until(lambda: Path(folder, "grpc.sock").exists())
    assert Path(folder, "grpc.sock").stat().st_uid == int(inspected["Config"]["User"].split(":")[0])
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{inspected['State']['Pid']}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    left = subprocess.check_output(["docker", "ps", "-q", "--filter", "label=greenbench.runtime"], text=True)
    assert left == "", "containers are stopped when the run ends"


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_keeps_what_is_finished_and_resume_completes_it(
    greenbench, started, built, short, run_folder, launcher
):
    process = started("run", "--launcher", launcher, "--rounds", "2", *short)
    wait_for_event(process, run_folder, "load_finished")
    for _ in range(2):  # as a shell's `timeout` does, and an impatient user
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    folder = run_folder()
    kept = {event["trial"]["trial_id"]: event["trial"] for event in events(folder, "trial")}
    assert kept
    assert len(kept) < 4
    assert {trial["trial_id"] for trial in rows(folder)} == set(kept)
    if launcher == "docker":
        assert not subprocess.check_output(["docker", "ps", "-q", "--filter", "label=greenbench.runtime"])
    ended = greenbench("run", "--launcher", launcher, "--device", "cpu", "--resume", folder.name)
    assert ended.status == 0, ended.err
    finished = {trial["trial_id"]: trial for trial in rows(folder)}
    assert len({(trial["load_id"], trial["window"]) for trial in finished.values()}) == 4
    for trial_id, trial in kept.items():
        assert finished[trial_id]["begin_ns"] == trial["begin_ns"]
        assert finished[trial_id]["throughput_samples_per_s"] == trial["throughput_samples_per_s"]


def test_a_second_run_on_the_same_state_folder_is_refused_with_the_pid(
    greenbench, started, built_venv, short, run_folder
):
    process = started("run", "--launcher", "venv", "--rounds", "1", *short)
    wait_for_event(process, run_folder, "load_started")
    ended = greenbench("run", "--launcher", "venv", *short, "--out", "second")
    assert ended.status == 2
    assert str(process.pid) in ended.err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)


def conversion(state) -> tuple[ModelLibrary, str, Entry]:
    """Return the library, the key and the entry of MobileNetV2 as converted from PyTorch."""
    library = ModelLibrary(state / "models")
    weights = library.need(weights_key("mobilenet_v2", "seeded"), remedy="")
    key = onnx_key("mobilenet_v2", "pytorch", weights.sha256, None)
    return library, key, library.need(key, remedy="")


def perturbed(state, scratch) -> None:
    """Change weights of the ONNX file that ONNX Runtime loads, indexed as if it had been converted so."""
    library, key, entry = conversion(state)
    data = bytearray((library.folder / entry.path).read_bytes())
    # A thousand weights in the middle of the file's tensors, set to one: a valid file of another network.
    place = len(data) // 2 // 4 * 4
    data[place : place + 4000] = np.ones(1000, dtype="<f4").tobytes()
    made = scratch / "mobilenet_v2.onnx"
    made.write_bytes(bytes(data))
    library.adopt(key, made, kind="onnx", origin=entry.origin, maker=entry.maker, elapsed_s=0)


def test_outputs_that_disagree_are_not_timed_and_the_run_says_why(greenbench, built_venv, short, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(built_venv, state, symlinks=True, ignore=shutil.ignore_patterns("run", "lock"))
    perturbed(state, tmp_path)
    ended = greenbench(
        "run",
        "--launcher",
        "venv",
        "--rounds",
        "1",
        *short,
        "--only",
        "runtime=onnxruntime",
        GREENBENCH_STATE=str(state),
    )
    assert ended.status == 1, ended.err
    ((trial),) = rows(next((tmp_path / "results").iterdir()))
    assert trial["verdict"] == "invalid"
    assert [doubt["rule"] for doubt in trial["doubts"]] == ["parity"]
    assert trial["iterations"] is None
    assert "differ from the reference" in ended.out


def test_a_damaged_conversion_is_named_and_refused(greenbench, built_venv, short, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(built_venv, state, symlinks=True, ignore=shutil.ignore_patterns("run", "lock"))
    library, _, entry = conversion(state)
    onnx = library.folder / entry.path
    with onnx.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    ended = greenbench("run", "--launcher", "venv", *short, GREENBENCH_STATE=str(state))
    assert ended.status == 2
    assert onnx.name in ended.err


@pytest.mark.container
def test_a_container_killed_while_it_measures_is_a_failed_trial_and_is_tried_again(
    started, built_docker, short, run_folder
):
    process = started("run", "--launcher", "docker", "--rounds", "1", *short, "--set", "protocol.window_s=8")
    wait_for_event(process, run_folder, "load_started")
    time.sleep(8)
    (container,) = subprocess.check_output(
        ["docker", "ps", "-q", "--filter", "label=greenbench.runtime"], text=True
    ).split()
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    out, _ = process.communicate(timeout=600)
    found = rows(run_folder())
    (failed,) = [trial for trial in found if trial["verdict"] == "failed"]
    assert "137" in failed["failure"]
    (again,) = [trial for trial in found if trial["load_id"] == failed["load_id"] and trial is not failed]
    assert (failed["attempt"], again["attempt"]) == (1, 2)
    assert again["iterations"] > 0
    assert len(found) == 3, "the other load, too, was measured"
    assert process.returncode == int(any(trial["verdict"] == "invalid" for trial in found)), out


def test_the_wheel_alone_is_enough_in_an_empty_folder(built_venv, tmp_path, short):
    source = tmp_path / "source"
    repository = Path(__file__).resolve().parents[2]
    shutil.copytree(
        repository,
        source,
        ignore=shutil.ignore_patterns(".venv*", ".state", ".git", ".gpu", ".mypy_cache"),
    )
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(source)],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    command = str(tmp_path / "env" / "bin" / "greenbench")
    environment = os.environ | {"GREENBENCH_STATE": str(built_venv)}
    for arguments in (
        ["up", "--launcher", "venv", "--device", "cpu"],
        ["run", "--launcher", "venv", "--rounds", "1", *short],
    ):
        done = subprocess.run(
            [command, *arguments], cwd=empty, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (empty / "results").iterdir()
    assert len(rows(folder)) == 2
