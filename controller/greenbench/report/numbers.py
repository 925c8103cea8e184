"""Figures for a reader's eye: four digits that mean something, never more."""

import math

ABSENT = "-"
_DIGITS = 4


def figure(value: float | None, digits: int = _DIGITS) -> str:
    """Return a number with some significant digits; ``-`` where there is none.

    From 0.0001 up to a million it is written out, outside with an exponent.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    if not 1e-4 <= abs(float(f"{value:.{digits - 1}e}")) < 1e6:  # noqa: PLR2004 - readable without an exponent
        return f"{value:.{max(digits - 2, 0)}e}"
    return f"{value:.{_decimals(value, digits)}f}"


def with_interval(mean: float, u95: float | None, *, sign: str = "±") -> str:
    """Return ``mean ±u95``, both to the last decimal that the interval's two digits reach."""
    if u95 is None or not math.isfinite(u95):
        return figure(mean)
    if u95 == 0 or mean == 0 or not 1e-4 <= abs(mean) < 1e6:  # noqa: PLR2004 - as in `figure`
        return f"{figure(mean)} {sign}{figure(u95, 2)}"
    decimals = min(_decimals(u95, 2), max(_decimals(mean, _DIGITS), 0))
    return f"{mean:.{decimals}f} {sign}{u95:.{decimals}f}"


def change(ratio: float, low: float | None, high: float | None) -> str:
    """Return by how many percent a ratio is above 1, with its interval where there is one."""
    point = f"{100 * (ratio - 1):+.1f}%"
    if low is None or high is None:
        return point
    return f"{point} ({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f})"


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {rest_s:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _decimals(value: float, digits: int) -> int:
    # Rounded first: 9.9996 to four digits is 10.00, with one decimal fewer than 9.999.
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return max(0, digits - 1 - exponent)
