"""A user's folder of weights that somebody has put a program into."""

import pickle
from pathlib import Path

import pytest
from tests.bench.test_planning import spec

from greenbench.bench.making import Needs, _own_file
from greenbench.core.errors import ConfigurationError
from greenbench.core.workload import Workload


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize(("weights", "name"), [("matched", "resnet50"), ("native", "tensorflow-resnet50")])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".ckpt"])
def test_a_pickle_in_the_place_of_weights_is_named_and_never_opened(tmp_path, suffix, weights, name):
    marker = tmp_path / "ran"
    hostile = tmp_path / f"{name}{suffix}"
    hostile.write_bytes(pickle.dumps(Evil(marker)))
    needs = Needs(models=("resnet50",), weights_from=str(tmp_path), sequence_lengths=(), threads=1)
    load = Workload(model="resnet50", batch_size=8, precision="fp32", sequence_length=None, weights=weights)
    with pytest.raises(ConfigurationError) as raised:
        _own_file(load, needs, spec("tensorflow"))
    assert "\n" not in str(raised.value)
    assert str(hostile) in str(raised.value)
    assert f"{name}.safetensors" in str(raised.value)
    assert not marker.exists()
    pickle.loads(hostile.read_bytes())  # noqa: S301 - our own, to see that it bites
    assert marker.exists()  # the pickle was a real one
