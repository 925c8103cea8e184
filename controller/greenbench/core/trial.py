"""A trial: one window of one load, with every column of ``trials.parquet``."""

from dataclasses import dataclass

from greenbench.core.doubt import Doubt, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A value that could not be measured.

    Attributes:
        domain: The domain or column that is null: ``gpu``, ``cpu``, ``memory_peak_b`` ...
        reason: Why, in one sentence.
    """

    domain: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One row of ``trials.parquet``; SI units; None where there is no value (see `absent`).

    Energy columns without ``net`` are gross. `iterations` and `samples` are fractional where the
    window's edges are the sensor's own changes. ``u95`` is half the width of a 95% interval: of
    `energy_total_j`, which the edges leave open, and of the total net of a baseline, which that adds to.
    `load_s` is what loading took, `build_s` the first forward pass, in which frameworks compile;
    both lie before any window.
    The order of the attributes is the order of the columns.
    """

    run_id: str
    trial_id: str
    cell_id: str
    load_id: str
    round: int
    window: int
    attempt: int
    position: int
    host_id: str
    gpu_uuid: str | None
    runtime: str
    mode: str
    source: str | None
    model: str
    precision: str
    batch_size: int
    sequence_length: int | None
    weights: str
    weights_from: str
    path: str
    io: str
    device: str
    threads: int
    load_s: float | None = None
    build_s: float | None = None
    begin_ns: int | None = None
    end_ns: int | None = None
    duration_s: float | None = None
    iterations: float | None = None
    samples: float | None = None
    throughput_samples_per_s: float | None = None
    latency_p50_s: float | None = None
    latency_p90_s: float | None = None
    latency_p99_s: float | None = None
    energy_gpu_j: float | None = None
    energy_cpu_j: float | None = None
    energy_dram_j: float | None = None
    energy_psys_j: float | None = None
    energy_cpu_estimated_j: float | None = None
    energy_total_j: float | None = None
    energy_gpu_net_b0_j: float | None = None
    energy_gpu_net_b1_j: float | None = None
    energy_cpu_net_b0_j: float | None = None
    energy_cpu_net_b1_j: float | None = None
    energy_dram_net_b0_j: float | None = None
    energy_dram_net_b1_j: float | None = None
    energy_scope: str = "none"
    energy_j_per_sample: float | None = None
    energy_u95_j: float | None = None
    energy_net_b0_u95_j: float | None = None
    energy_net_b1_u95_j: float | None = None
    gain_u_rel: float | None = None
    power_gpu_mean_w: float | None = None
    cpu_s: float | None = None
    memory_peak_b: int | None = None
    gpu_memory_peak_b: int | None = None
    gpu_util_mean: float | None = None
    sm_clock_mean_hz: float | None = None
    temperature_begin_c: float | None = None
    temperature_end_c: float | None = None
    throttled_share: float | None = None
    counter_over_integral: float | None = None
    verdict: Verdict
    doubts: tuple[Doubt, ...] = ()
    absent: tuple[Absent, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One row of ``baselines.parquet``: power of one domain while nothing is computed.

    Attributes:
        kind: ``B0`` (nothing of ours runs) or ``B1`` (model loaded, quiet).
        load_id: The load it belongs to; None for B0.
        domain: ``gpu``, ``cpu``, ``dram`` or ``psys``.
        begin_ns: CLOCK_MONOTONIC, nanoseconds.
        end_ns: CLOCK_MONOTONIC, nanoseconds.
        power_w: Mean power, watts.
        standard_error_w: Standard error of the mean, from 1 s block means; None below two blocks.
        settled: Whether the two halves agreed before the cap.
        host_id: The host; None in runs that were kept before it was recorded.
    """

    kind: str
    load_id: str | None
    domain: str
    begin_ns: int
    end_ns: int
    power_w: float
    standard_error_w: float | None
    settled: bool
    host_id: str | None = None
