"""What of the command line goes with which engine."""

from collections.abc import Mapping

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
