"""Baselines: power while nothing of ours runs (B0) and while a model is loaded and quiet (B1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenbench.bench.timeline import Asked, hold, lay_out
from greenbench.core.reading import Domain
from greenbench.core.trial import Baseline
from greenbench.core.units import seconds_from_ns
from greenbench.energy.meter import MeterSet
from greenbench.energy.power import BLOCK_S, mean_power
from greenbench.energy.recorder import Recorder

SETTLE_CAP_S = 30.0
SETTLE_LENGTHS = 5.0
"""A short baseline waits this many of its lengths at most: within 1 s a board's own noise is above 1%."""


def measure_baseline(
    recorder: Recorder,
    meters: MeterSet,
    *,
    kind: str,
    load_id: str | None,
    length_s: float,
    sensor_period_s: float,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
) -> tuple[Baseline, ...]:
    """Measure the power of every domain while the host is left alone.

    The stretch is measured again until its two halves agree within 1%, for `SETTLE_CAP_S` or
    `SETTLE_LENGTHS` of its length more, whichever is shorter.

    Args:
        recorder: Running.
        meters: The domains there are; with none, nothing is measured and nothing is waited for.
        kind: ``B0`` or ``B1``.
        load_id: The load it belongs to; None for B0.
        length_s: Length of the stretch.
        sensor_period_s: The counter's period; it is read densely only after the stretch's edges.
        clock: CLOCK_MONOTONIC in nanoseconds.
        sleep: Waits some seconds.

    Returns:
        One baseline per domain; empty where no domain can be measured.
    """
    if not meters.domains:
        return ()
    first_ns, patience_s = clock(), min(SETTLE_CAP_S, SETTLE_LENGTHS * length_s)
    while True:
        (asked,) = lay_out(
            now_ns=clock(), windows=1, window_s=length_s, sensor_period_s=sensor_period_s, phases=(0.0,)
        )
        hold(
            (asked,),
            sensor_period_s=sensor_period_s,
            dense=recorder.dense,
            check=_nothing,
            clock=clock,
            sleep=sleep,
        )
        found = tuple(
            _baseline(
                recorder,
                meters,
                domain,
                kind=kind,
                load_id=load_id,
                asked=asked,
                sensor_period_s=sensor_period_s,
            )
            for domain in meters.domains
        )
        waited_s = seconds_from_ns(clock() - first_ns)
        if all(baseline.settled for baseline in found) or waited_s > length_s + patience_s:
            return found


def _nothing() -> None:
    """Check nothing: no load runs during a baseline."""


def _baseline(
    recorder: Recorder,
    meters: MeterSet,
    domain: Domain,
    *,
    kind: str,
    load_id: str | None,
    asked: Asked,
    sensor_period_s: float,
) -> Baseline:
    mean = mean_power(
        recorder.record(),
        meters,
        domain,
        begin_ns=asked.begin_ns,
        end_ns=asked.end_ns,
        sensor_period_s=sensor_period_s,
    )
    return Baseline(
        kind=kind,
        load_id=load_id,
        domain=domain.value,
        begin_ns=asked.begin_ns,
        end_ns=asked.end_ns,
        power_w=mean.power_w,
        standard_error_w=mean.standard_error_w,
        settled=mean.settled,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """B0 at one instant.

    Attributes:
        power_w: Interpolated linearly between the B0 before and the B0 after, watts.
        drift: Largest relative difference between them.
        u95_w: Half the width of the 95% interval of `power_w`; None where one of the two has none.
    """

    power_w: float
    drift: float
    u95_w: float | None = None


def interpolate(baselines: tuple[Baseline, ...], domain: str, at_ns: int) -> Interpolated | None:
    """Return B0 of a domain at an instant; None where it was never measured.

    Args:
        baselines: All baselines of the run.
        domain: ``gpu``, ``cpu`` or ``dram``.
        at_ns: CLOCK_MONOTONIC of the window's midpoint.
    """
    own = sorted(
        (item for item in baselines if item.kind == "B0" and item.domain == domain),
        key=lambda item: item.begin_ns,
    )
    if not own:
        return None
    before = max((item for item in own if item.end_ns <= at_ns), key=lambda item: item.end_ns, default=own[0])
    after = min(
        (item for item in own if item.begin_ns >= at_ns), key=lambda item: item.begin_ns, default=before
    )
    drift = abs(after.power_w - before.power_w) / before.power_w if before.power_w else 0.0
    if after is before:
        return Interpolated(power_w=before.power_w, drift=drift, u95_w=weighted_u95_w(((before, 1.0),)))
    middle_before, middle_after = (before.begin_ns + before.end_ns) / 2, (after.begin_ns + after.end_ns) / 2
    share = (at_ns - middle_before) / (middle_after - middle_before)
    return Interpolated(
        power_w=before.power_w + share * (after.power_w - before.power_w),
        drift=drift,
        u95_w=weighted_u95_w(((before, 1 - share), (after, share))),
    )


def weighted_u95_w(parts: Sequence[tuple[Baseline, float]]) -> float | None:
    """Return half the 95% interval of a weighted sum of baselines, watts; None where one has none.

    Student's t on each one's 1 s blocks: a short baseline knows its own error badly.

    Args:
        parts: Each baseline with its weight.
    """
    # SciPy takes a second to import, and only who has a meter needs it.
    from scipy.special import stdtrit  # noqa: PLC0415

    halves = []
    for item, weight in parts:
        blocks = int(seconds_from_ns(item.end_ns - item.begin_ns) / BLOCK_S)
        if item.standard_error_w is None or blocks < 2:  # noqa: PLR2004 - one block has no spread
            return None
        halves.append(weight * item.standard_error_w * float(stdtrit(blocks - 1, 0.975)))
    return math.hypot(*halves)
