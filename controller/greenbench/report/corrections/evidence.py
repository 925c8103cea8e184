"""What one stored run shows of a correction by itself, all else equal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean

from greenbench.core.trial import Trial
from greenbench.report.contrast import Contrast, round_means
from greenbench.report.corrections.conditions import (
    BASELINE,
    GPU_ENERGY,
    MODE,
    ORDER,
    WEIGHTS,
    idle_baselines,
    polls,
)
from greenbench.report.corrections.pairs import PairedCell, within
from greenbench.report.document import Document
from greenbench.report.measure import net_joules_per_sample
from greenbench.report.statistics import slope
from greenbench.report.study.comparing import ENERGY, TIME, USED, CellTrials, Quantity, cells_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What leaving a correction out would change, over the cells of one run.

    Attributes:
        correction: Name of the condition.
        what: What is put in the place of what, in words.
        quantity: What it changes.
        ratio: With over without: geometric mean over cells.
        low: The smallest cell's.
        high: The largest cell's.
        cells: How many.
    """

    correction: str
    what: str
    quantity: str
    ratio: float
    low: float
    high: float
    cells: int


def evidence_of(document: Document) -> tuple[Evidence, ...]:
    """Return all that a run shows of the corrections by itself; nothing where it shows none."""
    used = tuple(trial for trial in document.trials if trial.verdict in USED)
    found = [*_varied(used, "weights", WEIGHTS), *_varied(used, "precision", MODE)]
    if len({trial.host_id for trial in used}) == 1:
        # A merged run's hosts have baselines and positions of their own.
        found += [*_polling(document, used), *_one_baseline(document, used), *_place(document, used)]
    return tuple(found)


def _varied(trials: Sequence[Trial], key: str, name: str) -> Iterable[Evidence]:
    pairs: dict[str, list[PairedCell]] = {}
    for one in within(trials, key):
        place = 0 if key == "weights" else 1
        words = f"{one.b.split(', ')[place]} instead of {one.a.split(', ')[place]}"
        pairs.setdefault(words, []).append(one)
    for words, own in pairs.items():
        for quantity, of_pair in _QUANTITIES:
            ratios = [found.ratio for one in own if (found := of_pair(one))]
            yield from _summed(name, words, quantity, ratios)


def _energy(pair: PairedCell) -> Contrast | None:
    return pair.energy


def _time(pair: PairedCell) -> Contrast | None:
    return pair.time


_QUANTITIES: tuple[tuple[str, Callable[[PairedCell], Contrast | None]], ...] = (
    ("J/sample", _energy),
    ("seconds/sample", _time),
)


def _polling(document: Document, trials: Sequence[Trial]) -> Iterable[Evidence]:
    if polls(document):
        return ()
    ratios = [
        exp(fmean(-log(value) for value in own))
        for own in _by_cell(trials, lambda trial: trial.counter_over_integral)
    ]
    return _summed(GPU_ENERGY, "power integrated instead of the board's counter", "J of the GPU", ratios)


def _one_baseline(document: Document, trials: Sequence[Trial]) -> Iterable[Evidence]:
    baselines = idle_baselines(document.baselines)
    first = {domain: own[0].power_w for domain, own in baselines.items()}
    if all(len(own) == 1 for own in baselines.values()):
        return ()
    ratios = [
        exp(fmean(log(value) for value in own))
        for own in _by_cell(trials, lambda trial: _net_of_first(trial, first))
    ]
    words = "the first idle baseline alone instead of all, interpolated"
    return _summed(BASELINE, words, "J/sample net of idle", ratios)


def _net_of_first(trial: Trial, first_w: dict[str, float]) -> float | None:
    """Return net energy by the first baseline alone, over net energy as stored; None without either."""
    net, samples, length_s = net_joules_per_sample(trial), trial.samples, trial.duration_s
    gross, domains = trial.energy_j_per_sample, trial.energy_scope.split("+")
    if net is None or gross is None or not samples or length_s is None or not set(domains) <= set(first_w):
        return None
    alone = gross - sum(first_w[domain] for domain in domains) * length_s / samples
    return alone / net if net > 0 and alone > 0 else None


def _place(document: Document, trials: Sequence[Trial]) -> Iterable[Evidence]:
    if document.manifest.suite.get("protocol", {}).get("order") == "fixed":
        # A cell's place never changes there: what is the cell's and what is the place's cannot be told apart.
        return
    per_round = _places(document)
    for quantity in (ENERGY, TIME):
        points = [point for cell in cells_of(trials) for point in _relative(cell, quantity, per_round)]
        found = slope([at for at, _ in points], [value for _, value in points])
        if found is not None:
            label = "J/sample" if quantity.is_energy else "seconds/sample"
            ratio = exp(found)
            yield Evidence(
                correction=ORDER,
                what="the last place of a round instead of the first (Theil-Sen)",
                quantity=label,
                ratio=ratio,
                low=ratio,
                high=ratio,
                cells=len({trial.cell_id for trial in trials}),
            )


def _places(document: Document) -> int:
    rounds = len({load.partition(".")[0] for load in document.manifest.order})
    return len(document.manifest.order) // rounds if rounds else 0


def _relative(cell: CellTrials, quantity: Quantity, per_round: int) -> list[tuple[float, float]]:
    """Return each load's place in its round, 0 to 1, and the logarithm of its cost, about the cell's mean.

    Places are centred too: a cell that lay late in most rounds would hide what lying late costs.
    """
    means = round_means(cell.used, quantity.of_trial)
    if len(means) <= 1 or per_round <= 1:
        return []
    places = {trial.round: trial.position % per_round / (per_round - 1) for trial in cell.used}
    place, cost = (fmean(places[number] for number in means), fmean(map(log, means.values())))
    return [(places[number] - place, log(value) - cost) for number, value in means.items()]


def _by_cell(trials: Iterable[Trial], value: Callable[[Trial], float | None]) -> Iterable[list[float]]:
    own: dict[str, list[float]] = {}
    for trial in trials:
        if found := value(trial):
            own.setdefault(trial.cell_id, []).append(found)
    return own.values()


def _summed(name: str, what: str, quantity: str, ratios: Sequence[float]) -> Iterable[Evidence]:
    if ratios:
        yield Evidence(
            correction=name,
            what=what,
            quantity=quantity,
            ratio=exp(fmean(map(log, ratios))),
            low=min(ratios),
            high=max(ratios),
            cells=len(ratios),
        )
