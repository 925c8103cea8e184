"""What `doctor` says of the host: the CPU's meter and its route, the processor, other work, disk."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from greenbench.bench.patient import Patient
from greenbench.core.check import Check, Level
from greenbench.core.doubt import Limits, Rule, Verdict
from greenbench.core.reading import Domain
from greenbench.energy.powercap import UDEV_REMEDY
from greenbench.energy.rapl import PERF_EVENT, POWERCAP, sidecar_would_help
from greenbench.energy.validity import STEAL

BYTES_PER_GIB = 1024**3
FREE_BYTES_WANTED = 10 * BYTES_PER_GIB
FREE_BYTES_NEEDED = BYTES_PER_GIB
LOOKED_AT_S = 1.0
PACED_S = 2.0
PACE_BLOCKS = 20
PACE_SPREAD = 0.2
"""So much slower than at its best may a core get while watched: a quiet VM's stay within about 10%, cores
shared with a busy guest were up to 70% slower."""
PIECE = 10_000
"""Numbers that one piece of work sums: a tenth of a millisecond or so."""
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def check_cpu_meter(patient: Patient) -> Iterator[Check]:
    """Say by which route RAPL is read, or what to do where none serves."""
    if patient.meters is None:
        return
    facts, reason = patient.meters.facts, patient.reason("cpu")
    if reason is None:
        route = facts.get("cpu_route") or facts.get("cpu_meter")
        streams = ", ".join(patient.meters.domains.get(Domain.CPU, ()))
        open_guard = facts.get("zones_without_power_limit") or []
        more = f"; no power limit can be read for {', '.join(open_guard)}" if open_guard else ""
        yield Check(name="cpu energy", level=Level.OK, figure=f"RAPL by {route}: {streams}{more}")
    elif facts.get("cpu_route") == "module":
        yield Check(name="cpu energy", level=Level.OK, figure=reason)
    else:
        yield Check(
            name="cpu energy",
            level=Level.WARN,
            figure=reason.removesuffix(f"; remedy: {UDEV_REMEDY}"),
            remedy=_cpu_remedy(patient),
        )
    dram = patient.reason("dram")
    if reason is None and dram:
        yield Check(name="dram energy", level=Level.WARN, figure=dram, remedy="energy_dram_j stays null")


def _cpu_remedy(patient: Patient) -> str:
    """Return what opens RAPL where it is closed, or what to do without it."""
    if patient.meters is None or not sidecar_would_help(patient.meters.facts):
        return "energy_cpu_j stays null; --estimate-cpu fills a column of its own by a model, +-40%"
    refused = patient.meters.facts.get("cpu_routes_refused", {})
    ways = ["`greenbench up --launcher docker`, whose read-only root sidecar reads it"]
    ways += [UDEV_REMEDY] if POWERCAP in refused else []
    ways += (
        ["`sudo sysctl kernel.perf_event_paranoid=0`"]
        if "perf_event_paranoid" in refused.get(PERF_EVENT, "")
        else []
    )
    return "one of: " + "; or ".join(ways)


def check_processor(_: Patient, governor: Path = GOVERNOR) -> Iterator[Check]:
    """Say how many cores there are and who sets their clock."""
    cores = psutil.cpu_count(logical=False) or 1
    text = governor.read_text().strip() if governor.exists() else ""
    slow = text not in {"", "performance"}
    clock = f", governor {text}" if text else ", no frequency control visible"
    yield Check(
        name="processor",
        level=Level.WARN if slow else Level.OK,
        figure=f"{cores} physical cores{clock}",
        remedy="`sudo cpupower frequency-set -g performance` steadies CPU figures" if slow else "",
    )


def check_pace(_: Patient, clock: Callable[[], float] = time.perf_counter) -> Iterator[Check]:
    """Watch for two seconds whether a core keeps its pace; one shared with other guests of a machine doesn't.

    No counter tells that: the other guest uses the same core's units, not this guest's time.
    """
    piece_s(PACED_S / PACE_BLOCKS, clock)  # an idle core's clock climbs first
    blocks = [piece_s(PACED_S / PACE_BLOCKS, clock) for _ in range(PACE_BLOCKS)]
    spread = max(blocks) / min(blocks) - 1
    drifts = spread > PACE_SPREAD
    yield Check(
        name="pace",
        level=Level.WARN if drifts else Level.OK,
        figure=f"a core was up to {spread:.0%} slower than at its best within {PACED_S:g} s",
        remedy="what a core paces (small batches on a GPU) drifts with it: take more rounds, or a host whose "
        "cores are its own"
        if drifts
        else "",
    )


def piece_s(length_s: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return what summing `PIECE` numbers in Python takes on a core, seconds: the median over a time.

    Args:
        length_s: The time, seconds; one piece is done in any case.
        clock: Seconds.
    """
    ends = [clock()]
    while len(ends) == 1 or ends[-1] < ends[0] + length_s:
        sum(range(PIECE))
        ends.append(clock())
    return median(second - first for first, second in pairwise(ends))


def check_other_work(
    patient: Patient, sleep: Callable[[float], None] = time.sleep, length_s: float = LOOKED_AT_S
) -> Iterator[Check]:
    """Watch for a second what others take of the CPU, and what other guests take of this machine."""
    before, own_before = psutil.cpu_times(), time.process_time()
    sleep(length_s)
    after, own_after = psutil.cpu_times(), time.process_time()
    spent = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    total = max(sum(spent.values()), 1e-9)
    idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
    stolen = spent.get("steal", 0.0)
    # The share, not the seconds: the kernel's ticks lag behind the clock.
    cores = (total - idle - stolen) / total * (psutil.cpu_count() or 1) - (own_after - own_before) / length_s
    busy = max(0.0, cores)
    yield _busy(busy, patient.limits[Rule.BUSY_HOST])
    share = stolen / total
    doubt = STEAL.judge(Rule.BUSY_HOST, share)
    yield Check(
        name="steal",
        level=Level.WARN if doubt else Level.OK,
        figure=f"{share:.1%} of CPU time went to other guests of this machine",
        remedy="prefer a dedicated machine: trials will be doubtful or invalid" if doubt else "",
    )


def _busy(cores: float, limits: Limits) -> Check:
    doubt = limits.judge(Rule.BUSY_HOST, cores)
    level = Level.OK
    if doubt:
        level = Level.FAIL if doubt.verdict is Verdict.INVALID else Level.WARN
    return Check(
        name="busy host",
        level=level,
        figure=f"{cores:.2f} cores in use by others",
        remedy="stop other work before measuring" if doubt else "",
    )


def check_disk(patient: Patient) -> Iterator[Check]:
    """Say how much room there is for images, models and results."""
    free = shutil.disk_usage(patient.state.root).free
    level = Level.OK if free >= FREE_BYTES_WANTED else Level.WARN
    level = level if free >= FREE_BYTES_NEEDED else Level.FAIL
    yield Check(
        name="disk",
        level=level,
        figure=f"{free / BYTES_PER_GIB:.1f} GiB free at {patient.state.root}",
        remedy=""
        if level is Level.OK
        else "images and models take about 10 GiB, a run at least 1; free some or move GREENBENCH_STATE",
    )


def check_state(patient: Patient) -> Iterator[Check]:
    """Say whether the state folder can be written."""
    root = patient.state.root
    writable = os.access(root, os.W_OK)
    yield Check(
        name="state folder",
        level=Level.OK if writable else Level.FAIL,
        figure=str(root),
        remedy="" if writable else f"{root} is not writable; set GREENBENCH_STATE to a folder of yours",
    )
