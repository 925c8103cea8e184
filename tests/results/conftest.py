from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from greenbench.bench.suites import load_suite
from greenbench.core.doubt import Verdict
from greenbench.core.reading import Series
from greenbench.core.trial import Trial
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import Manifest
from greenbench.results.parts import IterationTable


def trial(**values):
    base = {
        "run_id": "run",
        "trial_id": "r01.c.a1.w1",
        "cell_id": "c",
        "load_id": "r01.c",
        "round": 1,
        "window": 1,
        "attempt": 1,
        "position": 0,
        "host_id": "h",
        "gpu_uuid": None,
        "runtime": "pytorch",
        "mode": "eager",
        "source": None,
        "model": "mobilenet_v2",
        "precision": "fp32",
        "batch_size": 1,
        "sequence_length": None,
        "weights": "matched",
        "weights_from": "seeded",
        "path": "loop",
        "io": "device",
        "device": "cpu",
        "threads": 2,
        "verdict": Verdict.VALID,
    }
    return Trial(**(base | values))


def manifest(run_id="run", order=("r01.c", "r02.c")):
    suite = load_suite("quick")
    return Manifest(
        run_id=run_id,
        created_utc=datetime(2026, 1, 2, tzinfo=UTC).isoformat(),
        greenbench_version="0.1.0",
        suite=suite.as_mapping(),
        suite_sha256=suite.sha256,
        seed=7,
        order=order,
        host={"host_id": "h"},
        device="cpu",
    )


def series(stream="instant", count=3, unit="W"):
    begin = np.arange(count, dtype=np.int64) * 100
    return Series(
        stream=stream, unit=unit, t_before_ns=begin, t_after_ns=begin + 5, value=np.linspace(1.0, 2.0, count)
    )


def iterations(load_id="r01.c", count=4):
    return IterationTable(load_id=load_id, end_ns=np.arange(count, dtype=np.int64) * 7)


@pytest.fixture
def run(tmp_path: Path):
    with RunFolder.create(tmp_path, "run", manifest()) as folder:
        yield folder


@pytest.fixture
def make():
    """Builders of made-up records."""
    return type(
        "Make",
        (),
        {
            "trial": staticmethod(trial),
            "manifest": staticmethod(manifest),
            "series": staticmethod(series),
            "iterations": staticmethod(iterations),
        },
    )
