"""From a measured load to the rows of ``trials.parquet``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from greenbench.bench.baseline import interpolate, weighted_u95_w
from greenbench.bench.instruments import Instruments
from greenbench.bench.trial import MeasuredLoad
from greenbench.core.doubt import Doubt, Limits, Rule, Verdict, worst
from greenbench.core.plan import Cell, PlannedLoad
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent, Baseline, Trial
from greenbench.core.units import seconds_from_ns
from greenbench.energy.estimate import estimate_cpu_j
from greenbench.energy.joules import together
from greenbench.energy.validity import judge
from greenbench.energy.window import Window

TOO_FEW_STEPS = "too few steps of the counter were read around the edges to tell how much they differ"

BOARD_GAIN = 0.05
"""How far an NVIDIA board's reading may be off as a whole, relative (arXiv 2312.02741, of A100 and H100)."""

GAIN_UNKNOWN = "how far RAPL's counters may be off as a whole is not published"

FLOPS_ABSENT = "the runtime counted none; conversions made before they were counted carry none"
"""Why a row of ``parity.json`` may have no ``flops_per_sample``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """What every row of a run repeats.

    Attributes:
        run_id: The run.
        host_id: The host.
        gpu_uuid: The GPU; None on the CPU.
        estimate_cpu: Whether ``energy_cpu_estimated_j`` is filled in.
    """

    run_id: str
    host_id: str
    gpu_uuid: str | None
    estimate_cpu: bool = False


def blank_row(identity: RunIdentity, planned: PlannedLoad, *, attempt: int, window: int) -> Trial:
    """Return a row that names what was asked for and holds no figure yet, marked ``failed``."""
    cell, load = planned.cell, planned.cell.workload
    return Trial(
        run_id=identity.run_id,
        trial_id=f"{planned.load_id}.a{attempt}.w{window}",
        cell_id=cell.cell_id,
        load_id=planned.load_id,
        round=planned.round,
        window=window,
        attempt=attempt,
        position=planned.position,
        host_id=identity.host_id,
        gpu_uuid=identity.gpu_uuid,
        runtime=cell.runtime,
        mode=cell.mode,
        source=cell.source,
        model=load.model,
        precision=load.precision,
        batch_size=load.batch_size,
        sequence_length=load.sequence_length,
        weights=load.weights,
        weights_from=cell.weights_from,
        path=cell.path,
        io=cell.io,
        device=cell.device,
        threads=cell.threads,
        verdict=Verdict.FAILED,
    )


def rows_of(
    identity: RunIdentity,
    planned: PlannedLoad,
    measured: MeasuredLoad,
    instruments: Instruments,
    *,
    attempt: int,
) -> tuple[Trial, ...]:
    """Return one row per window of a load; one row without figures where its outputs disagreed.

    Args:
        identity: Of the run.
        planned: What was loaded.
        measured: What came of it.
        instruments: Meters and limits in force.
        attempt: From 1.
    """
    if not measured.windows:
        row = blank_row(identity, planned, attempt=attempt, window=1)
        doubts = measured.doubts
        return (replace(row, doubts=doubts, verdict=worst(doubts), failure=measured.parity.sentence),)
    return tuple(
        window_row(
            replace(
                blank_row(identity, planned, attempt=attempt, window=number),
                load_s=measured.facts.load_s,
                build_s=measured.facts.build_s,
            ),
            window,
            instruments,
            doubts=measured.doubts,
            baselines=measured.baselines,
            estimate_cpu=identity.estimate_cpu,
        )
        for number, window in enumerate(measured.windows, start=1)
    )


def parity_row(cell: Cell, measured: MeasuredLoad) -> dict[str, Any]:
    """Return a cell's row of ``parity.json``.

    Args:
        cell: What was compared.
        measured: Holds the comparison before timing, that of kept outputs, and the mode in force.
    """
    load = cell.workload
    verdict = worst(measured.doubts) if measured.doubts else Verdict.VALID
    return {
        "runtime": cell.runtime,
        "mode": cell.mode,
        "source": cell.source,
        "model": load.model,
        "precision": load.precision,
        "batch_size": load.batch_size,
        "sequence_length": load.sequence_length,
        "weights": load.weights,
        "weights_from": cell.weights_from,
        "device": cell.device,
        "parameters": measured.facts.parameters,
        "flops_per_sample": measured.facts.flops,
        "flops_absent": None if measured.facts.flops is not None else FLOPS_ABSENT,
        "compared_with": "reference"
        if load.weights == "matched"
        else f"native {cell.source or cell.runtime}",
        **asdict(measured.parity),
        "kept_relative_error": measured.kept_parity.relative_error if measured.kept_parity else None,
        "flags": dict(measured.facts.flags),
        "dtypes": dict(measured.facts.dtypes),
        "nodes_per_provider": dict(measured.facts.nodes_per_provider),
        "verdict": "proven" if measured.parity.passed else "differs",
        "load_verdict": verdict.value,
    }


def window_row(
    row: Trial,
    window: Window,
    instruments: Instruments,
    *,
    doubts: tuple[Doubt, ...],
    baselines: tuple[Baseline, ...],
    estimate_cpu: bool,
) -> Trial:
    """Return a blank row with every figure of its window; `greenbench verify` calls it again.

    Args:
        row: Names what was asked for, and what loading took.
        window: Cut from the record.
        instruments: Meters and limits in force.
        doubts: Of the whole load.
        baselines: The load's own (B1).
        estimate_cpu: Whether ``energy_cpu_estimated_j`` is filled in.
    """
    doubts = (*doubts, *judge(window, instruments.limits))
    samples = window.iterations * row.batch_size
    filled = replace(
        row,
        begin_ns=window.begin_ns,
        end_ns=window.end_ns,
        duration_s=window.duration_s,
        iterations=window.iterations,
        samples=samples,
        throughput_samples_per_s=samples / window.duration_s,
        latency_p50_s=window.latency_p50_s,
        latency_p90_s=window.latency_p90_s,
        latency_p99_s=window.latency_p99_s,
        power_gpu_mean_w=window.power_gpu_mean_w,
        cpu_s=window.cpu_s,
        memory_peak_b=window.memory_peak_b,
        gpu_memory_peak_b=window.gpu_memory_peak_b,
        gpu_util_mean=window.gpu_util_mean,
        sm_clock_mean_hz=window.sm_clock_mean_hz,
        temperature_begin_c=window.temperature_begin_c,
        temperature_end_c=window.temperature_end_c,
        throttled_share=window.throttled_share,
        counter_over_integral=window.counter_over_integral,
        doubts=doubts,
        verdict=worst(doubts),
        absent=(*instruments.meters.absent, *window.absent),
    )
    filled = _with_energy(filled, window, instruments)
    filled = _net_of_loaded(filled, baselines)
    if estimate_cpu and window.cpu_s is not None:
        filled = replace(filled, energy_cpu_estimated_j=estimate_cpu_j(window.cpu_s).energy_j)
    return filled


def _with_energy(row: Trial, window: Window, instruments: Instruments) -> Trial:
    joules = {domain.value: energy.joules for domain, energy in window.energy.items()}
    scope = instruments.meters.scope
    wanted = [] if scope == "none" else scope.split("+")
    missing = [name for name in wanted if name not in joules]
    total = sum(joules[name] for name in wanted) if wanted and not missing else None
    edges_j = together(
        [energy.edge_u95_j for domain, energy in window.energy.items() if domain.value in wanted]
    )
    # What edges inside an iteration leave open of its count is open in the joules of a sample as well.
    u95 = together([edges_j, window.iterations_u95 * total]) if total is not None else None
    told = {item.domain for item in row.absent}
    absent = tuple(
        Absent(domain=name, reason="no reading covered this window") for name in missing if name not in told
    )
    if total is not None and u95 is None:
        absent += (Absent(domain="energy_u95_j", reason=TOO_FEW_STEPS),)
    gain = BOARD_GAIN if total is not None and wanted == [Domain.GPU.value] else None
    if total is not None and gain is None:
        absent += (Absent(domain="gain_u_rel", reason=GAIN_UNKNOWN),)
    return replace(
        row,
        energy_gpu_j=joules.get(Domain.GPU),
        energy_cpu_j=joules.get(Domain.CPU),
        energy_dram_j=joules.get(Domain.DRAM),
        energy_psys_j=joules.get(Domain.PSYS),
        energy_scope=scope,
        energy_total_j=total,
        energy_j_per_sample=total / row.samples if total is not None and row.samples else None,
        energy_u95_j=u95,
        gain_u_rel=gain,
        absent=(*row.absent, *absent),
    )


def _net_of_loaded(row: Trial, baselines: tuple[Baseline, ...]) -> Trial:
    columns: dict[str, float | None] = {}
    open_w: dict[str, float | None] = {}
    for domain in ("gpu", "cpu", "dram"):
        own = [item for item in baselines if item.domain == domain and item.kind == "B1"]
        gross = getattr(row, f"energy_{domain}_j")
        if own and gross is not None and row.duration_s is not None:
            mean_w = sum(item.power_w for item in own) / len(own)
            columns[f"energy_{domain}_net_b1_j"] = gross - mean_w * row.duration_s
            open_w[domain] = weighted_u95_w([(item, 1 / len(own)) for item in own])
    columns["energy_net_b1_u95_j"] = _net_u95_j(row, open_w)
    return replace(row, **columns)  # type: ignore[arg-type]


def _net_u95_j(row: Trial, open_w: Mapping[str, float | None]) -> float | None:
    """Return what edges and baselines leave open of the net total; None where a domain has no such figure.

    Args:
        row: Holds the total, its own interval and the window's length.
        open_w: Domain -> half the 95% interval of the baseline that was subtracted, watts.
    """
    known = [open_w.get(domain) for domain in row.energy_scope.split("+")]
    length_s = row.duration_s
    if length_s is None:
        return None
    return together([row.energy_u95_j, *(None if half_w is None else half_w * length_s for half_w in known)])


def net_of_host(trial: Trial, baselines: tuple[Baseline, ...], limits: Mapping[Rule, Limits]) -> Trial:
    """Return a trial with its columns net of B0, interpolated to the window's midpoint.

    Called when the run's last B0 is known; a drift beyond the limit voids these columns alone and
    leaves the reason in `Trial.absent`.

    Args:
        trial: As stored.
        baselines: All baselines of the run.
        limits: The validity table in force.
    """
    if trial.begin_ns is None or trial.end_ns is None:
        return trial
    columns: dict[str, float | None] = {}
    # Each host has its own clock and its own B0.
    baselines = tuple(item for item in baselines if item.host_id in {None, trial.host_id})
    doubts: dict[Rule, Doubt] = {}
    absent: list[Absent] = []
    open_w: dict[str, float | None] = {}
    for domain in ("gpu", "cpu", "dram"):
        found = interpolate(baselines, domain, (trial.begin_ns + trial.end_ns) // 2)
        gross = getattr(trial, f"energy_{domain}_j")
        if found is None or gross is None:
            continue
        doubt = limits[Rule.BASELINE_DRIFT].judge(Rule.BASELINE_DRIFT, found.drift)
        if doubt and doubt.verdict is Verdict.INVALID:
            absent.append(Absent(domain=f"energy_{domain}_net_b0_j", reason=doubt.sentence))
            continue
        if doubt:
            doubts[doubt.rule] = doubt
        seconds = seconds_from_ns(trial.end_ns - trial.begin_ns)
        columns[f"energy_{domain}_net_b0_j"] = gross - found.power_w * seconds
        open_w[domain] = found.u95_w
    columns["energy_net_b0_u95_j"] = _net_u95_j(trial, open_w)
    return replace(
        trial,
        doubts=(*trial.doubts, *doubts.values()),
        absent=(*trial.absent, *absent),
        **columns,  # type: ignore[arg-type]
    )
