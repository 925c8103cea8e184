"""Reading a build's log: which line says why it failed."""

import re
from collections.abc import Sequence

_PREFIX = re.compile(r"^(#\d+ )?(\d+\.\d+ )?")
_SAID = re.compile(r"^#\d+ \d+\.\d+ .*\S")
_FAILED_STEP = re.compile(r"^(#\d+ )ERROR")
_NO_BASE = re.compile(
    r"failed to resolve source metadata|pull access denied|failed to do request|failed to authorize"
    r"|manifest unknown|: not found$"
)
_LONGEST = 400


def plain_line(line: str) -> str:
    """Return a line of BuildKit's plain output without its step number and time."""
    return _PREFIX.sub("", line.rstrip())


def failing_line(lines: Sequence[str]) -> str:
    """Return the line that says why a build failed.

    That is pip's last ``ERROR:`` line, else the last that the failing step said, else the builder's own.

    Args:
        lines: The whole log.
    """
    step = next((match[1] for line in lines if (match := _FAILED_STEP.match(line))), "")
    said = [line for line in lines if _SAID.match(line) and line.startswith(step)]
    spoken = [line for line in lines if line.strip()] or ["no output"]
    errors = _errors(said) or said or _errors(lines) or spoken
    # Before a traceback pip says no more than that there is one: its last line tells what.
    if errors[-1] == "ERROR: Exception:":
        errors = said or spoken
    return _shortened(plain_line(errors[-1]))


def base_image_refused(lines: Sequence[str], base_image: str) -> str | None:
    """Return the builder's reason where it could not have the base image; None where that was not it."""
    name = base_image.partition("@")[0]
    for line in lines:
        if name in line and _NO_BASE.search(line.rstrip()) and ("ERROR" in line or "failed to solve" in line):
            return _shortened(plain_line(line).rpartition(": ")[2] or line)
    return None


def _errors(lines: Sequence[str]) -> list[str]:
    plain = (plain_line(line) for line in lines)
    return list(dict.fromkeys(line for line in plain if line.startswith(("ERROR:", "error:"))))


def _shortened(text: str) -> str:
    # The middle of pip's longest lines is a list of every version there is.
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"
