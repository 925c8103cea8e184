"""A long command whose output goes to a log file and, line by line, to whoever watches."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenbench.fleet.pip_settings import without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended and everything it said, without credentials."""

    status: int
    lines: tuple[str, ...]


def run_logged(
    command: Sequence[str],
    *,
    log_path: Path,
    environment: Mapping[str, str],
    heard: Callable[[str], None],
    folder: Path | None = None,
) -> Outcome:
    """Run a command to its end; append both of its outputs to `log_path`.

    Args:
        command: Program and arguments.
        log_path: Log file; its folder exists.
        environment: The whole environment of the command.
        heard: Called with each line.
        folder: Working folder; the current one where None.

    Returns:
        Exit status and lines.
    """
    lines: list[str] = []
    with (
        log_path.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            for raw in process.stdout or ():
                line = without_credentials(raw.rstrip("\n"))
                lines.append(line)
                log.write(line + "\n")
                log.flush()
                heard(line)
        except BaseException:
            process.terminate()
            raise
    return Outcome(status=process.returncode, lines=tuple(lines))
