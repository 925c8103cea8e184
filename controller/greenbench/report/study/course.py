"""What holds over a whole run: whether energy goes with time, and whether costs drift with the order."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median

from greenbench.report.contrast import round_means
from greenbench.report.statistics import Correlation, spearman
from greenbench.report.study.comparing import TIME, CellTrials, Quantity


def energy_with_time(cells: Iterable[CellTrials], energy: Quantity) -> Correlation | None:
    """Return the rank correlation of energy and time of a sample over cells' medians of round means.

    Args:
        cells: Of one run.
        energy: Gross or net; cells without it are left out.

    Returns:
        None below three cells with both.
    """
    points = []
    for cell in cells:
        joules, seconds = (round_means(cell.used, quantity.of_trial) for quantity in (energy, TIME))
        if joules and seconds:
            points.append((median(joules.values()), median(seconds.values())))
    return spearman(*zip(*points, strict=True)) if points else None


def drift_of(cells: Sequence[CellTrials], quantity: Quantity) -> Correlation | None:
    """Return the rank correlation of position in the run with a load's cost relative to its own cell's mean.

    It has no interval and no p-value: loads of one round share the host's state, so they are no independent
    points.

    Args:
        cells: Of one run.
        quantity: The cost.

    Returns:
        None below three loads, or where none varies; cells of a single round have nothing to vary from.
    """
    points = [point for cell in cells for point in _relative(cell, quantity)]
    found = spearman(*zip(*points, strict=True)) if points else None
    return found and replace(found, low=None, high=None, p=None)


def _relative(cell: CellTrials, quantity: Quantity) -> list[tuple[int, float]]:
    positions = {trial.round: trial.position for trial in cell.used}
    means = round_means(cell.used, quantity.of_trial)
    if len(means) <= 1:
        return []
    middle = fmean(means.values())
    return [(positions[number], mean / middle) for number, mean in means.items()]
