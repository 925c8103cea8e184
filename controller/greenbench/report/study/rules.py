"""Which comparisons each claim asks of a run, and by which rule they decide it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from greenbench.report.numbers import counted
from greenbench.report.statistics import Outcome
from greenbench.report.study.claims import (
    TEXTS,
    Claim,
    Decision,
    Evidence,
    Missing,
    beyond,
    decide_all,
    decide_mostly,
    equivalent,
    higher,
    lower,
    not_higher,
    not_measured,
)
from greenbench.report.study.comparing import (
    CPU_TIME,
    GPU_USE,
    NET,
    CellTrials,
    Finding,
    effect_of,
    finding_of,
)
from greenbench.report.study.conversions import decide_conversions
from greenbench.report.study.course import energy_with_time
from greenbench.report.study.naming import model_name, provider_name, runtime_name
from greenbench.report.study.questions import Setting
from greenbench.results.manifest import Manifest

VISION = ("resnet50", "mobilenet_v2")
MODELS = (*VISION, "bert_base")
BATCHES = (1, 64)
SOURCES = ("pytorch", "tensorflow", "mxnet")
_ALMOST_PERFECT = 0.9
_Who = tuple[str, str | None]
"""Runtime, or source and execution provider: who is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What claims are decided on: one setting per model and batch size.

    Attributes:
        settings: (model, batch size) -> setting.
        manifest: Of the run: why things are missing.
    """

    settings: Mapping[tuple[str, int], Setting]
    manifest: Manifest

    def evidence(self, asked: Sequence[tuple[str, int, _Who, _Who]]) -> Evidence:
        """Compare what is asked for: model, batch size, who, against whom."""
        findings, missing = [], []
        for model, batch, subject, other in asked:
            a, b = (self.cell(model, batch, who) for who in (other, subject))
            if a and b:
                findings.append(finding_of(a, b, self.manifest.absent))
            else:
                place = f"{model_name(model)} batch {batch}"
                whose = [who for who, cell in ((other, a), (subject, b)) if cell is None]
                missing += [Missing(place=place, reason=self._why(model, batch, who)) for who in whose]
        return Evidence(findings=tuple(findings), missing=tuple(missing))

    def cell(self, model: str, batch: int, who: _Who) -> CellTrials | None:
        """Return whose cell is meant; None where it was not measured."""
        setting = self.settings.get((model, batch))
        if setting is None:
            return None
        name, provider = who
        return setting.converted(name, provider) if provider else setting.framework(name)

    def _why(self, model: str, batch: int, who: _Who) -> str:
        name, provider = who
        runtime = f"onnxruntime.{provider}.from-{name}" if provider else name
        general = (
            {"onnxruntime", f"onnxruntime.{provider}", f"onnxruntime.from-{name}"} if provider else {name}
        )
        reasons = [
            item.reason.rstrip(".")
            for item in self.manifest.left_out
            if item.cell in general or _names(item.cell, runtime, model, batch)
        ]
        title = (
            f"{runtime_name(name)}'s ONNX on {provider_name(provider)}" if provider else runtime_name(name)
        )
        return f"{title} was not measured" + (f": {reasons[0]}" if reasons else "")


def _names(cell: str, runtime: str, model: str, batch: int) -> bool:
    """Tell whether a left-out cell is one of these; runtimes as a whole are named without a mode."""
    parts = cell.split(".")
    fits = {model, f"b{batch}", "fp32"} <= set(parts)
    return fits and (cell.startswith(f"{runtime}.") or parts[:2] == [runtime.partition(".")[0], model])


def claims_of(settings: Sequence[Setting], manifest: Manifest) -> tuple[Claim, ...]:
    """Decide every claim.

    Args:
        settings: Of one run.
        manifest: Of that run.
    """
    ninth = decide_conversions(settings, manifest)
    if manifest.device != "cuda":
        reason = f"the study's claims are about a GPU; this run measured the {manifest.device.upper()}"
        return (*(not_measured(name, reason) for name in TEXTS if name != "C9"), ninth)
    bench = Bench(settings=_chosen(settings), manifest=manifest)
    return (
        *_about_frameworks(bench),
        _usually(bench, "C5"),
        decide_all(
            "C6",
            bench.evidence([("resnet50", 64, ("pytorch", "cuda"), ("pytorch", None))]),
            reproduces=higher,
            contradicts=not_higher,
        ),
        _always(bench, "C7"),
        _correlated(bench, "C8"),
        ninth,
    )


def _chosen(settings: Sequence[Setting]) -> dict[tuple[str, int], Setting]:
    """Return one setting per model and batch size: fp32, matched weights, loop where measured."""

    def preference(setting: Setting) -> tuple[bool, ...]:
        first = setting.first
        usual = (
            first.precision == "fp32",
            first.weights == "matched",
            first.path == "loop",
            first.io == "device",
        )
        return tuple(not one for one in usual)

    chosen: dict[tuple[str, int], Setting] = {}
    for setting in sorted(settings, key=preference):
        chosen.setdefault((setting.first.model, setting.first.batch_size), setting)
    return chosen


def _about_frameworks(bench: Bench) -> Iterator[Claim]:
    pytorch, tensorflow, mxnet = (("pytorch", None), ("tensorflow", None), ("mxnet", None))
    first = bench.evidence([(model, 1, mxnet, rival) for model in VISION for rival in (pytorch, tensorflow)])
    yield _with_mechanism(bench, decide_all("C1", first, reproduces=lower, contradicts=higher))
    second = bench.evidence([(model, 64, mxnet, pytorch) for model in VISION])
    yield decide_all("C2", second, reproduces=equivalent, contradicts=beyond)
    third = bench.evidence([(model, 64, tensorflow, rival) for model in VISION for rival in (pytorch, mxnet)])
    yield decide_all("C3", third, reproduces=higher, contradicts=lower)
    fourth = bench.evidence(
        [("bert_base", size, pytorch, rival) for size in BATCHES for rival in (tensorflow, mxnet)]
    )
    yield decide_all("C4", fourth, reproduces=lower, contradicts=higher)


def _with_mechanism(bench: Bench, claim: Claim) -> Claim:
    """Return C1 with what became of its stated mechanism: more use of the GPU and less of the CPU."""
    cells = [
        (a, b)
        for model in VISION
        for rival in ("pytorch", "tensorflow")
        if (a := bench.cell(model, 1, (rival, None))) and (b := bench.cell(model, 1, ("mxnet", None)))
    ]
    said = [
        f"{quantity.words} {wanted} in {sum(outcome is wanted for outcome in outcomes)} of {len(outcomes)}"
        for quantity, wanted in ((CPU_TIME, Outcome.LOWER), (GPU_USE, Outcome.HIGHER))
        if (outcomes := [one for a, b in cells if (one := effect_of(quantity, a, b, {}).outcome)])
    ]
    return replace(claim, reason=f"{claim.reason}; its mechanism: {', '.join(said)}") if said else claim


def _usually(bench: Bench, name: str) -> Claim:
    return decide_mostly(name, _over_sources(bench, lambda source: ((source, "cuda"), (source, None))))


def _always(bench: Bench, name: str) -> Claim:
    evidence = _over_sources(bench, lambda source: ((source, "tensorrt"), (source, "cuda")))
    return decide_all(name, evidence, reproduces=lower, contradicts=higher)


def _over_sources(bench: Bench, pair: Callable[[str], tuple[_Who, _Who]]) -> Evidence:
    """Compare for every source that was measured; each model and batch size needs at least one.

    "Usually" and "always" are said of the study's whole grid: a run of one model cannot decide them, and
    one that lacks a source, as MXNet on GPUs that it has no kernels for, still can.
    """
    findings: list[Finding] = []
    missing: list[Missing] = []
    for model, batch in product(MODELS, BATCHES):
        tried = [bench.evidence([(model, batch, *pair(source))]) for source in SOURCES]
        found = [finding for one in tried for finding in one.findings]
        findings += found
        # One source stands for all: each would give the same reasons three times.
        missing += [] if found else [one for evidence in tried[:1] for one in evidence.missing]
    return Evidence(findings=tuple(findings), missing=tuple(missing))


def _correlated(bench: Bench, name: str) -> Claim:
    cells = [cell for setting in bench.settings.values() for cell in setting.cells]
    found = energy_with_time(cells, NET)
    if found is None or found.low is None or found.high is None:
        return not_measured(name, "it takes four cells with energy net of idle and time")
    said = (
        f"Spearman's rho {found.rho:.3f} ({found.low:.3f} to {found.high:.3f}) between energy net of idle "
        f"and time, medians of {counted(found.points, 'cell')}"
    )
    if found.low >= _ALMOST_PERFECT:
        decision = Decision.REPRODUCED
    else:
        decision = Decision.CONTRADICTED if found.high < _ALMOST_PERFECT else Decision.INCONCLUSIVE
    return Claim(name=name, text=TEXTS[name], decision=decision, reason=said)
