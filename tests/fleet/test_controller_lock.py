"""What the controller is installed from: every dependency of the wheel, pinned by version and hash."""

import re
import tomllib

from packaging.requirements import Requirement
from tests.fleet.test_locks import HASH

from greenbench.fleet.assets import assets_root

ROOT = assets_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned() -> dict[str, list[tuple[Requirement, list[str]]]]:
    """Return normalised name -> each line's requirement and hashes."""
    text = (ROOT / "controller" / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[tuple[Requirement, list[str]]]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line.split("--hash")[0])
            found.setdefault(normal(requirement.name), []).append((requirement, HASH.findall(line)))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_line_names_one_version_and_its_files_hashes():
    found = pinned()
    assert len(found) > len(PROJECT["dependencies"])
    for lines in found.values():
        for requirement, hashes in lines:
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert "*" not in specifier.version
            assert hashes


def test_the_lock_holds_what_the_wheel_asks_for():
    found = pinned()
    for text in PROJECT["dependencies"]:
        asked = Requirement(text)
        versions = [next(iter(one.specifier)).version for one, _ in found[normal(asked.name)]]
        assert versions, asked
        assert all(asked.specifier.contains(version) for version in versions), (asked, versions)
