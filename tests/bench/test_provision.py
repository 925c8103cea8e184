import pytest
from tests.bench.test_planning import CATALOGUE, spec, suite

from greenbench.bench.provision import runtimes_of

MORE = CATALOGUE | {"tensorflow": spec("tensorflow", converts=True)}


@pytest.mark.parametrize(
    ("matrix", "runtimes"),
    [
        ({"runtime": ["pytorch"]}, ("pytorch",)),
        ({"runtime": ["onnxruntime"]}, ("onnxruntime", "pytorch")),
        ({"runtime": ["onnxruntime"], "source": ["tensorflow"]}, ("onnxruntime", "tensorflow")),
        ({"runtime": ["pytorch"], "source": ["tensorflow"]}, ("pytorch",)),
        ({"runtime": ["pytorch", "mxnet"]}, ("pytorch",)),
    ],
)
def test_a_suite_needs_its_runtimes_and_those_that_convert_for_them(matrix, runtimes):
    assert runtimes_of(suite(**matrix), MORE) == runtimes
