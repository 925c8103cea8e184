"""Ratios from adjacent interleaved pairs, with a 90% interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A ratio of two costs.

    Attributes:
        point: Median over pairs.
        low: Lower end of the 90% interval.
        high: Upper end of the 90% interval.
        pairs: How many pairs.
    """

    point: float
    low: float
    high: float
    pairs: int

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def ratio_of(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Return the median of pairwise ratios with its bootstrap interval.

    Args:
        first: Cost of each pair's one side, any unit.
        second: Cost of its other side, same unit, same length.

    Raises:
        ValueError: Fewer than three pairs.
    """
    ratios = np.asarray(first, dtype=float) / np.asarray(second, dtype=float)
    if len(ratios) < 3:  # noqa: PLR2004 - an interval from fewer says nothing
        raise ValueError(f"{len(ratios)} pairs are too few; at least 3")
    generator = np.random.default_rng(20240221)
    found = bootstrap(
        (ratios,), np.median, confidence_level=0.9, n_resamples=2000, method="percentile", rng=generator
    ).confidence_interval
    return Ratio(
        point=float(np.median(ratios)), low=float(found.low), high=float(found.high), pairs=len(ratios)
    )
