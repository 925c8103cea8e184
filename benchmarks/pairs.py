"""Ratios and differences from adjacent interleaved pairs, each with a 90% interval.

Neighbours in time share most of what a host does beside them, so each pair gives one estimate and only the
estimates are compared. The point is the Hodges-Lehmann estimate (median of the means of every two estimates,
each with itself too), the interval inverts Wilcoxon's signed-rank test exactly: both hold for any
distribution that is symmetric about its middle, as the difference of two alike costs is, and a few pairs that
the host disturbed hardly move them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.9
FEWEST = 5
"""Pairs below which no interval of 90% exists."""

Cost = TypeVar("Cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate with its 90% interval.

    Attributes:
        point: In the unit of what was compared; a ratio has none.
        low: Lower end.
        high: Upper end.
        count: How many pairs or repeats it comes from.
    """

    point: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    def scaled(self, factor: float, offset: float = 0.0) -> "Estimate":
        """Return this estimate times a positive factor, plus an offset."""
        low, point, high = (value * factor + offset for value in (self.low, self.point, self.high))
        return Estimate(point=point, low=low, high=high, count=self.count)


def centre_of(values: Sequence[float]) -> Estimate:
    """Return the Hodges-Lehmann estimate of the values' middle.

    Args:
        values: Independent estimates of one quantity.

    Raises:
        ValueError: Fewer than `FEWEST` values.
    """
    if len(values) < FEWEST:
        raise ValueError(f"{len(values)} pairs are too few for an interval of 90%; at least {FEWEST}")
    sample = np.asarray(values, dtype=float)
    upper = np.triu_indices(len(sample))
    walsh = np.sort((sample[upper[0]] + sample[upper[1]]) / 2)
    outside = _outside(len(sample))
    return Estimate(
        point=float(np.median(walsh)),
        low=float(walsh[outside]),
        high=float(walsh[-1 - outside]),
        count=len(sample),
    )


def ratio_of(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the ratio of two costs that were taken in adjacent pairs.

    Args:
        first: Cost of each pair's one side, any unit, above 0.
        second: Cost of its other side, same unit, same length, above 0.

    Raises:
        ValueError: Too few pairs, or sides of different lengths.
    """
    # Logarithms, so that swapping the sides gives exactly the inverse ratio.
    logs = [math.log(a / b) for a, b in zip(first, second, strict=True)]
    found = centre_of(logs)
    return Estimate(
        point=math.exp(found.point), low=math.exp(found.low), high=math.exp(found.high), count=found.count
    )


def paired(
    first: Callable[[], Cost],
    second: Callable[[], Cost],
    *,
    least: int,
    most: int,
    enough: Callable[[Sequence[Cost], Sequence[Cost]], bool],
) -> tuple[list[Cost], list[Cost]]:
    """Take two costs in adjacent pairs, the order reversed in every other one (ABBA).

    Args:
        first: Takes the one side's cost.
        second: Takes the other side's.
        least: Pairs to take in any case.
        most: Pairs to end at.
        enough: Whether what was taken is enough. It may look at how wide an interval is, never at where it
            lies: stopping when the result pleases would bias it.
    """
    ones: list[Cost] = []
    others: list[Cost] = []
    while len(ones) < least or (len(ones) < most and not enough(ones, others)):
        sides = [(ones, first), (others, second)]
        for taken, take in reversed(sides) if len(ones) % 2 else sides:
            taken.append(take())
    return ones, others


@cache
def _outside(count: int) -> int:
    """Return how many Walsh averages lie beyond each end of the interval."""
    tail = np.cumsum(_signed_rank_probabilities(count))
    return int(np.searchsorted(tail, (1 - CONFIDENCE) / 2, side="right")) - 1


def _signed_rank_probabilities(count: int) -> NDArray[np.float64]:
    """Return the exact distribution of Wilcoxon's signed-rank sum of `count` values: float64 [sum + 1]."""
    chances = np.ones(1)
    for rank in range(1, count + 1):
        without = np.concatenate([chances, np.zeros(rank)])
        with_rank = np.concatenate([np.zeros(rank), chances])
        chances = (without + with_rank) / 2
    return chances
