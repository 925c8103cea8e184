"""What a launcher is: it builds runtimes, starts one, and removes what it made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from greenbench.core.errors import FleetError, RuntimeDiedError
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet.exchange import NO_EXCHANGE, Exchange
from greenbench.fleet.state import StateFolder

DEFAULT_BASE_IMAGE = "python:3.11-slim"
LOG_TAIL_LINES = 12
NO_MEMORY_LIMIT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """What the command line decides for every launcher.

    Attributes:
        state: Where everything is kept.
        assets: Folder with ``docker/``, ``runtimes/``, ``protos/`` and the compose files.
        base_image: Image that runtime images start from.
        gpu_uuid: The GPU to compute on; empty on the CPU.
        environments: Runtime -> Python of an environment that is adopted (``venv`` only).
        memory_limit_bytes: Most memory a container may use; 0 for no limit.
        exchange: Images that are pushed, or pulled instead of built (``docker`` only).
    """

    state: StateFolder
    assets: Path
    base_image: str = DEFAULT_BASE_IMAGE
    gpu_uuid: str = ""
    environments: Mapping[str, Path] = field(default_factory=dict)
    memory_limit_bytes: int = NO_MEMORY_LIMIT
    exchange: Exchange = NO_EXCHANGE

    def need_gpu(self) -> str:
        """Return the UUID of the GPU to compute on.

        Raises:
            FleetError: None is named: another one than was measured could compute.
        """
        if not self.gpu_uuid:
            raise FleetError("no GPU is named by its UUID, so none is taken; see `greenbench doctor`")
        return self.gpu_uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A runtime that can be started, and what is in it.

    Attributes:
        runtime: Name in the catalogue.
        device: ``cpu`` or ``cuda``.
        launcher: ``docker`` or ``venv``.
        identity: The image's id, or what names the environment: the lock's hash or the adopted Python.
        requirements_sha256: Hash of the lock file; None for an adopted environment.
        python: Version of its Python.
        packages: Name -> version of everything installed in it.
        log_path: The build's whole log; None where nothing was ever built.
        reused: Whether it stood already.
        elapsed_s: What building, or finding it, took.
        notes: Sentences that `up` prints: what was handed to the build and what was not.
        reference: ``REPOSITORY@sha256:...`` by which a registry has the image; None where it was never pushed
            or pulled.
        fingerprint: Hash of all files that went into the image; None where there is no image.
    """

    runtime: str
    device: str
    launcher: str
    identity: str
    requirements_sha256: str | None
    python: str
    packages: Mapping[str, str]
    log_path: Path | None
    reused: bool
    elapsed_s: float
    notes: tuple[str, ...] = ()
    reference: str | None = None
    fingerprint: str | None = None

    @property
    def contents_sha256(self) -> str:
        """Hash of what is in it: files or lock, Python, packages. Built twice, apart, it is the same."""
        files = self.fingerprint or self.requirements_sha256
        held = [self.launcher, files, self.python, sorted(self.packages.items())]
        return hashlib.sha256(json.dumps(held).encode()).hexdigest()

    @property
    def pulled(self) -> bool:
        """Whether it came from a registry, so that nothing was built here."""
        return self.reference is not None and self.log_path is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitState:
    """How a runtime ended.

    Attributes:
        status: Exit status, 128 + n after signal n; None where it is not known.
        out_of_memory: Whether the kernel killed it for memory.
    """

    status: int | None
    out_of_memory: bool = False


class Instance(Protocol):
    """A started runtime; a context manager that stops it.

    Attributes:
        runtime: Name in the catalogue.
        address: Where its gRPC server answers, once it is ready.
        pid: The main process, as the host numbers it: its cgroup and its children are the runtime's.
        containerised: Whether it runs sealed in a container, in a cgroup of its own.
        build: What it was started from.
    """

    @property
    def runtime(self) -> str: ...  # noqa: D102 - described above
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def pid(self) -> int: ...  # noqa: D102
    @property
    def containerised(self) -> bool: ...  # noqa: D102
    @property
    def build(self) -> Build: ...  # noqa: D102

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> tuple[str, ...]:
        """Return its last lines of output."""

    def exit_state(self) -> ExitState | None:
        """Return how it ended; None while it lives."""

    def stop(self) -> None:
        """Stop it and wait until it is gone; once more is harmless."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Launcher(Protocol):
    """Makes runtimes ready and starts them.

    Attributes:
        name: ``docker`` or ``venv``.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    def build(self, runtime: RuntimeSpec, device: str, observer: Observer) -> Build:
        """Build what `start` needs, or find that it stands.

        Raises:
            BuildError: It cannot be built; the message shows the failing line.
            EngineUnavailableError: There is nothing to build with.
            ConfigurationError: The runtime has no build for `device`.
        """

    def built(self, runtime: RuntimeSpec, device: str) -> Build | None:
        """Return what stands for this runtime, device and these files; None where `build` is needed."""

    def start(self, runtime: RuntimeSpec, device: str) -> Instance:
        """Start a runtime's server; it is not ready yet (see `readiness`).

        Raises:
            NotBuiltError: `build` has not been run for it, or for other files than there are now.
            FleetError: It cannot be started.
        """

    def end_leftovers(self) -> tuple[str, ...]:
        """End the servers of this state folder that a controller left that is gone; name their runtimes.

        To be called under the lease of the state folder, while nothing of this controller runs.

        Raises:
            FleetError: One cannot be ended.
        """

    def down(self, *, images: bool) -> tuple[str, ...]:
        """Stop and remove what this launcher made in this state folder; say what, a sentence each.

        Args:
            images: Whether images and environments go too.
        """


def died(instance: Instance, state: ExitState, *, during: str) -> RuntimeDiedError:
    """Return the error that tells how `instance` ended, with its last lines of output.

    Args:
        instance: The runtime.
        state: How it ended.
        during: What was asked of it: ``Load``, ``starting`` ...
    """
    tail = instance.log_tail()
    status = "an unknown exit status" if state.status is None else f"exit status {state.status}"
    cause = " (killed for memory; a smaller batch or a larger memory limit may help)"
    said = f"; it said: {_compact(tail)}" if tail else "; it said nothing"
    return RuntimeDiedError(
        f"{instance.runtime} died during {during} with {status}{cause if state.out_of_memory else ''}{said}",
        exit_status_of_runtime=state.status,
        out_of_memory=state.out_of_memory,
        log_tail=tail,
    )


def _compact(lines: tuple[str, ...]) -> str:
    """One line of the last lines that say something."""
    return " | ".join(line.strip() for line in lines[-3:] if line.strip())
