"""``torch.compile`` for real: the C++ backend of the CPU, through the engine that a GPU host runs."""

import pytest
from tests.engines.test_parity_of_engines import LIMIT, worst_error

COMPILE = {"mode": "compile"}

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


def test_a_compiled_network_computes_what_the_eager_one_does_without_cuda_graphs(
    compiler, seeded, outputs_of
):
    files = {"weights_file": seeded("mobilenet_v2")["path"]}
    plain, eager = outputs_of("pytorch", "mobilenet_v2", **files)
    said, compiled = outputs_of("pytorch", "mobilenet_v2", order=COMPILE, **files)
    assert worst_error(compiled["output"], eager["output"]) <= LIMIT
    assert said["flags"]["cuda_graphs"] == "False"
    assert "cuda_graphs" not in plain["flags"]
    assert said["parameters"] == plain["parameters"]
