"""The ``docker compose`` command: the one tool that reads the compose files."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import BuildError, FleetError
from greenbench.fleet.build_inputs import BuildInputs
from greenbench.fleet.build_log import base_image_refused, failing_line, plain_line
from greenbench.fleet.exchange import ImageName
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.logged_command import run_logged


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOrder:
    """One image to build.

    Attributes:
        runtime: Compose service and catalogue name.
        device: ``cpu`` or ``cuda``.
        lock: Its requirements.
        requirements_sha256: Hash of `lock`.
        fingerprint: Hash over all that goes into the image, as its label keeps it.
    """

    runtime: str
    device: str
    lock: Path
    requirements_sha256: str
    fingerprint: str

    @property
    def tag(self) -> str:
        """The image's name."""
        return f"greenbench/{self.runtime}:{self.device}"

    @property
    def name(self) -> ImageName:
        """What tells it from all others in a registry."""
        return ImageName(runtime=self.runtime, device=self.device, fingerprint=self.fingerprint)


class ComposeTool:
    """Builds images and creates containers for one state folder."""

    def __init__(self, settings: LaunchSettings, *, owner: tuple[int, int]) -> None:
        """Prepare the tool.

        Args:
            settings: State folder, files, base image, GPU and memory limit.
            owner: User and group that containers run as.
        """
        self._settings = settings
        self._owner = owner

    @property
    def project(self) -> str:
        """The compose project: one per state folder."""
        return f"greenbench-{self._settings.state.identity}"

    def build(
        self, order: ImageOrder, inputs: BuildInputs, *, log_path: Path, heard: Callable[[str], None]
    ) -> None:
        """Build one image.

        Raises:
            BuildError: With the failing line; the whole log is at `log_path`.
        """
        log_path.unlink(missing_ok=True)
        outcome = run_logged(
            self._command(order.device, "build", order.runtime),
            log_path=log_path,
            environment=self._environment(order, inputs),
            heard=lambda line: heard(plain_line(line)),
        )
        if outcome.status:
            raise self._build_error(order, outcome.lines, log_path)

    def create(self, order: ImageOrder, *, log_path: Path) -> None:
        """Create the service's container, or leave the one that stands and fits.

        Raises:
            FleetError: The engine refused, or no GPU is named for ``cuda``.
        """
        if order.device == "cuda":
            self._settings.need_gpu()
        outcome = run_logged(
            self._command(order.device, "create", "--no-build", order.runtime),
            log_path=log_path,
            environment=self._environment(order, None),
            heard=lambda _line: None,
        )
        if outcome.status:
            reason = f"{failing_line(outcome.lines)} (log: {log_path})"
            raise FleetError(f"docker compose cannot create {order.runtime}: {reason}")

    def _command(self, device: str, *words: str) -> list[str]:
        files = ["compose.yml"] + (["compose.gpu.yml"] if device == "cuda" else [])
        named = [part for file in files for part in ("-f", str(self._settings.assets / file))]
        return ["docker", "compose", *named, "-p", self.project, *words]

    def _environment(self, order: ImageOrder, inputs: BuildInputs | None) -> Mapping[str, str]:
        settings = self._settings
        handed = (
            {
                "GREENBENCH_WHEELS": str(inputs.wheels),
                "GREENBENCH_PIP_CONF": str(inputs.configuration),
                "GREENBENCH_PIP_CERT": str(inputs.certificate),
            }
            if inputs
            else {}
        )
        return (
            os.environ
            | handed
            | {
                "BUILDKIT_PROGRESS": "plain",
                "DOCKER_BUILDKIT": "1",
                "GREENBENCH_BASE_IMAGE": settings.base_image,
                "GREENBENCH_FINGERPRINT": order.fingerprint,
                "GREENBENCH_REQUIREMENTS_SHA256": order.requirements_sha256,
                "GREENBENCH_STATE": str(settings.state.root),
                "GREENBENCH_STATE_ID": settings.state.identity,
                "GREENBENCH_UID": str(self._owner[0]),
                "GREENBENCH_GID": str(self._owner[1]),
                "GREENBENCH_MEM_LIMIT": str(settings.memory_limit_bytes),
            }
            | ({"GREENBENCH_GPU_UUID": settings.gpu_uuid} if settings.gpu_uuid else {})
        )

    def _build_error(self, order: ImageOrder, lines: tuple[str, ...], log_path: Path) -> BuildError:
        base = self._settings.base_image
        reason = base_image_refused(lines, base)
        if reason is not None:
            return BuildError(
                f"the base image {base} cannot be had ({reason}); name another that holds Python 3.11 "
                f"with --base-image IMAGE or GREENBENCH_BASE_IMAGE (log: {log_path})",
                log_path=str(log_path),
            )
        return BuildError(
            f"building the image of {order.runtime} failed: {failing_line(lines)} (log: {log_path})",
            log_path=str(log_path),
        )
