"""The state folder: one per host, holding what `greenbench up` makes."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from greenbench.core.errors import ConfigurationError
from greenbench.core.writing import kept_in

SOCKET_PATH_LIMIT_BYTES = 107
"""Longest path of a Unix socket on Linux, without its closing zero byte."""


def default_state_root() -> Path:
    """Return this user's folder for greenbench's state, where ``GREENBENCH_STATE`` names none."""
    return platformdirs.user_data_path("greenbench")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFolder:
    """Names the places inside one state folder; makes nothing until asked.

    Attributes:
        root: Absolute path of the folder.
    """

    root: Path

    @classmethod
    def at(cls, root: Path | None) -> "StateFolder":
        """Return the state folder at `root`, or at the default where it is None."""
        return cls(root=(root or default_state_root()).expanduser().absolute())

    @property
    def identity(self) -> str:
        """Eight hexadecimal digits by which containers are known to belong to this folder."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def lock(self) -> Path:
        """The file that a measuring run locks."""
        return self.root / "lock"

    @property
    def models(self) -> Path:
        """Weights, converted models and reference outputs; read-only inside containers."""
        return self.root / "models"

    @property
    def venvs(self) -> Path:
        """Virtual environments of the ``venv`` launcher."""
        return self.root / "venvs"

    @property
    def logs(self) -> Path:
        """Build logs, and the output of runtimes under the ``venv`` launcher."""
        return self.root / "logs"

    @property
    def calibration(self) -> Path:
        """Sensor periods by GPU and driver."""
        return self.root / "calibration"

    @property
    def builds(self) -> Path:
        """What was built: facts per runtime and device, and what builds are handed."""
        return self.root / "builds"

    @property
    def images(self) -> Path:
        """The list of images that were pushed to a registry."""
        return self.root / "images.json"

    @property
    def bytecode(self) -> Path:
        """Compiled Python of adopted environments."""
        return self.root / "bytecode"

    def run(self, runtime: str) -> Path:
        """Return the folder that a runtime may write: its socket and its outbox."""
        return self.root / "run" / runtime

    def outbox(self, runtime: str) -> Path:
        """Return the folder where a runtime leaves the files it made."""
        return self.run(runtime) / "outbox"

    def socket(self, runtime: str) -> Path:
        """Return the path of a runtime's socket.

        Raises:
            ConfigurationError: The path is longer than Linux allows for a socket.
        """
        path = self.run(runtime) / "grpc.sock"
        length = len(os.fsencode(path))
        if length > SOCKET_PATH_LIMIT_BYTES:
            raise ConfigurationError(
                f"the socket path {path} has {length} bytes, Linux allows {SOCKET_PATH_LIMIT_BYTES}; "
                "set GREENBENCH_STATE to a shorter folder"
            )
        return path

    def address(self, runtime: str) -> str:
        """Return the gRPC address of a runtime's socket."""
        return f"unix:{self.socket(runtime)}"

    def create(self) -> None:
        """Make the folder and the places inside it that do not belong to one runtime.

        Raises:
            ConfigurationError: The folder cannot be made or written.
        """
        try:
            for folder in (self.models, self.venvs, self.logs, self.calibration, self.builds):
                folder.mkdir(parents=True, exist_ok=True)
            # A container's user is another one where the caller is root: it must be able to read models.
            self.models.chmod(0o755)
        except OSError as error:
            raise ConfigurationError(
                f"the state folder {self.root} cannot be written: {error.strerror}; "
                "set GREENBENCH_STATE to a folder that can"
            ) from error

    def prepare_run(self, runtime: str, *, owner: tuple[int, int] | None = None) -> Path:
        """Make a runtime's own folder, closed to everybody but its owner, without an old socket.

        Args:
            runtime: Name in the catalogue.
            owner: User and group that the runtime runs as; None for the calling user.

        Returns:
            The folder.

        Raises:
            GreenbenchError: The disk is full or refuses.
        """
        with kept_in(self.run(runtime)):
            self.socket(runtime).unlink(missing_ok=True)
            for folder in (self.run(runtime), self.outbox(runtime)):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
                if owner is not None and owner != (folder.stat().st_uid, folder.stat().st_gid):
                    os.chown(folder, *owner)
        return self.run(runtime)
