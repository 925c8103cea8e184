"""The host's effective pip configuration, and how much of it an image build can be handed."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

# Settings that mean the same inside a build, beside those that name places.
_PASSED_ON = ("trusted-host", "timeout", "retries", "proxy", "no-index", "prefer-binary")
_OLD_NAMES = {"default-timeout": "timeout"}
_LINE = re.compile(r"^(?P<section>[^=']+?)\.(?P<key>[\w-]+)=(?P<value>.+)$")
_RANK = {"global": 0, "install": 1, ":env:": 2}
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """Return `text` with every user and password of a URL replaced by asterisks."""
    return _PASSWORD.sub("****@", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipSettings:
    """What the host's pip would use, split by whether a build inside an image can use it too.

    Attributes:
        values: Settings that are written into the build's pip configuration. Holds credentials
            where the host's do: it goes into a BuildKit secret and nowhere else.
        wheel_folders: Local find-links folders, handed as a build context.
        certificate: CA bundle, handed as a BuildKit secret; None where pip uses its own.
        names_a_source: Whether the host names an index or find-links of its own.
        handed_over: A sentence for each thing handed over, without credentials.
        not_handed: A sentence for each thing that is not, with the reason.
    """

    values: Mapping[str, str]
    wheel_folders: tuple[Path, ...]
    certificate: Path | None
    names_a_source: bool
    handed_over: tuple[str, ...]
    not_handed: tuple[str, ...]


def read_pip_settings(python: Path | None = None) -> PipSettings:
    """Ask the host's pip for its effective configuration.

    Args:
        python: The Python whose pip is asked; the running one where None.
    """
    command = [str(python or sys.executable), "-m", "pip", "config", "list"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return _PipReader({}).settings(
            extra=("the host's pip configuration: `python -m pip` does not work in this environment",)
        )
    return parse_pip_settings(answer.stdout)


def parse_pip_settings(listing: str) -> PipSettings:
    """Return the settings that a ``pip config list`` shows; environment over command over global."""
    ranked: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        match = _LINE.match(line)
        if match is None or match["section"] not in _RANK:
            continue
        key, rank = _OLD_NAMES.get(match["key"], match["key"]), _RANK[match["section"]]
        if key not in ranked or rank >= ranked[key][0]:
            ranked[key] = (rank, str(ast.literal_eval(match["value"])))
    return _PipReader({key: value for key, (_, value) in ranked.items()}).settings()


class _PipReader:
    """Sorts one configuration into what is handed over and what is not."""

    def __init__(self, raw: Mapping[str, str]) -> None:
        self._raw = raw
        self._values = {key: raw[key] for key in _PASSED_ON if key in raw}
        self._folders: list[Path] = []
        self._handed: list[str] = []
        self._kept: list[str] = []

    def settings(self, extra: tuple[str, ...] = ()) -> PipSettings:
        self._read_indexes()
        self._read_find_links()
        self._read_constraint()
        certificate = self._certificate()
        return PipSettings(
            values=self._values,
            wheel_folders=tuple(self._folders),
            certificate=certificate,
            names_a_source=any(key in self._raw for key in ("index-url", "extra-index-url", "find-links")),
            handed_over=tuple(self._handed),
            not_handed=(*self._kept, *extra),
        )

    def _read_indexes(self) -> None:
        for key in ("index-url", "extra-index-url"):
            reachable = [url for url in self._raw.get(key, "").split() if self._reachable(key, url)]
            if reachable:
                self._values[key] = "\n".join(reachable)
                shown = ", ".join(without_credentials(url) for url in reachable)
                self._handed.append(f"{key} {shown}, as a secret")

    def _reachable(self, key: str, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            return True
        reason = "lies on this host" if parts.scheme == "file" else "answers on this host only"
        self._kept.append(f"{key} {without_credentials(url)}: it {reason}, a build cannot reach it")
        return False

    def _read_find_links(self) -> None:
        remote: list[str] = []
        for place in self._raw.get("find-links", "").split():
            folder = _local_folder(place)
            if folder is not None and folder.is_dir():
                self._folders.append(folder)
                self._handed.append(f"find-links {folder}, as a build context (only what the lock names)")
            elif folder is None and self._reachable("find-links", place):
                remote.append(place)
                self._handed.append(f"find-links {without_credentials(place)}, as a secret")
            elif folder is not None:
                self._kept.append(f"find-links {folder}: it is no folder")
        if remote:
            self._values["find-links"] = "\n".join(remote)

    def _read_constraint(self) -> None:
        for path in self._raw.get("constraint", "").split():
            self._kept.append(f"constraint {without_credentials(path)}: the lock file names every version")

    def _certificate(self) -> Path | None:
        named = self._raw.get("cert")
        if named is None:
            return None
        path = Path(named).expanduser()
        if not path.is_file() or not os.access(path, os.R_OK):
            self._kept.append(f"cert {path}: it cannot be read")
            return None
        self._handed.append(f"cert {path}, as a secret")
        return path


def _local_folder(place: str) -> Path | None:
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(urlunsplit(("", "", parts.path, "", ""))))
    return None if parts.scheme in ("http", "https") else Path(place).expanduser().absolute()
