"""The benchmark of greenbench's own cost starts its subject as `up` left it: both loops of a real runtime."""

import pytest
from benchmarks.slices import Plan, burnt
from benchmarks.subject import opened
from tests.e2e.conftest import state_root

from greenbench.bench.context import Options, open_context

pytestmark = pytest.mark.runtime


def test_both_loops_of_a_real_runtime_run():
    options = Options(state=state_root(), launcher="venv", device="cpu")
    with open_context(options) as context, opened(context, "onnxruntime", "mobilenet_v2", 1) as subject:
        costs = [subject.bare(1.0), subject.server(1.0), subject.recorded(1.0)]
        slow = subject.bare(1.0, extra_s=0.1)
        half, expected = burnt(subject, Plan(blocks=5, slice_s=0.6, guard_s=0.05), extra_s=0.03)
    assert all(0 < cost.median_s < 1 for cost in costs)
    assert slow.median_s > 0.1
    # A pass takes milliseconds on anything that runs this: 0.03 s more in half the slices is much of one.
    assert half.low > 1
    assert half.point == pytest.approx(1 + expected, rel=0.3)


@pytest.mark.parametrize("runtime", ["pytorch", "onnxruntime", "tensorflow", "jax", "mxnet"])
def test_a_script_of_the_frameworks_own_calls_runs_what_the_server_loaded(runtime):
    options = Options(state=state_root(), launcher="venv", device="cpu")
    with open_context(options) as context, opened(context, runtime, "mobilenet_v2", 1) as subject:
        subject.warm_up()
        script, server = subject.script(2.0), subject.server(2.0)
        slow = subject.script(2.0, extra_s=0.1)
    # The same forward pass, not its enqueueing: other work on the machine makes nothing ten times slower.
    assert 0.1 < script.median_s / server.median_s < 10
    assert slow.median_s > 0.1
