"""What a run found, ready to be rendered as text or as JSON: groups, marks, doubts, what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greenbench.core.doubt import SENTENCES, Doubt, Verdict
from greenbench.core.plan import LeftOut
from greenbench.core.trial import Trial
from greenbench.report.numbers import counted
from greenbench.results.cells import CellSummary, last_attempts, summarise

CHEAPEST, FASTEST = "cheapest", "fastest"
_ENERGY_DOMAINS = ("gpu", "cpu", "dram", "energy_total_j", "energy_j_per_sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cells that are compared with each other: one model, batch size and precision.

    Attributes:
        title: In the words of the suite.
        cells: Compared, in the order of measuring.
        marked: cell_id of the cheapest or fastest; None where nothing was there to compare.
        mark: ``cheapest`` (by energy per sample) or ``fastest``.
        remark: Why none is marked, or why it is the fastest; empty where there is nothing to say.
    """

    title: str
    cells: tuple[CellSummary, ...]
    marked: str | None
    mark: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run found.

    Attributes:
        run_id: Which run.
        folder: Where its files are.
        groups: The figures.
        no_energy: Why no energy was measured; empty where it was.
        doubts: One sentence per rule and limit, with counts.
        left_out: One sentence per reason.
        failures: One sentence per failure.
    """

    run_id: str
    folder: str
    groups: tuple[Group, ...]
    no_energy: str
    doubts: tuple[str, ...]
    left_out: tuple[str, ...]
    failures: tuple[str, ...]


def answer_of(
    trials: Iterable[Trial],
    *,
    run_id: str,
    folder: str,
    left_out: Sequence[LeftOut] = (),
    absent: Mapping[str, str] | None = None,
) -> Answer:
    """Work out what a run found.

    Args:
        trials: All of one run.
        run_id: Which run.
        folder: Where its files are.
        left_out: What was asked for and not measured.
        absent: Domain -> why this host cannot measure it, for a run whose trials do not tell.
    """
    stood_by = last_attempts(trials)
    cells = summarise(stood_by)
    return Answer(
        run_id=run_id,
        folder=folder,
        groups=_groups(cells),
        no_energy=_no_energy(cells, absent or {}),
        doubts=_doubts(stood_by),
        left_out=_left_out(left_out),
        failures=_failures(stood_by),
    )


def label_of(cell: CellSummary | Trial) -> str:
    """Return what tells a cell apart within its group: runtime, mode and where the model came from."""
    source = f" from {cell.source}" if cell.source else ""
    return f"{cell.runtime} {cell.mode}{source}"


def title_of(cell: CellSummary | Trial) -> str:
    """Return what cells that are compared have in common: model, batch size, precision and the like."""
    parts = [cell.model, f"batch {cell.batch_size}", cell.precision]
    parts += [f"{cell.sequence_length} tokens"] if cell.sequence_length else []
    parts += [f"{cell.weights} weights"] if cell.weights != "matched" else []
    parts += [cell.path] if cell.path != "loop" else []
    parts += [f"{cell.io} io"] if cell.io != "device" else []
    return ", ".join([*parts, cell.device])


def _groups(cells: Iterable[CellSummary]) -> tuple[Group, ...]:
    titled: dict[str, list[CellSummary]] = {}
    cells = tuple(cells)
    several = len({cell.hosts for cell in cells}) > 1
    for cell in cells:
        # Hosts are blocks: what another host measured stands in a group of its own and is never ranked.
        where = f", host {' and '.join(cell.hosts)}" if several else ""
        titled.setdefault(title_of(cell) + where, []).append(cell)
    return tuple(_group(title, own) for title, own in sorted(titled.items()))


def _group(title: str, cells: Sequence[CellSummary]) -> Group:
    usable = [cell for cell in cells if cell.usable]
    costs = {cell.cell_id: cell.energy_j_per_sample.mean for cell in usable if cell.energy_j_per_sample}
    if not costs:
        return _group_by_rate(title, cells, usable)
    scopes = sorted({cell.energy_scope for cell in usable if cell.cell_id in costs})
    if len(scopes) > 1:
        remark = f"none is marked: energies cover different domains ({' and '.join(scopes)})"
        return Group(title=title, cells=tuple(cells), marked=None, mark=CHEAPEST, remark=remark)
    missing = len(cells) - len(costs)
    remark = f"the cheapest of those with an energy; {counted(missing, 'cell')} without" if missing else ""
    cheapest = min(costs, key=costs.__getitem__)
    return Group(title=title, cells=tuple(cells), marked=cheapest, mark=CHEAPEST, remark=remark)


def _group_by_rate(title: str, cells: Sequence[CellSummary], usable: Sequence[CellSummary]) -> Group:
    rates = {
        cell.cell_id: cell.throughput_samples_per_s.mean for cell in usable if cell.throughput_samples_per_s
    }
    fastest = max(rates, key=rates.__getitem__) if rates else None
    remark = "" if rates else "none is marked: no cell has a trial that is valid or doubtful"
    return Group(title=title, cells=tuple(cells), marked=fastest, mark=FASTEST, remark=remark)


def _no_energy(cells: Sequence[CellSummary], absent: Mapping[str, str]) -> str:
    if not cells or any(cell.energy_j_per_sample for cell in cells):
        return ""
    found = [
        (item.domain, item.reason) for cell in cells for item in cell.absent if item.domain in _ENERGY_DOMAINS
    ]
    # One reason often holds for several domains.
    domains: dict[str, list[str]] = {}
    for domain, reason in dict.fromkeys(found or absent.items()):
        domains.setdefault(reason.rstrip("."), []).append(domain)
    return (
        "; ".join(f"{', '.join(names)}: {reason}" for reason, names in domains.items()) or "no trial says why"
    )


def _doubts(trials: Sequence[Trial]) -> tuple[str, ...]:
    found: dict[tuple[str, Verdict, float], list[tuple[Doubt, Trial]]] = {}
    for trial in trials:
        for doubt in trial.doubts:
            found.setdefault((doubt.rule, doubt.verdict, doubt.limit), []).append((doubt, trial))
    ordered = sorted(found.values(), key=lambda own: (own[0][0].verdict is not Verdict.INVALID, -len(own)))
    return tuple(_doubt_sentence(own, total=len(trials)) for own in ordered)


def _doubt_sentence(own: Sequence[tuple[Doubt, Trial]], *, total: int) -> str:
    doubt = own[0][0]
    values = [item.value for item, _ in own]
    worst = min(values) if values[0] < doubt.limit else max(values)
    where = dict.fromkeys(f"{label_of(trial)} {trial.model}" for _, trial in own)
    return (
        f"{doubt.verdict}, {len(own)} of {counted(total, 'trial')}: {SENTENCES[doubt.rule]} "
        f"({doubt.rule}: worst {worst:.4g}, limit {doubt.limit:.4g}) in {_some(where)}"
    )


def _left_out(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    reasons: dict[str, list[str]] = {}
    for item in left_out:
        reasons.setdefault(item.reason, []).append(item.cell)
    return tuple(f"{_some(dict.fromkeys(cells))}: {reason}" for reason, cells in reasons.items())


def _failures(trials: Sequence[Trial]) -> tuple[str, ...]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        # A trial whose outputs disagreed is invalid and has a failure as well: it was never timed.
        if trial.verdict is Verdict.FAILED or trial.failure:
            found.setdefault(trial.failure or "no reason was recorded", []).append(trial)
    return tuple(
        f"{counted(len(own), 'trial')} of {_some(dict.fromkeys(item.cell_id for item in own))}: {sentence}"
        for sentence, own in found.items()
    )


def _some(names: Mapping[str, object]) -> str:
    shown = list(names)[:3]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
