"""The experiment as data: cells, their order over rounds, and what is left out and why."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from greenbench.core.workload import Workload, weights_origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a cell is measured. All lengths in seconds.

    Attributes:
        window_s: Asked length of one window.
        windows: Windows cut from one load.
        rounds: Independent repeats; each round loads every cell once.
        baseline_host_s: Length of B0, nothing of ours running.
        baseline_loaded_s: Length of B1, model loaded and quiet.
        warmup_cap_s: Longest warm-up before the doubt ``not_steady``.
        rest_cap_s: Longest rest for the temperature band.
        rigorous: B1 after the windows too.
        target_u: Relative half width of the interval that rounds are added for after a pilot; None: `rounds`.
        order: ``shuffled`` by the seed, mirrored each second round; or ``fixed``, as the suite names them.
        baseline_every_s: B0 is measured again at least this often, and at the end; 0: once, at the beginning.
        gpu_energy: ``counter`` (the board's own) or ``polled`` (power integrated over polls of 10 ms).
        cpu_meter: ``powercap`` or ``pyrapl``.
    """

    window_s: float
    windows: int
    rounds: int
    baseline_host_s: float
    baseline_loaded_s: float
    warmup_cap_s: float
    rest_cap_s: float
    rigorous: bool = False
    target_u: float | None = None
    order: str = "shuffled"
    baseline_every_s: float = 3600.0
    gpu_energy: str = "counter"
    cpu_meter: str = "powercap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing that is measured: a workload in a mode of a runtime.

    Attributes:
        runtime: Name in the catalogue.
        mode: Mode of that runtime, resolved (never ``default``).
        source: Framework the model was converted from; None where the runtime runs its own.
        workload: What is computed.
        path: ``loop`` (inside the server) or ``served``.
        io: ``device`` (inputs staged on the device) or ``host``.
        device: ``cpu`` or ``cuda``.
        threads: Intra-operator threads, the same in every runtime.
        weights_from: ``seeded``, ``pretrained`` or a folder.
    """

    runtime: str
    mode: str
    source: str | None
    workload: Workload
    path: str
    io: str
    device: str
    threads: int
    weights_from: str

    @property
    def weights_origin(self) -> str:
        """The name under which its weights are kept."""
        return weights_origin(self.workload.weights, self.source or self.runtime, self.weights_from)

    @property
    def cell_id(self) -> str:
        """The cell's readable identity, unique within a run."""
        load = self.workload
        names = [self.runtime, self.mode]
        names += [f"from-{self.source}"] if self.source else []
        names += [load.model, load.precision, f"b{load.batch_size}"]
        names += [f"l{load.sequence_length}"] if load.sequence_length else []
        names += [part for part, usual in ((load.weights, "matched"), (self.path, "loop")) if part != usual]
        names += [f"io-{self.io}"] if self.io != "device" else []
        return ".".join(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A cell that the suite asks for and this plan does not hold.

    Attributes:
        cell: Its description, in the words of the suite.
        reason: One sentence.
    """

    cell: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """One load of one cell: the unit in which a run proceeds and resumes.

    Attributes:
        round: From 1.
        position: Place in the whole run, from 0.
        cell: What is loaded.
    """

    round: int
    position: int
    cell: Cell

    @property
    def load_id(self) -> str:
        """Identity within the run, without the attempt."""
        return f"r{self.round:02d}.{self.cell.cell_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be measured, in order, and what was left out.

    Attributes:
        loads: Every load of every round, in order.
        left_out: What was asked for and is not measured.
        protocol: How each load is measured.
        seed: Seed of the order.
    """

    loads: tuple[PlannedLoad, ...]
    left_out: tuple[LeftOut, ...]
    protocol: Protocol
    seed: int

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The distinct cells, in the order of the first round."""
        return tuple(dict.fromkeys(load.cell for load in self.loads))


def order(cells: Sequence[Cell], *, rounds: int, seed: int, fixed: bool = False) -> tuple[PlannedLoad, ...]:
    """Lay the cells out over the rounds.

    Odd rounds are shuffled, runtimes first and cells inside a runtime next; each even round
    is the reverse of the round before it, so that slow drift cancels in pairs.

    Args:
        cells: Distinct cells.
        rounds: Number of rounds, at least 1.
        seed: Seed of every shuffle.
        fixed: Leave every round in the order of `cells`.

    Returns:
        One load per cell and round, with positions counted over the whole run.
    """
    by_id = {cell.cell_id: cell for cell in cells}
    rows = order_of_ids(tuple(by_id), rounds=rounds, seed=seed, fixed=fixed)
    return tuple(
        PlannedLoad(round=1 + position // len(by_id), position=position, cell=by_id[cell_id])
        for position, cell_id in enumerate(rows)
    )


def order_of_ids(cell_ids: Sequence[str], *, rounds: int, seed: int, fixed: bool = False) -> tuple[str, ...]:
    """Lay cells out over the rounds by their ids alone, as `order` does: what a stored run is checked by.

    Args:
        cell_ids: Distinct; each begins with its runtime's name.
        rounds: Number of rounds, at least 1.
        seed: Seed of every shuffle.
        fixed: As in `order`.
    """
    if fixed:
        return tuple(cell_ids) * rounds
    generator = random.Random(seed)  # noqa: S311 - an order of measuring, not a secret
    found: list[str] = []
    sequence: list[str] = []
    for number in range(1, rounds + 1):
        sequence = _shuffled(cell_ids, generator) if number % 2 else sequence[::-1]
        found += sequence
    return tuple(found)


def _runtime_of(cell_id: str) -> str:
    return cell_id.partition(".")[0]


def _shuffled(cell_ids: Sequence[str], generator: random.Random) -> list[str]:
    runtimes = sorted({_runtime_of(cell_id) for cell_id in cell_ids})
    generator.shuffle(runtimes)
    result: list[str] = []
    for runtime in runtimes:
        own = sorted(cell_id for cell_id in cell_ids if _runtime_of(cell_id) == runtime)
        generator.shuffle(own)
        result += own
    return result
