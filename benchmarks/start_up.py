"""Lines about the command itself: how fast it starts, and that the host imports no framework."""

import json
import subprocess
import sys
import time

from benchmarks.lines import Line, Verdict, bound_line
from benchmarks.pairs import centre_of, paired

FRAMEWORKS = ("torch", "transformers", "onnxruntime", "tensorflow", "jax", "mxnet")
START_LIMIT_MS = 150.0
_HELP = "import sys; sys.argv = ['greenbench', '--help']; from greenbench.cli import main; main()"
_LISTING = f"""
import contextlib, importlib, io, json, pkgutil, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    {_HELP}
helped = sorted(sys.modules)
import greenbench
missing = []
for module in pkgutil.walk_packages(greenbench.__path__, "greenbench.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing.append(f"{{module.name}} (no {{error.name}})")
print(json.dumps([helped, sorted(sys.modules), missing]))
"""


def start_lines(pairs: int = 10) -> list[Line]:
    """Compare ``greenbench --help`` with importing Typer alone; list the frameworks that the host imports."""
    _wall_s(_HELP)
    _wall_s("import typer")
    helps, typers = paired(
        lambda: _wall_s(_HELP),
        lambda: _wall_s("import typer"),
        least=pairs,
        most=pairs,
        enough=lambda *_: True,
    )
    extra_ms = centre_of([(one - other) * 1e3 for one, other in zip(helps, typers, strict=True)])
    start = bound_line(
        "`greenbench --help` beyond `import typer`",
        extra_ms,
        limit=START_LIMIT_MS,
        form="{:.0f} ms",
        note=f"{pairs} pairs; typer alone {sorted(typers)[len(typers) // 2] * 1e3:.0f} ms",
    )
    return [start, *_import_lines()]


def _wall_s(program: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - began_s


def _import_lines() -> list[Line]:
    done = subprocess.run([sys.executable, "-c", _LISTING], check=True, capture_output=True, text=True)
    helped, everything, missing = json.loads(done.stdout)
    left_out = f"; not imported here: {', '.join(missing)}" if missing else ""
    return [
        _import_line("frameworks imported by `greenbench --help`", helped),
        _import_line("frameworks imported by every module of the host side", everything, left_out),
    ]


def _import_line(what: str, modules: list[str], left_out: str = "") -> Line:
    found = [name for name in FRAMEWORKS if name in modules]
    return Line(
        what=what,
        figure=", ".join(found) or "none",
        limit="none",
        verdict=Verdict.BEYOND if found else Verdict.WITHIN,
        note=f"{len(modules)} modules{left_out}",
    )
