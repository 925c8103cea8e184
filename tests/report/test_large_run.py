"""The benchmark of a large run, on a small one: its limits, and what it says of each that is passed."""

import subprocess
import sys

import pytest
from benchmarks.large_run import LIMIT_MIB, passed_limits

from greenbench.fleet.assets import assets_root


def test_a_limit_that_is_passed_is_named_with_what_was_measured():
    assert passed_limits("report", seconds=2.0, limit_s=2.0, peak_mib=LIMIT_MIB) == []
    slow, large = passed_limits("report", seconds=2.5, limit_s=2.0, peak_mib=1500.0, limit_mib=1024.0)
    assert slow == "report took 2.5 s, the limit is 2 s"
    assert large == "report held 1500 MiB, the limit is 1024 MiB"


@pytest.mark.browser
def test_a_small_run_is_measured_and_a_limit_ends_with_status_1(chromium_path, kept):
    # A process of its own: it drives its browser by itself, and its commands' memory is not this one's.
    asked = ("--readings", "2000", "--from", str(kept), "--limit-mib", "1")
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.large_run", *asked],
        capture_output=True,
        text=True,
        check=False,
        cwd=assets_root(),
    )
    assert ended.returncode == 1, ended.stderr
    said = ended.stdout
    assert "2,000 readings" in said
    names = ["report (terminal)", "report --html", "report --figures", "query, a group by", "export, CSV"]
    for name in names:
        assert f"| {name}" in said
        assert f"limit passed: {name}" in said
    assert "Chromium opens and draws it in" in said
