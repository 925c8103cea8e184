"""The benchmark of greenbench's own cost starts its subject as `up` left it: both loops of a real runtime."""

import pytest
from benchmarks.subject import opened
from tests.e2e.conftest import state_root

from greenbench.bench.context import Options, open_context

pytestmark = pytest.mark.runtime


def test_both_loops_of_a_real_runtime_run():
    options = Options(state=state_root(), launcher="venv", device="cpu")
    with open_context(options) as context, opened(context, "onnxruntime", "mobilenet_v2", 1) as subject:
        costs = [subject.bare(1.0), subject.server(1.0), subject.recorded(1.0)]
        burnt = subject.bare(1.0, extra_s=0.1)
    assert all(0 < cost.median_s < 1 for cost in costs)
    assert burnt.median_s > 0.1
