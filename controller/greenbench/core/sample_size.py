"""How many rounds an interval takes, fixed once from the spread of a pilot.

The number is computed once and kept: a run is not ended at the moment at which its interval looks narrow.
That the pilot's own rounds count costs a little: simulated 95% intervals hold the truth in 91 to 95% of runs
(tests/core/test_sample_size.py).
"""

import math

ASSURANCE = 0.8
"""The pilot's spread is taken at its upper limit of this confidence: most intervals come out as asked."""

ROUNDS_CAP = 100
"""More rounds are never planned; a run that would need them says so."""


def rounds_for(spread_rel: float, target_u: float, *, pilot: int, cap: int = ROUNDS_CAP) -> int:
    """Return the rounds after which the 95% interval is about as narrow as asked.

    Args:
        spread_rel: Standard deviation of the pilot's round means over their mean.
        target_u: Half the width of the interval over the mean that is asked for.
        pilot: Rounds of the pilot, which count; at least 2.
        cap: Most rounds.

    Returns:
        The smallest number from `pilot` on for which t * s / sqrt(n) is at most the target, with s the upper
        limit of the spread that `pilot` rounds leave open, made even (an even round is the mirror of the one
        before it) and capped.
    """
    if pilot < 2:  # noqa: PLR2004 - one value has no spread
        raise ValueError(f"a pilot of {pilot} rounds has no spread")
    if not (math.isfinite(spread_rel) and spread_rel >= 0 and target_u > 0):
        raise ValueError(f"spread {spread_rel} and target {target_u} must be finite, the target above 0")
    upper = spread_rel * _upper_factor(pilot)
    fits = (n for n in range(pilot, cap + 1) if half_width(upper, n) <= target_u)
    rounds = next(fits, cap)
    return min(cap, rounds + rounds % 2) if rounds > pilot else rounds


def half_width(spread_rel: float, rounds: int) -> float:
    """Return half the width of Student's t 95% interval over the mean.

    Args:
        spread_rel: Standard deviation over mean.
        rounds: How many; at least 2.
    """
    # SciPy takes a second to import, and most commands need none of it.
    from scipy.special import stdtrit  # noqa: PLC0415

    return float(stdtrit(rounds - 1, 0.975)) * spread_rel / math.sqrt(rounds)


def _upper_factor(pilot: int) -> float:
    """Return upper limit of a standard deviation over its estimate from `pilot` normal values."""
    from scipy.special import chdtri  # noqa: PLC0415

    freedom = pilot - 1
    return math.sqrt(freedom / float(chdtri(freedom, ASSURANCE)))
