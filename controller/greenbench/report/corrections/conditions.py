"""What a stored run says of each condition that greenbench sets otherwise than the study."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from greenbench.core.trial import Baseline
from greenbench.core.units import seconds_from_ns
from greenbench.report.document import Document
from greenbench.report.numbers import counted

WEIGHTS, MODE, GPU_ENERGY, CPU_METER, BASELINE, ORDER = (
    "weights", "numeric mode", "GPU energy", "CPU energy", "idle baseline", "order",
)  # fmt: skip
NOT_MEASURED = "not measured"
"""Why stands with each run; a reason worded otherwise is no other condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of two runs.

    Attributes:
        name: Such as ``weights``.
        a: What the first run did.
        b: What the second did.
    """

    name: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        """Whether the two did otherwise."""
        return self.a != self.b


def conditions_of(a: Document, b: Document) -> tuple[Condition, ...]:
    """Return every condition of two runs, equal ones too, from their manifests, trials and baselines."""
    return tuple(Condition(name=name, a=told(a), b=told(b)) for name, told in _TOLD.items())


def idle_baselines(baselines: Iterable[Baseline]) -> dict[str, list[Baseline]]:
    """Return domain -> its idle baselines (B0), in order of time."""
    found: dict[str, list[Baseline]] = {}
    for one in sorted(baselines, key=lambda one: one.begin_ns):
        if one.kind == "B0":
            found.setdefault(one.domain, []).append(one)
    return found


def polls(document: Document) -> bool:
    """Tell whether a run integrated polled power instead of reading the board's counter."""
    return _protocol(document, "gpu_energy") == "polled"


def _protocol(document: Document, key: str) -> object:
    return document.manifest.suite.get("protocol", {}).get(key)


def _weights(document: Document) -> str:
    return _listed(f"{trial.weights}, {trial.weights_from}" for trial in document.trials)


def _modes(document: Document) -> str:
    return _listed(trial.precision for trial in document.trials)


def _gpu_energy(document: Document) -> str:
    if not any(trial.energy_gpu_j is not None for trial in document.trials):
        return NOT_MEASURED
    return "power polled and integrated" if polls(document) else "the board's own counter"


def _cpu_energy(document: Document) -> str:
    if not any(trial.energy_cpu_j is not None for trial in document.trials):
        return NOT_MEASURED
    # Runs that were kept before the suite could choose name no meter: powercap was all there was.
    return str(_protocol(document, "cpu_meter") or "powercap")


def _baseline(document: Document) -> str:
    found = next(iter(idle_baselines(document.baselines).values()), [])
    if not found:
        return "none was measured"
    lengths = sorted({round(seconds_from_ns(one.end_ns - one.begin_ns)) for one in found})
    length = f"{lengths[0]} s" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]} s"
    if len(found) == 1:
        return f"one of {length}"
    return f"{counted(len(found), 'baseline')} of {length}, interpolated in time"


def _order(document: Document) -> str:
    if _protocol(document, "order") == "fixed":
        return "fixed: every round in the order of the suite"
    return "shuffled by the seed, each second round mirrored"


def _listed(values: Iterable[str]) -> str:
    return "; ".join(sorted(set(values))) or "no trial"


_TOLD: dict[str, Callable[[Document], str]] = {
    WEIGHTS: _weights,
    MODE: _modes,
    GPU_ENERGY: _gpu_energy,
    CPU_METER: _cpu_energy,
    BASELINE: _baseline,
    ORDER: _order,
}
