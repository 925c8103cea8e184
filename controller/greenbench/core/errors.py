"""Every error that greenbench raises on purpose, in one tree.

GreenbenchError                 one sentence: what failed, with which value, and what to do next
├── ConfigurationError          a suite, an option, a file of the user's (exit status 2)
├── NotBuiltError               `greenbench up` has not made what is asked for (exit status 2)
├── StateLockedError            another measuring run holds the state folder (exit status 2)
├── DamagedResultsError         a run's folder that cannot be read, with the file's name
├── HopelessRunError            load after load failed; the run was ended early, everything kept
├── MeterError                  a sensor that answered something impossible
│   └── SensorAbsentError       a domain that this host cannot measure, with the reason
└── FleetError                  a runtime, its image, its environment or the wire
    ├── EngineUnavailableError  no Docker Engine, or it went away, or is not ours to use (exit status 2)
    ├── BuildError              an image or environment that could not be made; keeps the log's path
    ├── RuntimeDiedError        the process or container ended: exit status and last log lines
    ├── RuntimeTimeoutError     a call passed its deadline
    └── RuntimeCallError        a gRPC status with the runtime's own sentence
"""


class GreenbenchError(Exception):
    """Base of every error raised on purpose; its text is one line for the user."""

    exit_status = 1


class ConfigurationError(GreenbenchError):
    """A key, value, option or file that cannot be used; names what is allowed."""

    exit_status = 2


class NotBuiltError(GreenbenchError):
    """Something that `greenbench up` makes is not there; names the command that makes it."""

    exit_status = 2


class StateLockedError(GreenbenchError):
    """Another measuring run holds the state folder; names its pid."""

    exit_status = 2


class DamagedResultsError(GreenbenchError):
    """A file of a run's folder that cannot be read; names the file."""


class HopelessRunError(GreenbenchError):
    """Load after load failed: the run was ended early; names the last failure."""


class MeterError(GreenbenchError):
    """A sensor that answered something impossible."""


class SensorAbsentError(MeterError):
    """A domain that cannot be measured here; the text is the reason stored with the results."""


class FleetError(GreenbenchError):
    """A runtime, its image, its environment or the wire to it."""


class EngineUnavailableError(FleetError):
    """No Docker Engine answers, or no longer, or this user may not talk to it."""

    exit_status = 2


class BuildError(FleetError):
    """An image or environment could not be made.

    Attributes:
        log_path: Where the whole build log is kept, or None where there is none.
    """

    def __init__(self, message: str, *, log_path: str | None = None) -> None:
        super().__init__(message)
        self.log_path = log_path


class RuntimeDiedError(FleetError):
    """A runtime's process or container ended while it was needed.

    Attributes:
        exit_status_of_runtime: The process's exit status (137 after SIGKILL), or None if unknown.
        out_of_memory: Whether the kernel killed it for memory.
        log_tail: Its last log lines.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_status_of_runtime: int | None,
        out_of_memory: bool = False,
        log_tail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.exit_status_of_runtime = exit_status_of_runtime
        self.out_of_memory = out_of_memory
        self.log_tail = log_tail


class RuntimeTimeoutError(FleetError):
    """A call to a runtime passed its deadline; names the call and the deadline."""


class RuntimeCallError(FleetError):
    """A runtime refused a call.

    Attributes:
        code: The gRPC status name, such as ``INVALID_ARGUMENT``.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
