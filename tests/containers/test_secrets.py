"""Credentials planted in pip's settings: in no layer, label, log or record of what was built with them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from tests.containers.conftest import LOCK, spec

from greenbench.core.progress import Silence
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, LaunchSettings
from greenbench.fleet.pip_settings import read_pip_settings
from greenbench.fleet.state import StateFolder

PLANTED = "planted-7f3a91"
RUNTIME = spec("guarded")


def holds(chunks: Iterable[bytes], wanted: str) -> bool:
    """Tell whether a stream holds a text, across its chunks too."""
    sought, kept = wanted.encode(), b""
    for chunk in chunks:
        kept = kept[-len(sought) :] + chunk
        if sought in kept:
            return True
    return False


@pytest.fixture
def host(make_assets):
    root = Path(tempfile.mkdtemp(prefix="gb-"))
    root.chmod(0o755)
    yield LaunchSettings(
        state=StateFolder.at(root),
        # A comment of its own, so that no layer comes from another build's cache.
        assets=make_assets(guarded=f"{LOCK}# {root.name}\n"),
        base_image=os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE),
    )
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def index(monkeypatch):
    """Plant credentials in the index that pip asks; indexes without a login do not mind them."""
    found = read_pip_settings().values.get("index-url", "https://pypi.org/simple")
    parts = urlsplit(found)
    planted = urlunsplit(parts._replace(netloc=f"me:{PLANTED}@{parts.netloc.rpartition('@')[2]}"))
    monkeypatch.setenv("PIP_INDEX_URL", planted)
    asked = [sys.executable, "-m", "pip", "config", "list"]
    assert PLANTED in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return planted


def test_an_index_password_is_used_for_the_build_and_is_nowhere_afterwards(host, index, engine):
    launcher = DockerLauncher(host, engine)
    heard = Heard()
    build = launcher.build(RUNTIME, "cpu", heard)
    try:
        assert any("index-url" in note and "****" in note for note in build.notes)
        image = engine.client.images.get(build.identity)
        assert holds(image.save(), "greenbench_runtime")  # it would be found
        assert not holds(image.save(), PLANTED)
        assert PLANTED not in str(image.attrs) + str(image.history())
        told = {str(path): path.read_bytes() for path in host.state.root.rglob("*") if path.is_file()}
        assert any(path.endswith(".log") for path in told)
        assert [path for path, content in told.items() if PLANTED.encode() in content] == []
        assert PLANTED not in "\n".join([*heard.said, *build.notes])
        (container,) = engine.client.containers.list(
            all=True, filters={"label": f"greenbench.state={host.state.identity}"}
        )
        assert PLANTED not in str(container.attrs)
    finally:
        launcher.down(images=True)


class Heard(Silence):
    def __init__(self):
        self.said = []

    def step(self, text):
        self.said.append(text)

    note = step
