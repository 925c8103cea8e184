"""The short forms of `make kill-campaign` and `make soak-run`, on a real runtime in its environment."""

import os
import tempfile
from pathlib import Path

import pytest
from campaigns.kills import Campaign
from campaigns.site import Site
from campaigns.soak_run import INTERRUPTED, soak
from tests.e2e.conftest import state_root

pytestmark = pytest.mark.runtime


def test_a_run_that_is_killed_and_torn_resumes_whole(tmp_path):
    site = Site(out=tmp_path, state=state_root(), launcher="venv")
    tally = Campaign(site, seed=1, kinds=("controller", "runtime", "torn write")).until(4)
    assert tally.hits >= 4
    assert tally.broken == []


def test_a_run_that_goes_on_and_is_ended_leaves_nothing(monkeypatch):
    monkeypatch.setitem(os.environ, "GREENBENCH_STATE", str(state_root()))
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(Path(folder), launcher="venv", seconds=40)
    assert soaked.loads >= 3
    assert (soaked.failures, soaked.left, soaked.status) == ([], [], INTERRUPTED)
