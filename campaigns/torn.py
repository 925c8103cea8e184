"""What a machine that loses its power leaves of writes under way: ends cut off, names not yet taken.

Only what no ``fsync`` had finished may be lost: a line beyond the log's last whole one, and files that
still bear their temporary names.
"""

import random
from pathlib import Path

from greenbench.results.durable import TEMPORARY_SUFFIX


def tear(folder: Path, chance: random.Random) -> None:
    """Leave a run's folder as a crash in the middle of its writes leaves it.

    Args:
        folder: Of a run that nobody writes.
        chance: Draws where the cuts are.
    """
    _tear_line(folder / "events.jsonl", chance)
    whole = [
        folder / "manifest.json",
        folder / "trials.parquet",
        *sorted((folder / "parts").glob("*.parquet")),
    ]
    for path in filter(Path.exists, whole):
        data = path.read_bytes()
        torn = path.with_name(path.name + TEMPORARY_SUFFIX)
        torn.write_bytes(data[: chance.randrange(len(data))])


def _tear_line(log: Path, chance: random.Random) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    with log.open("ab") as file:
        if lines and lines[-1].endswith(b"\n"):
            file.write(lines[-1][: chance.randrange(1, len(lines[-1]))])
