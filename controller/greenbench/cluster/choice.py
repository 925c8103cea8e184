"""What of the command line goes with which engine."""

from collections.abc import Mapping
from pathlib import Path

from greenbench import __version__
from greenbench.cluster.replay import find_log, replay
from greenbench.cluster.request import FleetRequest
from greenbench.core.errors import ConfigurationError
from greenbench.core.refusal import is_not_one_of

ENGINES = ("local", "ray")
REPLICATES = ("per-gpu-model",)


def check_engine(engine: str, *, only_ray: Mapping[str, object], only_local: Mapping[str, object]) -> bool:
    """Check the options of `greenbench run` against its engine; tell whether it is Ray.

    Args:
        engine: ``local`` or ``ray``.
        only_ray: Option -> value of those that need Ray; falsy where it was not given.
        only_local: Likewise of those that one host decides, and a fleet does not.

    Raises:
        ConfigurationError: The engine or a value is not known, or an option goes with the other engine.
    """
    if engine not in ENGINES:
        raise ConfigurationError(f"--engine {engine!r} {is_not_one_of(engine, ENGINES)}")
    replicate = only_ray.get("--replicate")
    if replicate is not None and replicate not in REPLICATES:
        raise ConfigurationError(f"--replicate {replicate!r} {is_not_one_of(replicate, REPLICATES)}")
    wrong = only_ray if engine == "local" else only_local
    given = [name for name, value in wrong.items() if value]
    if given and engine == "local":
        raise ConfigurationError(f"{given[0]} goes with --engine ray")
    if given:
        raise ConfigurationError(f"{given[0]} does not go with --engine ray, which deals whole blocks itself")
    return engine == "ray"


def resumed_fleet(run: str, out: Path, *, on_ray: bool, own: Mapping[str, object]) -> FleetRequest | None:
    """Return the request of an interrupted run over several hosts; None where `run` is one host's.

    Args:
        run: As ``--resume`` names it.
        out: Parent of the folders of runs.
        on_ray: Whether ``--engine ray`` was given.
        own: Option -> value of those that the interrupted run has decided; falsy where not given.

    Raises:
        ConfigurationError: Engine and run don't go together, or an option would change the run.
    """
    log = find_log(run, out)
    if log is None:
        if on_ray:
            raise ConfigurationError(
                f"--resume {run}: there is no {run}.fleet.jsonl in {out}; "
                "a run of one host is resumed without --engine ray"
            )
        return None
    if not on_ray:
        raise ConfigurationError(f"{run} was dealt to several hosts; resume it with --engine ray")
    if given := [name for name, value in own.items() if value]:
        raise ConfigurationError(f"{given[0]} is decided by the run that is resumed; leave it out")
    return replay(log, version=__version__)[0]
