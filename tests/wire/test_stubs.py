"""The committed stubs are what the pinned grpcio-tools makes of the protos."""

import hashlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from greenbench_wire import benchmark_pb2, inference_pb2, schema_fingerprint

PROTOS = Path(__file__).parents[2] / "protos"
PINNED = "1.76.0"


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert version("grpcio-tools") == PINNED
    made = tmp_path_factory.mktemp("stubs")
    outputs = [f"--{kind}={made}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    protos = [str(path.relative_to(PROTOS)) for path in sorted(PROTOS.rglob("*.proto"))]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS), *outputs, *protos], check=True
    )
    return made


def test_every_stub_is_as_generated(regenerated: Path):
    made = {str(path.relative_to(regenerated)) for path in regenerated.rglob("*.py*")}
    committed = {
        str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*_pb2*.py*") if path.suffix != ".pyc"
    }
    assert made == committed
    assert len(made) == 6
    for name in sorted(made):
        assert (PROTOS / name).read_bytes() == (regenerated / name).read_bytes(), (
            f"{name} is not as generated"
        )


def test_the_fingerprint_covers_both_schemas():
    both = inference_pb2.DESCRIPTOR.serialized_pb + benchmark_pb2.DESCRIPTOR.serialized_pb
    assert schema_fingerprint() == hashlib.sha256(both).hexdigest()


def test_the_open_inference_protocol_keeps_its_published_numbers():
    numbers = {field.name: field.number for field in inference_pb2.ModelInferRequest.DESCRIPTOR.fields}
    assert numbers == {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4,
        "inputs": 5, "outputs": 6, "raw_input_contents": 7,
    }  # fmt: skip
