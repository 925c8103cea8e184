import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenbench.bench.inputs import GOLDEN_ROWS, batch
from greenbench.fleet.catalog import read_catalog

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = read_catalog(ROOT / "runtimes" / "catalog.toml")
LENGTH = {"bert_base": 64}
COMPILERS = ("c++", "g++", "clang++")
Driver = Callable[..., dict[str, Any]]


def python_of(runtime: str) -> str:
    """Find a runtime's own Python: the variable, then what `greenbench up --launcher venv` made."""
    variable = f"GREENBENCH_{runtime.upper().replace('-', '_')}_PYTHON"
    if given := os.environ.get(variable):
        return given
    state = Path(os.environ.get("GREENBENCH_STATE", ROOT / ".state"))
    found = sorted(state.glob(f"venvs/{runtime}-cpu-*/bin/python"), key=lambda path: path.lstat().st_mtime)
    if found:
        return str(found[-1])
    reason = f"no Python with {runtime}; set {variable}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def drive(tmp_path_factory) -> Driver:
    folder = tmp_path_factory.mktemp("drive")

    def run(runtime: str, step: str, **given: Any) -> dict[str, Any]:
        arguments = folder / "arguments.json"
        arguments.write_text(json.dumps(given, default=str))
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "runtimes"),
            "PYTHONWARNINGS": "error::UserWarning",
        }
        command = [python_of(runtime), str(ROOT / "tests/engines/drive.py"), step, runtime, str(arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        lines = done.stdout.splitlines()
        assert len(lines) == 1, "an engine prints nothing"
        return json.loads(lines[0])

    return run


@pytest.fixture(scope="session")
def golden(tmp_path_factory) -> Callable[..., Path]:
    """Return the file with a model's real inputs."""
    folder = tmp_path_factory.mktemp("inputs")

    def make(model: str, rows: int = GOLDEN_ROWS) -> Path:
        path = folder / f"{model}-{rows}.npz"
        np.savez(path, **batch(model, rows, LENGTH.get(model)))
        return path

    return make


@pytest.fixture(scope="session")
def seeded(tmp_path_factory, drive, golden) -> Callable[[str], dict[str, Any]]:
    """Return a model's seeded canonical weights, made once."""
    made: dict[str, dict[str, Any]] = {}

    def make(model: str) -> dict[str, Any]:
        if model not in made:
            outbox = tmp_path_factory.mktemp("weights")
            made[model] = drive(
                "pytorch", "prepare", model=model, seed=7, calibration=golden(model), outbox=outbox
            )
        return made[model]

    return make


@pytest.fixture(scope="session")
def converted(tmp_path_factory, drive, seeded) -> Callable[[str], dict[str, Any]]:
    """Return a model's ONNX file from its seeded weights, made once."""
    made: dict[str, dict[str, Any]] = {}

    def make(model: str) -> dict[str, Any]:
        if model not in made:
            outbox = tmp_path_factory.mktemp("onnx")
            made[model] = drive(
                "pytorch", "convert", model=model, weights_file=seeded(model)["path"],
                sequence_length=LENGTH.get(model, 0), outbox=outbox,
            )  # fmt: skip
        return made[model]

    return make


@pytest.fixture
def outputs_of(tmp_path, drive, golden) -> Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Run a model in a runtime on its golden rows; return what it says and its outputs."""

    def run(runtime: str, model: str, rows: int = GOLDEN_ROWS, **files: Any):
        mode = CATALOGUE[runtime.partition("-")[0]].modes_on("cpu")[0]
        order = {
            "model": model, "batch_size": rows, "sequence_length": LENGTH.get(model, 0),
            "mode": mode, "threads": 2,
        } | files.pop("order", {})  # fmt: skip
        path = tmp_path / f"{runtime}-{rows}.npz"
        inputs = files.pop("inputs", None) or golden(model, rows)
        said = drive(runtime, "infer", order=order, inputs=inputs, outputs=path, **files)
        return said, dict(np.load(path)) if "error" not in said else {}

    return run


@pytest.fixture
def compiler() -> None:
    """Skip a test of ``torch.compile`` where nothing compiles C++."""
    if not any(map(shutil.which, COMPILERS)):
        assert os.environ.get("CI") != "true", "torch.compile needs a compiler of C++"
        pytest.skip("torch.compile needs a compiler of C++")
