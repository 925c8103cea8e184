"""From a suite to a plan: which cells, in which order, and what is left out and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from greenbench.bench.rounds import PILOT_ROUNDS
from greenbench.core.architecture import lacks_kernels, version
from greenbench.core.errors import ConfigurationError
from greenbench.core.plan import Cell, LeftOut, Plan, Protocol, order
from greenbench.core.runtime import RuntimeSpec
from greenbench.core.shard import Block, Shard, blocks_of, part_of, share_of
from greenbench.core.suite import Suite
from greenbench.core.workload import TEXT_MODELS, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """What a plan needs to know of the host.

    Attributes:
        device: ``cpu`` or ``cuda``, decided.
        architecture: The GPU's ``sm_NN``; None on the CPU.
        gpu_name: As the driver names it; None on the CPU.
        cuda_driver: Newest CUDA that the driver knows, as NVML writes it: 12020 is 12.2; None if untold.
        physical_cores: What ``threads = 0`` means.
        adopted: Runtimes whose environment the user gave; their kernels are not the catalogue's.
        refused: Why conversions can't be had, by model, source, origin of the weights, sequence length.
    """

    device: str
    architecture: str | None = None
    gpu_name: str | None = None
    cuda_driver: int | None = None
    physical_cores: int = 1
    adopted: frozenset[str] = frozenset()
    refused: Mapping[tuple[str, str, str, int | None], str] = field(default_factory=dict)


def make_plan(
    suite: Suite,
    catalogue: Mapping[str, RuntimeSpec],
    host: HostView,
    *,
    seed: int,
    shard: Shard | None = None,
) -> Plan:
    """Lay out a suite on this host.

    Args:
        suite: What is asked for.
        catalogue: The runtimes there are.
        host: What this host can do.
        seed: Seed of the order.
        shard: Which part; None for all of it.

    Returns:
        The plan; cells that cannot be measured here are in `Plan.left_out` with the reason.

    Raises:
        ConfigurationError: The suite cannot be cut into so many shards.
    """
    cells: dict[str, Cell] = {}
    left_out: dict[str, LeftOut] = {}
    for name, workload in product(suite.matrix.runtime, _workloads(suite)):
        for found in _cells_of(name, workload, suite, catalogue, host):
            if isinstance(found, LeftOut):
                left_out.setdefault(found.cell, found)
            else:
                cells.setdefault(found.cell_id, found)
    protocol = _protocol(suite)
    fixed = protocol.order == "fixed"
    loads = order(tuple(cells.values()), rounds=protocol.rounds, seed=seed, fixed=fixed)
    plan = Plan(loads=loads, left_out=tuple(left_out.values()), protocol=protocol, seed=seed)
    return part_of(plan, blocks_in(suite, shard, seed=seed)) if shard else plan


def blocks_in(suite: Suite, shard: Shard, *, seed: int) -> tuple[Block, ...]:
    """Return the blocks of one shard of a suite.

    Raises:
        ConfigurationError: The suite cannot be cut into so many shards, or not at all.
    """
    if suite.protocol.target_u is not None:
        raise ConfigurationError(
            "protocol.target_u fixes the rounds from a pilot of the whole plan, which no shard sees; "
            "give --rounds with --shard"
        )
    return share_of(blocks_of(suite), shard, seed=seed)


def _protocol(suite: Suite) -> Protocol:
    asked = suite.protocol
    return Protocol(
        window_s=asked.window_s,
        windows=asked.windows,
        rounds=asked.rounds if asked.target_u is None else PILOT_ROUNDS,
        baseline_host_s=asked.baseline_host_s,
        baseline_loaded_s=asked.baseline_loaded_s,
        warmup_cap_s=asked.warmup_cap_s,
        rest_cap_s=asked.rest_cap_s,
        rigorous=asked.rigorous,
        target_u=asked.target_u,
        order=asked.order,
        baseline_every_s=asked.baseline_every_s,
        gpu_energy=asked.gpu_energy,
        cpu_meter=asked.cpu_meter,
    )


def _workloads(suite: Suite) -> Iterator[Workload]:
    matrix = suite.matrix
    for model, batch, precision, weights in product(
        matrix.model, matrix.batch_size, matrix.precision, matrix.weights
    ):
        lengths = matrix.sequence_length if model in TEXT_MODELS else (None,)
        for length in lengths:
            yield Workload(
                model=model, batch_size=batch, precision=precision, sequence_length=length, weights=weights
            )


def _cells_of(
    name: str, workload: Workload, suite: Suite, catalogue: Mapping[str, RuntimeSpec], host: HostView
) -> Iterator[Cell | LeftOut]:
    label = f"{name}.{workload.model}.{workload.precision}.b{workload.batch_size}"
    spec = catalogue.get(name)
    if spec is None:
        known = ", ".join(catalogue)
        yield LeftOut(cell=name, reason=f"{name} is not in this version's catalogue of runtimes ({known})")
        return
    reason = _runtime_reason(spec, host) or _workload_reason(spec, workload, host)
    if reason:
        yield LeftOut(cell=name if _runtime_reason(spec, host) else label, reason=reason)
        return
    for mode, source in product(_modes(spec, suite, host), _sources(spec, suite)):
        if isinstance(mode, LeftOut) or isinstance(source, LeftOut):
            yield mode if isinstance(mode, LeftOut) else source  # type: ignore[misc]
            continue
        for path, io in product(suite.matrix.path, suite.matrix.io):
            cell = Cell(
                runtime=name,
                mode=mode,
                source=source,
                workload=workload,
                path=path,
                io=io,
                device=host.device,
                threads=suite.host.threads or host.physical_cores,
                weights_from=suite.models.weights_from,
            )
            reason = "excluded by the suite" if _excluded(cell, suite) else _mode_reason(spec, cell, host)
            reason = reason or _not_native(cell, catalogue) or _refused(cell, host)
            yield LeftOut(cell=cell.cell_id, reason=reason) if reason else cell


def _not_native(cell: Cell, catalogue: Mapping[str, RuntimeSpec]) -> str | None:
    if cell.workload.weights != "native":
        return None
    owner = catalogue[cell.source or cell.runtime]
    return owner.why_not_native(cell.workload.model, cell.weights_from)


def _mode_reason(spec: RuntimeSpec, cell: Cell, host: HostView) -> str | None:
    """Say why the build that runs a cell's mode cannot run the cell."""
    build = spec.build_for(cell.mode)
    if build is not spec and (reason := _runtime_reason(build, host)):
        return reason
    here, wanted = build.devices[host.device].precisions, cell.workload.precision
    if not here or wanted in here:
        return None
    device = "the CPU" if host.device == "cpu" else "an NVIDIA GPU"
    return f"{wanted} is not in mode {cell.mode} of {spec.title} on {device} ({', '.join(here)})"


def _refused(cell: Cell, host: HostView) -> str | None:
    load = cell.workload
    asked = (load.model, cell.source or "", cell.weights_origin, load.sequence_length)
    return host.refused.get(asked)


def _runtime_reason(spec: RuntimeSpec, host: HostView) -> str | None:
    build = spec.devices.get(host.device)
    if build is None:
        return f"{spec.title} has no {host.device} build in the catalogue"
    if spec.name in host.adopted:
        return None
    if build.brought:
        return (
            f"mode {', '.join(spec.modes)} of {spec.title} needs {build.brought}, which no image of "
            f"greenbench holds: adopt an environment that does with --env {spec.name}=PYTHON"
        )
    if reason := lacks_kernels(spec.title, build.architectures, host.gpu_name, host.architecture):
        return reason
    if host.cuda_driver and not driver_runs(build.cuda, host.cuda_driver):
        return (
            f"{spec.title} ships CUDA {build.cuda}; this driver knows CUDA up to "
            f"{cuda_version(host.cuda_driver)}: update the driver, or adopt an environment with --env"
        )
    return None


def driver_runs(cuda: int, cuda_driver: int) -> bool:
    """Tell whether a driver runs libraries of a CUDA major version (CUDA's minor-version compatibility).

    Args:
        cuda: Major version of the libraries.
        cuda_driver: As in `HostView.cuda_driver`.
    """
    return cuda_driver // 1000 >= cuda


def cuda_version(cuda_driver: int) -> str:
    """Return a driver's CUDA version as people write it: 12020 is 12.2."""
    return f"{cuda_driver // 1000}.{cuda_driver % 1000 // 10}"


def _workload_reason(spec: RuntimeSpec, workload: Workload, host: HostView) -> str | None:
    if workload.precision not in spec.precisions:
        return f"{spec.title} is not built for {workload.precision} ({', '.join(spec.precisions)})"
    if host.device == "cpu" and workload.precision == "tf32":
        return "tf32 needs an NVIDIA GPU; this plan runs on the CPU"
    if workload.precision == "tf32" and host.architecture and version(host.architecture) < (8, 0):
        return f"tf32 needs compute capability 8.0 or newer; {host.gpu_name} is {host.architecture}"
    return None


def _modes(spec: RuntimeSpec, suite: Suite, host: HostView) -> tuple[str | LeftOut, ...]:
    here = spec.modes_on(host.device)
    found: list[str | LeftOut] = []
    for mode in suite.matrix.mode:
        if mode == "default":
            found.append(here[0] if here else _no_mode(spec, host))
        elif mode in here:
            found.append(mode)
        elif mode in spec.modes:
            devices = ", ".join(spec.modes[mode])
            found.append(
                LeftOut(
                    cell=f"{spec.name}.{mode}",
                    reason=f"{mode} runs on {devices}; this plan runs on {host.device}",
                )
            )
    return tuple(dict.fromkeys(found)) or (
        LeftOut(
            cell=spec.name, reason=f"{spec.title} has none of the modes asked for ({', '.join(spec.modes)})"
        ),
    )


def _no_mode(spec: RuntimeSpec, host: HostView) -> LeftOut:
    return LeftOut(cell=spec.name, reason=f"{spec.title} has no mode that runs on {host.device}")


def _sources(spec: RuntimeSpec, suite: Suite) -> tuple[str | LeftOut | None, ...]:
    if not spec.sources:
        return (None,)
    return tuple(
        source
        if source in spec.sources
        else LeftOut(
            cell=f"{spec.name}.from-{source}",
            reason=f"{spec.title} runs models from {', '.join(spec.sources)}; {source} is not built yet",
        )
        for source in suite.matrix.source
    )


def _excluded(cell: Cell, suite: Suite) -> bool:
    flat = {
        "runtime": cell.runtime,
        "mode": cell.mode,
        "source": cell.source,
        "path": cell.path,
        "io": cell.io,
        "model": cell.workload.model,
        "batch_size": cell.workload.batch_size,
        "precision": cell.workload.precision,
        "sequence_length": cell.workload.sequence_length,
        "weights": cell.workload.weights,
    }
    return any(all(flat[key] == value for key, value in rule.items()) for rule in suite.exclusions)
