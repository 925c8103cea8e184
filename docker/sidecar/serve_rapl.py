"""Serve RAPL's counters over a Unix socket: runs as root in a sealed container, with Python's library alone.

It connects to the socket that it is handed, so that nothing but the socket's owner can ask. One line in: a
zone's folder name, such as ``intel-rapl:0``. One line out: microjoules, or ``!`` and why not. It reads
``energy_uj`` of the zones that stood at its start and nothing else, and it ends when the other side hangs up.
"""  # noqa: INP001 - one file of an image, not a package

import socket
import sys
from pathlib import Path


def counters(root: Path) -> dict[str, Path]:
    """Return the counters below a powercap tree by their zones' folder names."""
    files = root.rglob("energy_uj")
    return {file.parent.name: file for file in files if file.parent.name.startswith("intel-rapl:")}


def answer(request: str, known: dict[str, Path]) -> str:
    """Return microjoules of the zone that is asked for, or ``!`` and the reason."""
    file = known.get(request)
    if file is None:
        return f"!no zone {request[:80]!r}; there are {', '.join(sorted(known)) or 'none'}"
    try:
        return str(int(file.read_text()))
    except (OSError, ValueError) as error:
        return f"!{file.parent.name}: {error}"


def main(root: str, address: str) -> None:
    """Answer until the other side hangs up."""
    known = counters(Path(root))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(address)
        with line.makefile("rw", encoding="utf-8", newline="\n") as talk:
            for request in talk:
                talk.write(answer(request.strip(), known) + "\n")
                talk.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
