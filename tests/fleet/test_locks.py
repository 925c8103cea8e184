"""What is installed in runtimes is pinned: by hash wherever one public index serves all of a lock."""

import re
import subprocess
import sys
import zipfile

import pytest

from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog

LOCKS = assets_root() / "docker" / "requirements"
CATALOGUE = read_catalog(assets_root() / "runtimes" / "catalog.toml")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
BUILDS = {
    build.requirements: build.extra_index_url
    for spec in CATALOGUE.values()
    for own in (spec, *spec.builds)
    for build in own.devices.values()
    if not build.brought
}


def requirements(lock):
    """Return name and version -> hashes of a lock's lines, continued ones joined."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {words[0]: HASH.findall(" ".join(words)) for words in lines}


def test_every_lock_belongs_to_a_build():
    assert {path.name for path in LOCKS.glob("*.lock")} == set(BUILDS)


@pytest.mark.parametrize("lock", sorted(BUILDS))
def test_every_package_is_pinned_by_version_and_by_hash_where_one_index_serves_all(lock):
    found = requirements(LOCKS / lock)
    assert found
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^=]+", name) for name in found)
    assert all(bool(hashes) == (BUILDS[lock] is None) for hashes in found.values())


def test_pip_refuses_another_file_of_the_same_version(tmp_path):
    wheel = tmp_path / "flatbuffers-25.12.19-py2.py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("flatbuffers-25.12.19.dist-info/METADATA", "Name: flatbuffers\nVersion: 25.12.19\n")
    lock = tmp_path / "flatbuffers.lock"
    hashes = requirements(LOCKS / "onnxruntime-cpu.lock")["flatbuffers==25.12.19"]
    lock.write_text("flatbuffers==25.12.19 " + " ".join(f"--hash=sha256:{one}" for one in hashes) + "\n")
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--no-index", "--dry-run"]
    environment = {"PATH": ""}
    ended = subprocess.run(
        [*command, "--ignore-installed", "--find-links", str(tmp_path), "-r", str(lock)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert ended.returncode
    assert "DO NOT MATCH THE HASHES" in ended.stderr
