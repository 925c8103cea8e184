"""Runs by name: new ids, and the folder of a run that is there."""

import secrets
from datetime import datetime
from pathlib import Path

from greenbench.core.errors import ConfigurationError

MANIFEST = "manifest.json"


def new_run_id(suite_name: str, now: datetime) -> str:
    """Return a run id: UTC stamp, suite, four hexadecimal digits by chance."""
    return f"{now:%Y%m%dT%H%M%SZ}-{suite_name}-{secrets.token_hex(2)}"


def find_run(run: str | Path, out: Path) -> Path:
    """Return the folder of a run.

    Args:
        run: Its id or its folder.
        out: Parent of the folders of runs.

    Raises:
        ConfigurationError: There is no such run; names the newest there are.
    """
    for path in (Path(run), out / run):
        if (path / MANIFEST).is_file():
            return path
    known = known_runs(out)
    hint = f"the newest in {out} are {', '.join(known[:3])}" if known else f"there are no runs in {out}"
    raise ConfigurationError(f"there is no run {str(run)!r}; {hint}")


def known_runs(out: Path) -> tuple[str, ...]:
    """Return the ids of the runs in a folder, the newest first."""
    return tuple(sorted((item.parent.name for item in out.glob(f"*/{MANIFEST}")), reverse=True))


def newest_run(out: Path) -> Path:
    """Return the folder of the newest run.

    Raises:
        ConfigurationError: There is none in `out`.
    """
    known = known_runs(out)
    if not known:
        raise ConfigurationError(
            f"there are no runs in {out}; `greenbench run` makes one, --out names another folder"
        )
    return out / known[0]
