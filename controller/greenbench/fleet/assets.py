"""Where the Dockerfile, the compose files, the runtime code and the protos lie."""

from pathlib import Path

import greenbench
from greenbench.core.errors import ConfigurationError


def assets_root() -> Path:
    """Return the folder that holds ``docker/``, ``runtimes/``, ``protos/`` and the compose files.

    In an installed wheel that is ``greenbench/assets``, in a clone the repository's root.

    Raises:
        ConfigurationError: Neither is there: the installation is damaged.
    """
    package = Path(greenbench.__file__).resolve().parent
    for root in (package / "assets", package.parents[1]):
        if (root / "docker" / "Dockerfile").is_file():
            return root
    raise ConfigurationError(
        f"greenbench's own files (docker/Dockerfile) are missing beside {package}; install greenbench again"
    )
