"""What holds over a whole run: whether energy goes with time, and whether costs drift with the order."""

from collections.abc import Iterable, Sequence
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
    """Return the rank correlation of position in the run with a cost relative to its own cell's mean.

    Args:
        cells: Of one run.
        quantity: The cost.

    Returns:
        None below three trials, or where none varies; cells of a single trial have nothing to vary from.
    """
    points = []
    for cell in cells:
        known = [(trial.position, value) for trial in cell.used if (value := quantity.of_trial(trial))]
        if len(known) > 1:
            mean = fmean(value for _, value in known)
            points += [(position, value / mean) for position, value in known]
    return spearman(*zip(*points, strict=True)) if points else None
