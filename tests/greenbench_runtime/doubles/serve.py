"""Serves the engines of this folder exactly as ``python -m greenbench_runtime`` does its own."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
sys.path[:0] = [str(ROOT / "runtimes"), str(ROOT / "protos")]

import greenbench_runtime.engines  # noqa: E402
from greenbench_runtime.__main__ import _run  # noqa: E402

greenbench_runtime.engines.__path__.append(str(FOLDER))
_run()
