"""ONNX files that name bytes outside of their own folder."""

import subprocess
from pathlib import Path

import pytest
from tests.engines.conftest import python_of

pytestmark = pytest.mark.runtime

OPEN = """
import sys
import numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(None, {"input": np.zeros(4, np.float32)})[0].tolist())
"""
CONTENT = b"\0\0\0\0\0\0\x80?\0\0\0@\0\0@@"  # 0, 1, 2, 3 in float32


def part(number: int, value: bytes | int) -> bytes:
    """One field of a protobuf message; lengths here stay below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def vector(name: bytes) -> bytes:
    shape = part(2, part(1, part(1, 4)))
    return part(1, name) + part(2, part(1, part(1, 1) + shape))


def model(location: str) -> bytes:
    """A model that adds four numbers kept at `location` to its input."""
    entries = {b"location": location.encode(), b"length": b"16"}
    external = b"".join(part(13, part(1, key) + part(2, value)) for key, value in entries.items())
    weights = part(1, 4) + part(2, 1) + part(8, b"w") + external + part(14, 1)
    node = part(1, b"input") + part(1, b"w") + part(2, b"output") + part(4, b"Add")
    graph = (part(1, node), part(2, b"g"), part(5, weights), part(11, vector(b"input")))
    body = b"".join((*graph, part(12, vector(b"output"))))
    return (
        part(1, 8) + bytes([7 << 3 | 2, len(body) & 127 | 128, len(body) >> 7]) + body + part(8, part(2, 17))
    )


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for place in (tmp_path / "secret", folder / "inside"):
        place.write_bytes(CONTENT)
    (folder / "link").symlink_to(tmp_path / "secret")
    return folder


def opened(path: Path) -> subprocess.CompletedProcess[str]:
    command = [python_of("onnxruntime"), "-c", OPEN, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_bytes_beside_the_model_are_read(models):
    (models / "model.onnx").write_bytes(model("inside"))
    assert opened(models / "model.onnx").stdout.split("\n")[0] == "[0.0, 1.0, 2.0, 3.0]"


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", "x/../../secret"])
def test_bytes_outside_of_the_folder_are_refused(models, location):
    (models / "model.onnx").write_bytes(model(location))
    ended = opened(models / "model.onnx")
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "External data path" in ended.stderr
