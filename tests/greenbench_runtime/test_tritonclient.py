"""A client that greenbench did not write gets the values that the host computes.

tritonclient registers descriptors of its own under the same names, so it lives in an environment of its
own: the Python that GREENBENCH_TRITON_PYTHON names, else one that is made here when first needed.
"""

import fcntl
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import perceptron
import pytest

from greenbench_wire import benchmark_pb2 as wire

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "doubles" / "triton_client.py"
FOLDER = ROOT / ".venvs" / "tritonclient"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def triton_python() -> Path:
    """A Python that has tritonclient."""
    named = os.environ.get("GREENBENCH_TRITON_PYTHON")
    if named:
        return Path(named)
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / "tritonclient.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Tests may run in several processes.
        if not has_tritonclient(FOLDER / "bin" / "python"):
            make_environment()
    return FOLDER / "bin" / "python"


def has_tritonclient(python: Path) -> bool:
    if not python.exists():
        return False
    asked = [str(python), "-c", "import tritonclient.grpc"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def make_environment() -> None:
    venv.create(FOLDER, with_pip=True, clear=True)
    install = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "tritonclient[grpc]"]
    done = subprocess.run(install, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"tritonclient cannot be installed: {done.stderr.strip()[-500:]}")


def batch(model: str) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(11)
    if model == "tokens":
        return {
            "input_ids": generator.integers(0, 30_000, (4, 16)),
            "attention_mask": generator.integers(0, 2, (4, 16)),
        }
    shape = (4, 3, 224, 224) if model == "images" else (4, 64)
    return {"input": generator.standard_normal(shape, dtype=np.float32)}


@pytest.mark.parametrize("model", ["perceptron", "images", "tokens"])
def test_values_are_the_hosts_own(client, server, triton_python, tmp_path, model):
    assert sys.executable != str(triton_python)
    inputs = batch(model)
    client.load(model, sequence_length=16 if model == "tokens" else 0)
    np.savez(tmp_path / "asked.npz", **inputs)
    address = server.address
    asked = [
        str(triton_python),
        str(SCRIPT),
        address,
        model,
        str(tmp_path / "asked.npz"),
        str(tmp_path / "answered.npz"),
    ]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(asked, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    expected = perceptron.forward(model, inputs, perceptron.weights(model))
    with np.load(tmp_path / "answered.npz") as answers:
        for kind in ("raw", "typed"):
            error = np.linalg.norm(answers[kind] - expected) / np.linalg.norm(expected)
            assert answers[kind].shape == expected.shape
            assert error < 1e-4, kind
    told = json.loads(done.stdout)
    assert told["live"]
    assert told["ready"]
    assert told["model_ready"]
    assert told["server"] == "greenbench-perceptron"
    assert [name for name, _, _ in told["inputs"]] == list(dict.fromkeys(inputs))
    assert not client.bench.Stop(wire.StopRequest()).running
