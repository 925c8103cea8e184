"""What `doctor` says of the GPU: itself, kernels for it, its sensors, limits, and who else computes on it."""

import shutil
from collections.abc import Iterator

from greenbench.bench.patient import Patient
from greenbench.bench.planning import cuda_version, driver_runs
from greenbench.core.architecture import covers
from greenbench.core.check import Check, Level
from greenbench.core.doubt import Rule, Verdict
from greenbench.core.errors import MeterError
from greenbench.core.units import megahertz_from_hertz, milliseconds_from_seconds

SLOWEST_READ_S = 0.03
"""The slowest read of an H100's counter under load; more leaves edges less certain than published here."""


def check_toolkit(patient: Patient) -> Iterator[Check]:
    """Look for the way from containers to the GPU; a host without Docker runs none."""
    if patient.device != "cuda":
        return
    path = shutil.which("nvidia-ctk")
    lacking = Level.FAIL if shutil.which("docker") else Level.WARN
    yield Check(
        name="nvidia container toolkit",
        level=Level.OK if path else lacking,
        figure=path or "nvidia-ctk is not on PATH",
        remedy=""
        if path
        else "install it, then `sudo nvidia-ctk runtime configure --runtime=docker` and "
        "`sudo systemctl restart docker`; or take --launcher venv",
    )


def check_gpu(patient: Patient) -> Iterator[Check]:
    """Name the GPU, or say why there is none."""
    if patient.meters is None:
        yield Check(name="gpu", level=Level.FAIL, figure=patient.meters_error, remedy="or use --device cpu")
        return
    facts = patient.gpu
    if not facts:
        yield Check(
            name="gpu",
            level=Level.WARN,
            figure=patient.reason("gpu") or "none was asked for",
            remedy="energy of a GPU can't be measured here; runs take --device cpu",
        )
        return
    figure = "{name} ({uuid}), {architecture}, driver {driver}".format_map(facts)
    yield Check(name="gpu", level=Level.OK, figure=figure)


def check_kernels(patient: Patient) -> Iterator[Check]:
    """Hold the GPU's architecture against the kernels that each runtime ships."""
    architecture = str(patient.gpu.get("architecture") or "")
    if not architecture:
        return
    for spec in patient.catalogue.values():
        build = spec.devices.get("cuda")
        if build is None:
            continue
        fits = covers(build.architectures, architecture)
        yield Check(
            name=f"kernels of {spec.name}",
            level=Level.OK if fits else Level.WARN,
            figure=f"{architecture} {'is' if fits else 'is not'} covered by {', '.join(build.architectures)}",
            remedy="" if fits else f"cells of {spec.name} are left out on this GPU",
        )


def check_cuda(patient: Patient) -> Iterator[Check]:
    """Hold the driver's CUDA against that of each runtime's libraries."""
    newest = patient.gpu.get("cuda_driver")
    if not newest:
        return
    builds = {
        spec.name: spec.devices["cuda"] for spec in patient.catalogue.values() if "cuda" in spec.devices
    }
    behind = [
        f"{name} (CUDA {build.cuda})" for name, build in builds.items() if not driver_runs(build.cuda, newest)
    ]
    figure = f"the driver knows CUDA up to {cuda_version(newest)}"
    yield Check(
        name="cuda",
        level=Level.WARN if behind else Level.OK,
        figure=f"{figure}, too old for {', '.join(behind)}" if behind else figure,
        remedy="update the driver, or adopt an environment of an older CUDA with --env" if behind else "",
    )


def check_gpu_sensors(patient: Patient) -> Iterator[Check]:
    """Say what the GPU's sensors do: period and cost of the counter, and streams that are missing."""
    if not patient.gpu:
        return
    name, known = "gpu energy counter", patient.calibration
    if known is None:
        reason = patient.calibration_error or patient.reason("gpu") or "this board has none"
        yield Check(
            name=name,
            level=Level.FAIL if patient.calibration_error else Level.WARN,
            figure=reason,
            remedy="energy_gpu_j stays null; boards since Volta have a counter, older drivers may hide it",
        )
    else:
        slow = known.read_p95_s > SLOWEST_READ_S
        yield Check(
            name=name,
            level=Level.WARN if slow else Level.OK,
            figure=f"changes every {milliseconds_from_seconds(known.period_s):.1f} ms; a read takes "
            f"{milliseconds_from_seconds(known.read_p50_s):.2g} ms, "
            f"at times {milliseconds_from_seconds(known.read_p95_s):.2g} ms",
            remedy="edges of windows are less certain; `greenbench doctor --calibrate` on a quiet host"
            if slow
            else "",
        )
    for stream in ("instant", "average", "temperature", "throttled", "foreign_processes"):
        reason = patient.reason(stream) or ""
        if reason:
            yield Check(
                name=f"gpu {stream}", level=Level.WARN, figure=reason, remedy="its checks are left out"
            )
    told = patient.gpu.get("instant_power")
    if told and not patient.reason("instant"):
        every = f"{told['source']}, one every {milliseconds_from_seconds(told['spacing_s']):.0f} ms"
        yield Check(
            name="gpu instant",
            level=Level.OK,
            figure=f"{every}: {told['reason']}" if told.get("reason") else every,
        )


def check_gpu_limits(patient: Patient) -> Iterator[Check]:
    """Say the limits of power and clocks, whether the GPU is held below them now, and whether it is split."""
    facts = patient.gpu
    if not facts:
        return
    hot = _read(patient, "throttled") or 0
    watts = facts.get("power_limit_w")
    limits = [f"power limit {watts:.0f} W"] if watts else []
    for words, key in (
        ("SM clock up to", "sm_clock_max_hz"),
        ("application clock", "sm_clock_application_hz"),
    ):
        limits += [f"{words} {megahertz_from_hertz(facts[key]):.0f} MHz"] if facts.get(key) else []
    yield Check(
        name="gpu limits",
        level=Level.WARN if hot else Level.OK,
        figure=", ".join(limits or ["this board does not tell them"]) + (", throttled now" if hot else ""),
        remedy="let it cool, or look at `nvidia-smi -q -d PERFORMANCE`" if hot else "",
    )
    if facts.get("mig"):
        yield Check(
            name="mig",
            level=Level.WARN,
            figure="the GPU is split: only the whole GPU's power can be measured",
            remedy="`sudo nvidia-smi -mig 0`; until then every trial is doubtful",
        )


def check_foreign_processes(patient: Patient) -> Iterator[Check]:
    """Count the processes of others that compute on the GPU, by the validity table's own limit."""
    others = _read(patient, "foreign_processes")
    if others is None:
        return
    doubt = patient.limits[Rule.FOREIGN_PROCESS].judge(Rule.FOREIGN_PROCESS, others)
    level = Level.OK
    if doubt:
        level = Level.FAIL if doubt.verdict is Verdict.INVALID else Level.WARN
    yield Check(
        name="foreign processes",
        level=level,
        figure=f"{others:.0f} processes of others compute on the GPU",
        remedy="`nvidia-smi` names them; stop them, or choose another GPU with host.gpu" if doubt else "",
    )


def _read(patient: Patient, stream: str) -> float | None:
    try:
        return patient.reading(stream)
    except MeterError:
        return None  # `check_gpu_sensors` has said so
