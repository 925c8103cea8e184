"""What cells are compared by: joules where they were measured, and time in any case."""

from collections.abc import Callable
from dataclasses import dataclass

from greenbench.core.trial import Trial
from greenbench.core.units import milliseconds_from_seconds
from greenbench.results.cells import CellSummary, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of cells and trials.

    Attributes:
        name: Of files and places.
        title: The question that it answers.
        label: Of axes and columns, with its unit.
        sense: Which way is better, in a sentence.
        of_cell: Picks it from a cell.
        of_trial: Picks it from a trial.
    """

    name: str
    title: str
    label: str
    sense: str
    of_cell: Callable[[CellSummary], Estimate | None]
    of_trial: Callable[[Trial], float | None]


def joules_per_sample(trial: Trial) -> float | None:
    """Return the gross energy of a sample over the trial's scope, joules."""
    return trial.energy_j_per_sample


def net_joules_per_sample(trial: Trial) -> float | None:
    """Return the energy of a sample above the idle host (B0), joules; None where a domain has none."""
    parts = [getattr(trial, f"energy_{domain}_net_b0_j", None) for domain in trial.energy_scope.split("+")]
    known = [part for part in parts if part is not None]
    return sum(known) / trial.samples if trial.samples and len(known) == len(parts) else None


def seconds_per_sample(trial: Trial) -> float | None:
    """Return the time of a sample, seconds: the inverse of the throughput."""
    return 1 / trial.throughput_samples_per_s if trial.throughput_samples_per_s else None


def _p50_ms(cell: CellSummary) -> Estimate | None:
    found = cell.latency_p50_s
    if found is None:
        return None
    u95 = None if found.u95 is None else milliseconds_from_seconds(found.u95)
    return Estimate(mean=milliseconds_from_seconds(found.mean), u95=u95, rounds=found.rounds)


ENERGY = Measure(
    name="energy",
    title="What does one inference cost?",
    label="J/sample",
    sense="Less is better.",
    of_cell=lambda cell: cell.energy_j_per_sample,
    of_trial=joules_per_sample,
)
LATENCY = Measure(
    name="latency",
    title="How long does one batch take?",
    label="p50 of one batch, ms",
    sense="Less is better.",
    of_cell=_p50_ms,
    of_trial=lambda trial: (
        None if trial.latency_p50_s is None else milliseconds_from_seconds(trial.latency_p50_s)
    ),
)
RATE = Measure(
    name="throughput",
    title="How many inferences a second?",
    label="samples/s",
    sense="More is better.",
    of_cell=lambda cell: cell.throughput_samples_per_s,
    of_trial=lambda trial: trial.throughput_samples_per_s,
)
