"""What an image build is handed beside the lock file: pip's configuration, a CA bundle, wheels."""

import configparser
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from greenbench.fleet.inventory import is_for_cpu
from greenbench.fleet.pip_settings import PipSettings

CERTIFICATE_IN_BUILD = "/run/secrets/pip_cert"
WHEELS_IN_BUILD = "/wheels"
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInputs:
    """Files of one build.

    Attributes:
        configuration: pip's configuration inside the build; readable by its owner only.
        certificate: CA bundle, empty where none is handed.
        wheels: Folder of the wheels that the lock names, empty where there are none.
    """

    configuration: Path
    certificate: Path
    wheels: Path


def write_build_inputs(
    settings: PipSettings, *, folder: Path, lock: Path, extra_index_url: str | None, device: str
) -> BuildInputs:
    """Lay out what one build is handed, replacing what was laid out before.

    Args:
        settings: The host's pip settings.
        folder: Where to write; made where it is missing.
        lock: The lock file, which says whose wheels are handed.
        extra_index_url: The catalogue's index for this build; used only where the host names no source.
        device: ``cpu`` or ``cuda``; a wheel that says it is for the CPU is not handed to a CUDA build, where
            pip would take it for the newer one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    _hand_wheels(settings.wheel_folders, wheels, names=locked_names(lock), device=device)
    configuration, certificate = folder / "pip.conf", folder / "cert.pem"
    _write_private(certificate, settings.certificate.read_text() if settings.certificate else "")
    values = dict(settings.values)
    if extra_index_url and not settings.names_a_source:
        values["extra-index-url"] = extra_index_url
    values["find-links"] = "\n".join([WHEELS_IN_BUILD, *values.get("find-links", "").split()])
    if settings.certificate:
        values["cert"] = CERTIFICATE_IN_BUILD
    _write_configuration(configuration, values)
    return BuildInputs(configuration=configuration, certificate=certificate, wheels=wheels)


def locked_names(lock: Path) -> frozenset[str]:
    """Return the normalised names of the projects that a lock file names."""
    lines = (
        line for line in lock.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    return frozenset(_normalised(match[1]) for line in lines if (match := _NAME.match(line)))


def file_hash(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_hash(paths: Iterable[Path], *, seed: str = "") -> str:
    """Return a SHA-256 (hex) over names and contents of files and folders, compiled files left out."""
    digest = hashlib.sha256(seed.encode())
    for path in paths:
        for file in _files(path):
            digest.update(f"{file.relative_to(path.parent)}\0{file_hash(file)}\0".encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def _hand_wheels(sources: Iterable[Path], target: Path, *, names: frozenset[str], device: str) -> None:
    for source in sources:
        for file in sorted(source.iterdir()):
            name, _, rest = file.name.partition("-")
            wrong = device == "cuda" and is_for_cpu(unquote(rest.partition("-")[0]))
            if _normalised(name) in names and not wrong and not (target / file.name).exists():
                _link(file, target / file.name)


def _link(source: Path, target: Path) -> None:
    try:
        # Wheels are large: a hard link costs nothing where both lie on one file system.
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_configuration(path: Path, values: dict[str, str]) -> None:
    parser = configparser.RawConfigParser()
    parser["global"] = values
    _write_private(path, "")
    with path.open("w", encoding="utf-8") as stream:
        parser.write(stream)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
