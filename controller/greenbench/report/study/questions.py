"""The research questions: which cells are compared for each, and what is said per model and batch size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from greenbench.core.trial import Trial
from greenbench.report.answer import title_of
from greenbench.report.contrast import round_means
from greenbench.report.statistics import Friedman, friedman, holm
from greenbench.report.study.comparing import (
    ENERGY,
    TIME,
    CellTrials,
    Finding,
    Quantity,
    cells_of,
    finding_of,
    with_holm,
)

TITLES = {
    "RQ1": "Do the frameworks differ?",
    "RQ2": "What does converting to ONNX change?",
    "RQ3": "Which execution provider?",
}
_USUAL_MODES = ("eager", "graph", "jit")
_ORDER = ("pytorch", "tensorflow", "mxnet", "jax")
_CONVERTED = "onnxruntime"
_Pairs = tuple[tuple[CellTrials, CellTrials], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One research question for one model and batch size.

    Attributes:
        setting: Title of what its cells have in common.
        findings: Pairs, Holm-adjusted within the question.
        friedman_energy: Over all its cells, gross energy; None below three, or without energy.
        friedman_time: Likewise.
    """

    setting: str
    findings: tuple[Finding, ...]
    friedman_energy: Friedman | None
    friedman_time: Friedman | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One research question.

    Attributes:
        name: ``RQ1``, ``RQ2`` or ``RQ3``.
        title: The question.
        groups: Per model, batch size, precision.
    """

    name: str
    title: str
    groups: tuple[Group, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all groups."""
        return tuple(finding for group in self.groups for finding in group.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Cells that may be compared with each other: one model, batch size and precision.

    Attributes:
        title: What they have in common.
        cells: All of them.
    """

    title: str
    cells: tuple[CellTrials, ...]

    @property
    def first(self) -> Trial:
        """A trial that tells what the setting is."""
        return self.cells[0].first

    def framework(self, runtime: str) -> CellTrials | None:
        """Return a framework's own cell; of several modes its usual one, else the first measured."""
        own = [cell for cell in self.cells if cell.first.runtime == runtime and cell.first.source is None]
        usual = [cell for mode in _USUAL_MODES for cell in own if cell.first.mode == mode]
        return next(iter([*usual, *own]), None)

    def converted(self, source: str, provider: str) -> CellTrials | None:
        """Return ONNX Runtime's cell of a converted model on one execution provider."""
        wanted = (_CONVERTED, source, provider)
        found = (
            cell for cell in self.cells if (cell.first.runtime, cell.first.source, cell.first.mode) == wanted
        )
        return next(found, None)

    @property
    def sources(self) -> tuple[str, ...]:
        """Frameworks that converted models come from, as measured."""
        found = (cell.first.source for cell in self.cells if cell.first.runtime == _CONVERTED)
        return tuple(dict.fromkeys(source for source in found if source))


def settings_of(trials: Sequence[Trial]) -> tuple[Setting, ...]:
    """Return the settings of a run's last attempts, sorted by title as all tables are."""
    own: dict[str, list[Trial]] = {}
    for trial in trials:
        own.setdefault(title_of(trial), []).append(trial)
    return tuple(Setting(title=title, cells=cells_of(some)) for title, some in sorted(own.items()))


def questions_of(settings: Sequence[Setting], absent: Mapping[str, str]) -> tuple[Question, ...]:
    """Answer every research question.

    Args:
        settings: Of one run.
        absent: Domain -> why this host cannot measure it.
    """
    pairs = {"RQ1": _frameworks, "RQ2": _conversions, "RQ3": _providers}
    found = []
    for name, title in TITLES.items():
        chosen = ((setting, tuple(pairs[name](setting))) for setting in settings)
        groups = tuple(_group(setting.title, own, absent) for setting, own in chosen if own)
        found.append(_adjusted(Question(name=name, title=title, groups=groups)))
    return tuple(found)


def _frameworks(setting: Setting) -> Iterator[tuple[CellTrials, CellTrials]]:
    runtimes = dict.fromkeys(cell.first.runtime for cell in setting.cells if cell.first.source is None)
    ordered = sorted(runtimes, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    cells = [cell for name in ordered if (cell := setting.framework(name))]
    yield from ((other, subject) for subject, other in combinations(cells, 2))


def _conversions(setting: Setting) -> Iterator[tuple[CellTrials, CellTrials]]:
    for source in setting.sources:
        origin, converted = setting.framework(source), setting.converted(source, setting.first.device)
        if origin and converted:
            yield origin, converted


def _providers(setting: Setting) -> Iterator[tuple[CellTrials, CellTrials]]:
    for source in setting.sources:
        usual = setting.converted(source, setting.first.device)
        others = (
            cell
            for cell in setting.cells
            if cell.first.runtime == _CONVERTED and cell.first.source == source and cell is not usual
        )
        yield from ((usual, other) for other in others if usual)


def _group(title: str, pairs: _Pairs, absent: Mapping[str, str]) -> Group:
    cells = tuple({cell.first.cell_id: cell for pair in pairs for cell in pair}.values())
    return Group(
        setting=title,
        findings=tuple(finding_of(a, b, absent) for a, b in pairs),
        friedman_energy=_friedman(cells, ENERGY),
        friedman_time=_friedman(cells, TIME),
    )


def _friedman(cells: Sequence[CellTrials], quantity: Quantity) -> Friedman | None:
    if quantity.is_energy and len({trial.energy_scope for cell in cells for trial in cell.used}) > 1:
        return None
    rounds = [round_means(cell.used, quantity.of_trial) for cell in cells]
    shared = sorted(set.intersection(*(set(own) for own in rounds)))
    return friedman([[own[number] for number in shared] for own in rounds]) if shared else None


def _adjusted(question: Question) -> Question:
    """Return the question with Holm's p-values; each quantity over all its pairs is one family."""
    adjusted = {
        (place, finding.cell_a, finding.cell_b): p
        for place in range(3)
        for finding, p in _family(question.findings, place)
    }
    groups = tuple(
        replace(group, findings=tuple(_with_holm(finding, adjusted) for finding in group.findings))
        for group in question.groups
    )
    return replace(question, groups=groups)


def _family(findings: Sequence[Finding], place: int) -> Iterator[tuple[Finding, float]]:
    tested = [
        (finding, effect.difference.p)
        for finding in findings
        if (effect := finding.effects[place]).difference and effect.difference.p is not None
    ]
    return zip((finding for finding, _ in tested), holm([p for _, p in tested]), strict=True)


def _with_holm(finding: Finding, adjusted: Mapping[tuple[int, str, str], float]) -> Finding:
    energy, net, time = (
        with_holm(effect, adjusted.get((place, finding.cell_a, finding.cell_b)))
        for place, effect in enumerate(finding.effects)
    )
    return replace(finding, energy=energy, energy_net=net, time=time)
