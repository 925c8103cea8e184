"""What a client asks for, against what the engine is and can do."""

from greenbench_runtime.engine import (
    EngineFacts,
    InvalidRequestError,
    LoadOrder,
    UnknownModelError,
    UnsupportedError,
)


def check_order(order: LoadOrder, facts: EngineFacts, *, device: str) -> None:
    """Refuse a load that this runtime can never do, before anything is freed for it.

    Args:
        order: What to load.
        facts: Of the engine.
        device: What the server was started for; ``cpu`` keeps loads off the GPU.

    Raises:
        UnknownModelError: The model is not known.
        UnsupportedError: Mode, precision or device is not there.
        InvalidRequestError: Another value can never work.
    """
    _check_model(order.model, facts)
    _check_offered("mode", order.mode, facts.modes, facts)
    _check_offered("precision", order.precision, facts.precisions, facts)
    _check_offered("device", order.device, _devices(facts, device), facts)
    _check_threads(order.threads)
    if order.batch_size < 1:
        raise InvalidRequestError(f"batch_size {order.batch_size} is below 1")
    _check_allowed("weights", order.weights, ("matched", "native"))
    _check_allowed("io", order.io, ("device", "host"))


def check_making(model: str, threads: int, facts: EngineFacts) -> None:
    """Refuse to make weights or a converted model that can never be made.

    Raises:
        UnknownModelError: The model is not known.
        InvalidRequestError: There is no thread to work with.
    """
    _check_model(model, facts)
    _check_threads(threads)


def _devices(facts: EngineFacts, device: str) -> tuple[str, ...]:
    kinds = dict.fromkeys(known.kind for known in facts.devices)
    return tuple(kind for kind in kinds if kind in ("cpu", device))


def _check_model(model: str, facts: EngineFacts) -> None:
    if model not in facts.models:
        known = ", ".join(facts.models)
        raise UnknownModelError(f"model {model[:100]!r} is not known to {facts.runtime}; known are {known}")


def _check_offered(key: str, value: str, offered: tuple[str, ...], facts: EngineFacts) -> None:
    if value not in offered:
        there = ", ".join(offered) or "none"
        raise UnsupportedError(f"{key} {value[:100]!r} is not there in {facts.runtime}; there are: {there}")


def _check_threads(threads: int) -> None:
    if threads < 1:
        raise InvalidRequestError(f"threads {threads} is below 1; say how many the forward pass may use")


def _check_allowed(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidRequestError(f"{key} {value[:100]!r} is not one of {', '.join(allowed)}")
