"""A run's own loop over the fake runtime, by any launcher: what its tests share."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tests.fleet.conftest import fake_spec
from tests.results.conftest import manifest

from greenbench.bench import trial as loads
from greenbench.bench.durations import Durations
from greenbench.bench.house import House
from greenbench.bench.instruments import Instruments
from greenbench.bench.rows import RunIdentity
from greenbench.bench.schedule import Bench, execute
from greenbench.core.plan import Cell, Plan, Protocol, order
from greenbench.core.progress import Observer, Silence
from greenbench.core.trial import Trial
from greenbench.core.workload import Workload
from greenbench.energy.meter import MeterSet
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.fleet.launcher import Launcher
from greenbench.results.folder import RunFolder

SAMPLE = np.arange(24, dtype=np.float32).reshape(8, 3)
LIAR = "lie"
"""A model whose reference is another network's."""


def plan_of(*models: str, window_s: float = 0.3, rounds: int = 1) -> Plan:
    cells = [
        Cell(
            runtime="fake",
            mode="plain",
            source=None,
            workload=Workload(
                model=model, batch_size=8, precision="fp32", sequence_length=None, weights="matched"
            ),
            path="loop",
            io="device",
            device="cpu",
            threads=1,
            weights_from="seeded",
        )
        for model in models
    ]
    protocol = Protocol(
        window_s=window_s,
        windows=1,
        rounds=rounds,
        baseline_host_s=0,
        baseline_loaded_s=0,
        warmup_cap_s=0.2,
        rest_cap_s=0,
    )
    return Plan(loads=order(cells, rounds=rounds, seed=0), left_out=(), protocol=protocol, seed=0)


def inputs_and_references(monkeypatch) -> None:
    """Give the fake runtime's models inputs, and themselves as reference."""
    monkeypatch.setattr(loads, "batch", lambda model, rows, length: {"input": SAMPLE[:rows]})
    monkeypatch.setattr(
        loads, "reference_outputs", lambda _, cell: SAMPLE * (1.01 if cell.workload.model == LIAR else 1)
    )


def measure(
    launcher: Launcher,
    plan: Plan,
    folder: Path,
    *,
    meters: MeterSet | None = None,
    observer: Observer | None = None,
) -> tuple[Trial, ...]:
    """Measure a plan of the fake runtime's models into ``folder/run``."""
    stored = manifest(order=tuple(load.load_id for load in plan.loads))
    house = House(
        launcher=launcher,
        catalogue={"fake": fake_spec()},
        library=SimpleNamespace(need=lambda *_, **__: SimpleNamespace(path="w", sha256="aa")),
        device="cpu",
    )
    with RunFolder.create(folder, "run", stored) as kept:
        bench = Bench(
            house=house,
            instruments=Instruments(meters=meters or MeterSet(), sensor_period_s=0.0, limits=DEFAULT_LIMITS),
            folder=kept,
            identity=RunIdentity(run_id="run", host_id="h", gpu_uuid=None),
            durations=Durations(folder / "durations.json"),
            observer=observer or Silence(),
        )
        return execute(bench, plan)
