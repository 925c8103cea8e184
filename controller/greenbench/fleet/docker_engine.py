"""The Docker Engine on this host: found, or why not with the remedy."""

import shutil
import socket
import subprocess
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException

from greenbench.core.errors import EngineUnavailableError

_OR_VENV = "or take --launcher venv"
_CALL_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers.

    Attributes:
        client: The Docker SDK's connection.
        rootless: Whether the engine runs as this user, so that root inside is this user outside.
    """

    client: docker.DockerClient
    rootless: bool


class _Door(docker.APIClient):
    """The one way to the engine: an engine that goes away while it is asked is told in one line."""

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request as `requests.Session.send` does.

        Raises:
            EngineUnavailableError: The engine does not answer, or not in time.
        """
        try:
            return super().send(request, **options)
        except OSError as error:  # as all that requests raises is
            raise EngineUnavailableError(
                "the Docker Engine went away or does not answer; see that it runs (`sudo systemctl start "
                "docker`); a run keeps everything finished and goes on with --resume"
            ) from error


def connect() -> Engine:
    """Return the engine that the ``docker`` command talks to.

    Raises:
        EngineUnavailableError: There is none, it is elsewhere, or this user may not use it.
    """
    if shutil.which("docker") is None:
        raise EngineUnavailableError(
            "there is no docker command; install Docker Engine (https://docs.docker.com/engine/install) "
            f"{_OR_VENV}"
        )
    endpoint = _endpoint()
    client = _client(endpoint)
    if _asked("docker", "compose", "version") is None:
        client.close()
        raise EngineUnavailableError(
            f"docker has no compose plugin; install the package docker-compose-plugin {_OR_VENV}"
        )
    security = client.info().get("SecurityOptions") or []
    return Engine(client=client, rootless="name=rootless" in security)


def _endpoint() -> str:
    """Where the docker command's current context points, DOCKER_HOST included."""
    answer = _asked("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    endpoint = (answer or "unix:///var/run/docker.sock").strip()
    if not endpoint.startswith("unix://"):
        raise EngineUnavailableError(
            f"the Docker Engine at {endpoint} is not on this host, where the sensors are; "
            f"choose a local one with `docker context use default` {_OR_VENV}"
        )
    return endpoint


def _client(endpoint: str) -> docker.DockerClient:
    try:
        # Tried first by hand: the SDK wraps what went wrong in words and leaves a socket open.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.connect(endpoint.removeprefix("unix://"))
        client = docker.DockerClient(base_url=endpoint, timeout=_CALL_S)
        client.api.close()
        client.api = _Door(base_url=endpoint, timeout=_CALL_S, version=client.api.api_version)
    except PermissionError as error:
        raise EngineUnavailableError(
            f"this user may not use the Docker Engine at {endpoint}; run `sudo usermod -aG docker $USER`, "
            f"log in again, {_OR_VENV}"
        ) from error
    except (OSError, DockerException) as error:
        raise EngineUnavailableError(
            f"no Docker Engine answers at {endpoint}; start it with `sudo systemctl start docker` {_OR_VENV}"
        ) from error
    return client


def _asked(*command: str) -> str | None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout if answer.returncode == 0 else None
