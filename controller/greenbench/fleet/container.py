"""One started container."""

import time
from types import TracebackType
from typing import Self

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from greenbench.core.errors import EngineUnavailableError, FleetError
from greenbench.fleet.launcher import LOG_TAIL_LINES, Build, ExitState

STOP_GRACE_S = 10


class ContainerInstance:
    """A runtime in a sealed container; see `launcher.Instance`."""

    containerised = True

    def __init__(self, container: Container, *, address: str, build: Build) -> None:
        """Start a container.

        Args:
            container: Created and not running.
            address: Where its socket shows on the host.
            build: What it was created from.

        Raises:
            EngineUnavailableError: The engine has no way to the GPU.
            FleetError: The engine refused to start it.
        """
        self.build = build
        self.runtime = build.runtime
        self.address = address
        self._container = container
        # Logs of earlier starts stay with the container: only those from now on are this instance's.
        self._started_s = time.time()
        try:
            container.start()
            container.reload()
        except APIError as error:
            raise _refused(build.runtime, error) from error
        except BaseException:
            self.stop()
            raise
        self.pid = int(container.attrs["State"]["Pid"])

    @property
    def container_id(self) -> str:
        """The container's full id, as in its cgroup's name."""
        return str(self._container.id)

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> tuple[str, ...]:
        """Return its last lines of output."""
        try:
            text = self._container.logs(tail=lines, since=self._started_s)
        except (APIError, EngineUnavailableError):
            return ()
        return tuple(text.decode(errors="replace").splitlines())

    def exit_state(self) -> ExitState | None:
        """Return how it ended; None while it lives."""
        try:
            self._container.reload()
        except NotFound:
            return ExitState(status=None)
        state = self._container.attrs["State"]
        if state["Running"]:
            return None
        return ExitState(status=int(state["ExitCode"]), out_of_memory=bool(state["OOMKilled"]))

    def stop(self) -> None:
        """Stop it and wait until it is gone; once more is harmless."""
        try:
            self._container.stop(timeout=STOP_GRACE_S)
        except NotFound:
            return
        except APIError as error:
            raise FleetError(f"the engine cannot stop {self.runtime}: {error.explanation}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _refused(runtime: str, error: APIError) -> FleetError:
    said = str(error.explanation or error).strip().splitlines()[0]
    if "could not select device driver" in said:
        return EngineUnavailableError(
            "Docker has no way to the GPU; install the NVIDIA Container Toolkit and run "
            "`sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker`"
        )
    return FleetError(f"the engine cannot start {runtime}: {said}")
