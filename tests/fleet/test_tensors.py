"""What a runtime answers is believed only as far as it adds up."""

import numpy as np
import pytest

from greenbench.core.errors import RuntimeCallError
from greenbench.fleet.tensors import assemble, chunks, output_of
from greenbench_wire import benchmark_pb2 as wire


def answered(shape, data, datatype="FP32"):
    spec = wire.TensorSpec(name="output", datatype=datatype, shape=shape)
    return dict(assemble([wire.TensorChunk(spec=spec, data=data, last=True)]))


def test_what_is_cut_comes_back():
    given = {"output": np.arange(6, dtype=np.float32).reshape(2, 3)}
    assert (output_of(dict(assemble(chunks(given)))) == given["output"]).all()


@pytest.mark.parametrize("shape", [[-2, -3], [2, 4], [-1], [1 << 40, 1 << 40], [6, 0]])
def test_a_shape_that_the_bytes_do_not_fill_is_named(shape):
    with pytest.raises(RuntimeCallError, match=r"24 bytes for tensor 'output' \(FP32, \[") as caught:
        answered(shape, bytes(24))
    assert caught.value.code == "DATA_LOSS"


def test_a_type_that_the_wire_does_not_know_is_named():
    with pytest.raises(RuntimeCallError, match="COMPLEX"):
        answered([6], bytes(24), "COMPLEX")


@pytest.mark.parametrize(("outputs", "said"), [({"logits": np.zeros(2)}, "'logits'"), ({}, "no tensor")])
def test_an_answer_without_the_output_fails_the_call_not_the_run(outputs, said):
    with pytest.raises(RuntimeCallError, match=f"answered {said} where 'output' was asked for"):
        output_of(outputs)
