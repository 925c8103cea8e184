"""Made-up runs of the study: cells of known cost over rounds that the host slows down together."""

from datetime import UTC, datetime

import numpy as np

from greenbench.bench.suites import load_suite
from greenbench.core.doubt import Verdict
from greenbench.core.trial import Trial
from greenbench.report.study.questions import settings_of
from greenbench.report.study.rules import claims_of
from greenbench.results.manifest import Manifest

MODELS = ("resnet50", "mobilenet_v2", "bert_base")
BATCHES = (1, 64)
ROUNDS = 10
_MODES = {"pytorch": "eager", "tensorflow": "graph", "mxnet": "hybrid"}


def trial(runtime, model, batch, number, *, cost=1.0, joules=None, mode=None, source=None, **values):
    """Return a trial whose energy (net of idle) and time are `cost`; gross energy is a tenth more."""
    joules = cost if joules is None else joules
    mode = mode or _MODES.get(runtime, "eager")
    cell = ".".join(filter(None, (runtime, mode, source and f"from-{source}", model, "fp32", f"b{batch}")))
    base = {
        "run_id": "run", "trial_id": f"{cell}.{number}", "cell_id": cell, "load_id": f"r{number:02d}.{cell}",
        "round": number, "window": 1, "attempt": 1, "position": number, "host_id": "h", "gpu_uuid": "GPU-1",
        "runtime": runtime, "mode": mode, "source": source, "model": model, "precision": "fp32",
        "batch_size": batch, "sequence_length": 128 if model == "bert_base" else None, "weights": "matched",
        "weights_from": "seeded", "path": "loop", "io": "device", "device": "cuda", "threads": 8,
        "samples": 1.0, "throughput_samples_per_s": 1 / cost, "energy_scope": "gpu",
        "energy_gpu_net_b0_j": joules, "energy_j_per_sample": 1.1 * joules, "verdict": Verdict.VALID,
    }  # fmt: skip
    return Trial(**(base | values))


def cell(runtime, model, batch, cost=1.0, *, rounds=ROUNDS, noise=0.005, seed=0, **values):
    """Return a cell's trials: a factor per round that all cells share, and a little noise of its own."""
    shared = np.random.default_rng(99).normal(0, 0.2, rounds)
    named = f"{runtime}{values.get('mode')}{values.get('source')}{model}{batch}"
    own = np.random.default_rng([seed, *named.encode()]).normal(0, noise, rounds)
    scale = 10.0 if model == "bert_base" else 1.0
    return [
        trial(
            runtime,
            model,
            batch,
            number,
            cost=float(cost * scale / batch**0.5 * np.exp(shared[number - 1] + own[number - 1])),
            **values,
        )
        for number in range(1, rounds + 1)
    ]


def onnx(source, model, batch, cost, provider="cuda", **values):
    return cell("onnxruntime", model, batch, cost, mode=provider, source=source, **values)


def as_in_the_study(**changed):
    """Return every cell of the study, costing what its claims say.

    Args:
        changed: ``runtime`` or ``source_provider`` -> factor on its costs at every model and batch size.
    """
    trials = []
    for model in MODELS:
        for batch in BATCHES:
            costs = dict(_FRAMEWORKS[(model == "bert_base", batch)])
            trials += [
                made
                for name, cost in costs.items()
                for made in cell(name, model, batch, cost * changed.get(name, 1))
            ]
            for source, cost in costs.items():
                worse = source == "pytorch" and (model, batch) == ("resnet50", 64)
                cuda = cost * (1.10 if worse else 0.8) * changed.get(f"{source}_cuda", 1)
                trials += onnx(source, model, batch, cuda)
                trials += onnx(
                    source,
                    model,
                    batch,
                    cuda * 0.7 * changed.get(f"{source}_tensorrt", 1),
                    provider="tensorrt",
                )
    return trials


_FRAMEWORKS = {
    (False, 1): {"pytorch": 1.2, "tensorflow": 1.5, "mxnet": 1.0},
    (False, 64): {"pytorch": 1.0, "tensorflow": 1.5, "mxnet": 1.005},
    (True, 1): {"pytorch": 1.0, "tensorflow": 1.4, "mxnet": 1.3},
    (True, 64): {"pytorch": 1.0, "tensorflow": 1.4, "mxnet": 1.3},
}


def manifest(**values):
    suite = load_suite("study")
    base = {
        "run_id": "run", "created_utc": datetime(2026, 1, 2, tzinfo=UTC).isoformat(),
        "greenbench_version": "0.1.0", "suite": suite.as_mapping(), "suite_sha256": suite.sha256, "seed": 7,
        "order": (), "host": {"host_id": "h"}, "device": "cuda",
    }  # fmt: skip
    return Manifest(**(base | values))


def claims(trials, **values):
    return {claim.name: claim for claim in claims_of(settings_of(trials), manifest(**values))}
