"""A user's folder of weights that somebody has put a program into."""

import pickle
from pathlib import Path

import pytest

from greenbench.bench.making import Needs, _own_file
from greenbench.core.errors import ConfigurationError


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".ckpt"])
def test_a_pickle_in_the_place_of_weights_is_named_and_never_opened(tmp_path, suffix):
    marker = tmp_path / "ran"
    hostile = tmp_path / f"resnet50{suffix}"
    hostile.write_bytes(pickle.dumps(Evil(marker)))
    needs = Needs(models=("resnet50",), weights_from=str(tmp_path), sequence_lengths=(), threads=1)
    with pytest.raises(ConfigurationError) as raised:
        _own_file("resnet50", needs)
    assert "\n" not in str(raised.value)
    assert str(hostile) in str(raised.value)
    assert "resnet50.safetensors" in str(raised.value)
    assert not marker.exists()
    pickle.loads(hostile.read_bytes())  # noqa: S301 - our own, to see that it bites
    assert marker.exists()  # the pickle was a real one
