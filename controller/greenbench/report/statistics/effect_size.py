"""How far two samples overlap."""

from collections.abc import Sequence


def cliffs_delta(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Cliff's delta: how much oftener a value of B is above one of A than below it, -1 to 1.

    Cliff (1993). It ignores pairs: +1 where all of B is above all of A, 0 where they overlap evenly.

    Args:
        a: Any order, at least one.
        b: Any order, at least one.
    """
    above = sum(y > x for x in a for y in b)
    below = sum(y < x for x in a for y in b)
    return (above - below) / (len(a) * len(b))
