"""What `run` looks at before it measures: a host that would void every trial is refused, a doubt is said."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.runtime

ONE_LOAD = (
    "--only",
    "runtime=onnxruntime,model=mobilenet_v2,source=pytorch",
    "--rounds",
    "1",
    "--windows",
    "1",
)
RUN = ("run", "quick", "--launcher", "venv")


@pytest.fixture
def others_compute():
    """Somebody else's program, on one core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


def test_a_run_on_a_host_too_busy_for_its_own_limits_is_refused_in_one_line(
    greenbench, short, others_compute, tmp_path
):
    ended = greenbench(*RUN, *short, *ONE_LOAD, "--set", "validity.busy_host.invalid=0.3")
    assert ended.status == 2
    said = [line for line in ended.err.splitlines() if "busy host" in line]
    assert len(said) == 1
    assert "cores in use by others; stop other work before measuring" in said[0]
    assert "Traceback" not in ended.err
    assert not list(tmp_path.glob("results/*"))


def test_a_doubtful_host_is_said_before_the_run_and_kept_in_its_log(
    greenbench, short, others_compute, tmp_path
):
    # The spinner itself can make the hypervisor steal: that a trial is then invalid is not asked here.
    ended = greenbench(*RUN, *short, *ONE_LOAD)
    assert ended.status in {0, 1}, ended.err
    assert "cores in use by others (stop other work before measuring)" in ended.err
    (log,) = tmp_path.glob("results/*/events.jsonl")
    checks = [json.loads(line) for line in log.read_text().splitlines() if '"check"' in line]
    busy = [check for check in checks if check["name"] == "busy host"]
    assert [check["level"] for check in busy] == ["warn"]
