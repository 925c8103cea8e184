"""What is installed in a runtime's Python, asked of that Python itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from greenbench.core.errors import BuildError
from greenbench.fleet.launcher import Build

INVENTORY_SCRIPT = (
    "import json, platform; from importlib import metadata; "
    "print(json.dumps({'python': platform.python_version(), 'packages': "
    "{d.name: d.version for d in metadata.distributions()}}))"
)
"""Program that prints the inventory of the Python that runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """A Python's version and its packages by name."""

    python: str
    packages: Mapping[str, str]


def parse_inventory(text: str, *, source: str) -> Inventory:
    """Return the inventory that `INVENTORY_SCRIPT` printed.

    Raises:
        BuildError: It printed something else; `source` names what was asked.
    """
    try:
        answer = json.loads(text)
        packages = {str(name): str(version) for name, version in sorted(answer["packages"].items())}
        return Inventory(python=str(answer["python"]), packages=packages)
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{source} did not tell its packages, it said: {text[:200]!r}") from error


def is_for_cpu(version: str) -> bool:
    """Tell whether a version's local part says that it was built for the CPU (``2.13.0+cpu``)."""
    return version.endswith("+cpu")


def check_device(held: Inventory, device: str, *, source: str) -> None:
    """Refuse a CUDA build that got a framework's build for the CPU: pip takes what an index serves.

    Raises:
        BuildError: There is one; names it, and the remedy.
    """
    if device != "cuda":
        return
    wrong = [f"{name} {version}" for name, version in held.packages.items() if is_for_cpu(version)]
    if wrong:
        raise BuildError(
            f"{source} is for cuda and holds {', '.join(wrong)}, a build for the CPU; take the index or "
            "find-links that serves it out of pip's configuration, or adopt an environment with --env"
        )


def save_build(build: Build, path: Path) -> None:
    """Keep a build's facts; a reader sees the old file or the new one, never half of one."""
    facts = asdict(build) | {"log_path": str(build.log_path) if build.log_path else None}
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    draft.replace(path)


def load_build(path: Path, *, identity: str) -> Build | None:
    """Return the facts kept at `path` where they are of the build that `identity` names."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        log_path = Path(facts.pop("log_path")) if facts["log_path"] else facts.pop("log_path")
        kept = Build(**facts | {"log_path": log_path, "notes": tuple(facts["notes"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or of another version of greenbench: it is asked anew
    return kept if kept.identity == identity else None
