"""``--target-u``: the number of rounds, fixed once after a pilot and kept for every resume."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from greenbench.core.doubt import Verdict
from greenbench.core.plan import Plan, order
from greenbench.core.progress import Observer
from greenbench.core.sample_size import ROUNDS_CAP, half_width, rounds_for
from greenbench.core.trial import Trial
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import RoundsEntry

PILOT_ROUNDS = 5
FIXED = "rounds_fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a cell's rounds lie apart.

    Attributes:
        cell_id: Which.
        relative: Standard deviation of the round means over their mean.
        rounds: How many rounds had a value.
    """

    cell_id: str
    relative: float
    rounds: int


def fix_rounds(folder: RunFolder, plan: Plan, observer: Observer) -> Plan:
    """Return the plan with all its rounds: fixed now from the pilot's spread, or earlier in the run.

    Args:
        folder: Holds the pilot's trials. Its event log is the truth; the manifest is brought in line with it.
        plan: The pilot; returned as it is where no target is set.
        observer: Hears the number and why, when it is fixed.
    """
    target = plan.protocol.target_u
    if target is None:
        return plan
    fixed = list(folder.events(FIXED))
    if fixed:
        entry = RoundsEntry.model_validate({key: fixed[-1][key] for key in RoundsEntry.model_fields})
    else:
        entry = rounds_entry(spreads(folder.trials()), target, pilot=plan.protocol.rounds)
        folder.log(FIXED, **entry.model_dump())
        observer.note(sentence(entry))
    return _kept(folder, plan, entry)


def _kept(folder: RunFolder, plan: Plan, entry: RoundsEntry) -> Plan:
    protocol = replace(plan.protocol, rounds=entry.rounds)
    fixed = protocol.order == "fixed"
    loads_of_all = order(plan.cells, rounds=entry.rounds, seed=plan.seed, fixed=fixed)
    longer = replace(plan, protocol=protocol, loads=loads_of_all)
    loads = tuple(load.load_id for load in longer.loads)
    folder.update_manifest(folder.manifest().model_copy(update={"order": loads, "rounds": entry}))
    return longer


def rounds_entry(found: tuple[Spread, ...], target_u: float, *, pilot: int) -> RoundsEntry:
    """Return the rounds that the widest cell takes.

    Args:
        found: The spread of each cell; without any the pilot is all there is.
        target_u: Half the width of the 95% interval over the mean that is asked for.
        pilot: Rounds of the pilot.
    """
    needs = {cell: rounds_for(cell.relative, target_u, pilot=cell.rounds) for cell in found}
    widest = max(needs, key=lambda cell: (needs[cell], cell.relative), default=None)
    rounds = max(pilot, *needs.values()) if needs else pilot
    expected = half_width(widest.relative, rounds) if widest else None
    return RoundsEntry(
        rounds=rounds,
        pilot=pilot,
        target_u=target_u,
        cell=widest.cell_id if widest else None,
        spread_rel=widest.relative if widest else None,
        seen=widest.rounds if widest else 0,
        expected_u=expected,
        capped=rounds >= ROUNDS_CAP,
    )


def spreads(trials: Iterable[Trial]) -> tuple[Spread, ...]:
    """Return the spread of each cell's round means that can be told.

    The figure is joules per sample, or seconds per sample where no energy is measured. Trials that are
    invalid or failed have none.
    """
    means: dict[str, dict[int, list[float]]] = {}
    for trial in trials:
        value = _figure(trial)
        if value is not None and trial.verdict in {Verdict.VALID, Verdict.DOUBTFUL}:
            means.setdefault(trial.cell_id, {}).setdefault(trial.round, []).append(value)
    by_cell = {cell: [fmean(values) for values in rounds.values()] for cell, rounds in means.items()}
    return tuple(
        Spread(cell_id=cell, relative=stdev(values) / fmean(values), rounds=len(values))
        for cell, values in by_cell.items()
        if len(values) > 1 and fmean(values) > 0
    )


def _figure(trial: Trial) -> float | None:
    if trial.energy_scope != "none":
        return trial.energy_j_per_sample
    return 1 / trial.throughput_samples_per_s if trial.throughput_samples_per_s else None


def sentence(entry: RoundsEntry) -> str:
    """Return what is said of the number that was fixed."""
    if entry.spread_rel is None:
        return f"no cell of the pilot has a spread: the run ends with its {entry.rounds} rounds"
    tail = f"; more than {ROUNDS_CAP} are not planned, so +-{entry.expected_u:.1%} is to be expected"
    return (
        f"{entry.rounds} rounds for +-{entry.target_u:.1%}: {entry.cell} spreads by {entry.spread_rel:.1%} "
        f"over {entry.seen} rounds" + (tail if entry.capped else "")
    )
