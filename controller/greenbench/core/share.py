"""Shares as users write them: ``1%`` or ``0.01``."""

from greenbench.core.errors import ConfigurationError

_PERCENT = 100


def parse_share(text: str, *, option: str) -> float:
    """Return a share between 0 and 1.

    Args:
        text: ``1%`` or ``0.01``.
        option: Which option it was given to, for the message.

    Raises:
        ConfigurationError: It is no number, or not above 0 and below 1.
    """
    bare = text.strip()
    try:
        number = float(bare.removesuffix("%")) / (_PERCENT if bare.endswith("%") else 1)
    except ValueError:
        number = float("nan")
    if not 0 < number < 1:
        raise ConfigurationError(f"{option} {text!r} is not a share above 0 and below 1, such as 1% or 0.01")
    return number
