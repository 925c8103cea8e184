"""C9: which conversions of BERT are taken today, by what converters and ONNX Runtime said of them."""

from collections.abc import Sequence

from greenbench.core.trial import Trial
from greenbench.report.study.claims import TEXTS, Claim, Decision
from greenbench.report.study.naming import runtime_name
from greenbench.report.study.questions import Setting
from greenbench.results.manifest import Manifest

MODEL = "bert_base"
REJECTED = ("tensorflow", "mxnet")
TAKEN = "pytorch"
_RAN, _REFUSED, _FAILED, _UNTRIED = "ran", "refused", "failed", "untried"
_State = tuple[str, str]
"""What became of a conversion, and the sentence that says so."""


def decide_conversions(settings: Sequence[Setting], manifest: Manifest) -> Claim:
    """Decide C9.

    Args:
        settings: Of one run: a trial with a rate proves that ONNX Runtime ran the model.
        manifest: Of that run: refusals by converters and by ONNX Runtime.
    """
    trials = [trial for setting in settings for cell in setting.cells for trial in cell.trials]
    states = {source: _state(source, trials, manifest) for source in (TAKEN, *REJECTED)}
    said = "; ".join(sentence for _, sentence in states.values())
    return Claim(name="C9", text=TEXTS["C9"], decision=_decision(states), reason=said)


def _decision(states: dict[str, _State]) -> Decision:
    others = [states[source][0] for source in REJECTED]
    if _RAN in others or states[TAKEN][0] == _REFUSED:
        return Decision.CONTRADICTED
    if _UNTRIED in {states[TAKEN][0], *others}:
        return Decision.NOT_MEASURED
    reproduced = states[TAKEN][0] == _RAN and set(others) == {_REFUSED}
    return Decision.REPRODUCED if reproduced else Decision.INCONCLUSIVE


def _state(source: str, trials: Sequence[Trial], manifest: Manifest) -> _State:
    name = runtime_name(source)
    own = [
        trial
        for trial in trials
        if trial.runtime == "onnxruntime" and trial.source == source and trial.model == MODEL
    ]
    if any(trial.throughput_samples_per_s for trial in own):
        return _RAN, f"{name}'s ran"
    refused = (item for item in manifest.refused_conversions if (item.source, item.model) == (source, MODEL))
    if refusal := next(refused, None):
        return _REFUSED, f"{name}'s was refused ({refusal.reason.rstrip('.')})"
    if own:
        return _FAILED, f"{name}'s did not run ({own[-1].failure or 'no reason was recorded'})"
    return _UNTRIED, f"{name}'s was not tried"
