"""``python -m greenbench_runtime``: one engine, served until SIGTERM or Ctrl-C.

Exit status: 0 ended when asked, 2 wrong usage or an address that can't be had, 3 the engine can't start,
4 the GPU's context is lost: no call of this process can use it again, and a new process can.
"""

import argparse
import importlib
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from greenbench_runtime.ending import Ending
from greenbench_runtime.folders import remove_own_folder
from greenbench_runtime.server import AddressError, Places, serving
from greenbench_runtime.session import EngineParts, Session

ENGINES = "greenbench_runtime.engines"
CLOSE_S = 5.0
"""How long the engine may take to free its model at the end, seconds."""


LOST_CONTEXT = 4
"""Exit status of a process whose GPU context is lost."""


class EngineStartError(Exception):
    """An engine that can't be imported or made; one line that names what is missing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one engine; return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        session = _session(options.engine, options.device)
        # Frameworks set handlers of their own when they are imported: ours come after.
        return _serve(session, _places(options), Ending())
    except AddressError as error:
        return _refused(error, status=2)
    except EngineStartError as error:
        return _refused(error, status=3)
    except KeyboardInterrupt:
        return 0


def _serve(session: Session, places: Places, ending: Ending) -> int:
    lost = threading.Event()

    def end_without_gpu() -> None:
        lost.set()
        ending.set()

    try:
        with serving(session, places, on_lost_context=end_without_gpu) as address:
            _say(f"serving {session.facts.runtime} at {address}")
            ending.wait()
    finally:
        # Freeing what lay in a lost context fails once more, or never returns.
        if not lost.is_set():
            session.close(deadline_s=CLOSE_S)
    return LOST_CONTEXT if lost.is_set() else 0


def _session(name: str, device: str) -> Session:
    if device == "cpu":
        # No CUDA context comes up by accident: it would draw power while the CPU is measured.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        return Session(_engine_parts(name), device=device)
    except EngineStartError:
        raise
    except Exception as error:
        raise EngineStartError(f"engine {name} cannot start: {type(error).__name__}: {error}") from error


def _engine_parts(name: str) -> EngineParts:
    module_name = f"{ENGINES}.{name}"
    if not name.isidentifier():
        raise EngineStartError(f"there is no engine {name!r} in this runtime")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name in (module_name, ENGINES):
            raise EngineStartError(f"there is no engine {name!r} in this runtime") from error
        raise EngineStartError(
            f"engine {name} needs the library {error.name}, which is not installed here; "
            "install this runtime's requirements"
        ) from error
    except Exception as error:
        raise EngineStartError(
            f"engine {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return EngineParts(
        engine=module.engine,
        weights_maker=getattr(module, "weights_maker", None),
        converter=getattr(module, "converter", None),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="greenbench_runtime", description="Serve one engine over gRPC.")
    parser.add_argument("--engine", required=True, help="module in greenbench_runtime.engines, e.g. pytorch")
    parser.add_argument("--address", required=True, help="unix:PATH or HOST:PORT")
    parser.add_argument("--models", required=True, type=Path, help="folder that requests' files are in")
    parser.add_argument("--outbox", required=True, type=Path, help="folder that made files are written to")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what loads may ask for")
    return parser


def _places(options: argparse.Namespace) -> Places:
    return Places(address=options.address, models=options.models, outbox=options.outbox)


def _refused(error: Exception, *, status: int) -> int:
    _say(" ".join(str(error).split()))
    return status


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _run() -> None:
    status = main()
    remove_own_folder()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: Python would wait for an engine that hangs in its framework.
    os._exit(status)


if __name__ == "__main__":
    _run()
