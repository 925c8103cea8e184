"""The rules that a window's own record decides, and the limits of all rules."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import sqrt
from typing import Protocol

from greenbench.core.doubt import Doubt, Limits, Rule, Verdict
from greenbench.energy.window import Window

DEFAULT_LIMITS: Mapping[Rule, Limits] = {
    Rule.TOO_SHORT: Limits(doubtful=100, invalid=10, low_is_bad=True),
    Rule.NOT_STEADY: Limits(doubtful=0.005, invalid=0.05),
    Rule.SENSOR_DISAGREEMENT: Limits(doubtful=0.03, invalid=0.1),
    Rule.PERIOD_LOCKED: Limits(doubtful=0.05, invalid=None, low_is_bad=True),
    Rule.THROTTLED: Limits(doubtful=0.0, invalid=0.05),
    Rule.FOREIGN_PROCESS: Limits(doubtful=None, invalid=0),
    Rule.BUSY_HOST: Limits(doubtful=0.1, invalid=None),
    Rule.GAP: Limits(doubtful=2, invalid=10),
    Rule.TEMPERATURE: Limits(doubtful=3.0, invalid=None),
    Rule.BASELINE_DRIFT: Limits(doubtful=0.05, invalid=0.1),
    Rule.PARITY: Limits(doubtful=None, invalid=0),
    Rule.NUMERIC_MODE: Limits(doubtful=None, invalid=0),
    Rule.PROVIDER_FALLBACK: Limits(doubtful=0.0, invalid=0.1),
    Rule.ENVIRONMENT_CHANGED: Limits(doubtful=None, invalid=0),
    Rule.CLOCK_STEPPED: Limits(doubtful=1.0, invalid=None),
    Rule.COUNTER_RESET: Limits(doubtful=None, invalid=0),
    Rule.NO_WRAP_HANDLING: Limits(doubtful=0, invalid=None),
    Rule.MIG: Limits(doubtful=0, invalid=None),
}
"""The validity table. A suite's ``[validity]`` overrides single limits."""

ITERATIONS = Limits(doubtful=32, invalid=3, low_is_bad=True)
STEAL = Limits(doubtful=0.01, invalid=0.1)
LOCKED_MULTIPLES = (1, 2, 3, 4)
FULL_SAMPLE = 50
"""Below so many readings of instant power the limit of `SENSOR_DISAGREEMENT` widens as 1/sqrt(n)."""
FEWEST_THROTTLED = 2
"""A single throttled reading says that the GPU was throttled, not for how much of a short window."""


class OwnLimits(Protocol):
    """A suite's own limits of one rule; None leaves the built-in limit."""

    @property
    def doubtful(self) -> float | None: ...  # noqa: D102 - described above
    @property
    def invalid(self) -> float | None: ...  # noqa: D102


def limits_from(own: Mapping[str, OwnLimits]) -> dict[Rule, Limits]:
    """Return the limits in force.

    Args:
        own: A suite's ``[validity]``: rule name -> limits.
    """
    limits = dict(DEFAULT_LIMITS)
    for name, given in own.items():
        rule = Rule(name)
        usual = limits[rule]
        limits[rule] = Limits(
            doubtful=usual.doubtful if given.doubtful is None else given.doubtful,
            invalid=usual.invalid if given.invalid is None else given.invalid,
            low_is_bad=usual.low_is_bad,
        )
    return limits


def judge(window: Window, limits: Mapping[Rule, Limits]) -> tuple[Doubt, ...]:
    """Return every doubt that a window's record raises, at most one a rule: the gravest.

    Args:
        window: Cut from the record.
        limits: The validity table in force.
    """
    found: dict[Rule, Doubt] = {}
    for check in _CHECKS:
        for doubt in check(window, limits):
            if doubt.rule not in found or doubt.verdict is Verdict.INVALID:
                found[doubt.rule] = doubt
    return tuple(found.values())


Check = Callable[[Window, Mapping[Rule, Limits]], Iterator[Doubt]]


def _judged(rule: Rule, value: float | None, limits: Limits) -> Iterator[Doubt]:
    doubt = None if value is None else limits.judge(rule, value)
    if doubt:
        yield doubt


def _too_short(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.TOO_SHORT, window.sensor_periods, limits[Rule.TOO_SHORT])
    yield from _judged(Rule.TOO_SHORT, window.iterations, ITERATIONS)


def _not_steady(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    base, unknown = limits[Rule.NOT_STEADY], window.power_halves_u95
    yield from _judged(Rule.NOT_STEADY, window.rate_halves, base)
    yield from _judged(Rule.NOT_STEADY, window.power_halves, _moved(base, lambda limit: limit + unknown))


def _sensor_disagreement(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    ratio = window.counter_over_integral
    if ratio is None:
        return
    widened = sqrt(max(1.0, FULL_SAMPLE / max(1, window.instant_readings)))
    wide = _moved(limits[Rule.SENSOR_DISAGREEMENT], lambda limit: limit * widened)
    yield from _judged(Rule.SENSOR_DISAGREEMENT, abs(ratio - 1), wide)


def _moved(limits: Limits, move: Callable[[float], float]) -> Limits:
    doubtful, invalid = (
        None if limit is None else move(limit) for limit in (limits.doubtful, limits.invalid)
    )
    return replace(limits, doubtful=doubtful, invalid=invalid)


def _period_locked(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    ratio = window.iteration_over_period
    if not ratio:
        return
    multiples = [float(n) for n in LOCKED_MULTIPLES] + [1 / n for n in LOCKED_MULTIPLES]
    distance = min(abs(ratio / multiple - 1) for multiple in multiples)
    yield from _judged(Rule.PERIOD_LOCKED, distance, limits[Rule.PERIOD_LOCKED])


def _throttled(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    own = limits[Rule.THROTTLED]
    if window.throttled_readings < FEWEST_THROTTLED:
        own = replace(own, invalid=None)
    yield from _judged(Rule.THROTTLED, window.throttled_share, own)


def _foreign(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.FOREIGN_PROCESS, window.foreign_processes, limits[Rule.FOREIGN_PROCESS])


def _busy(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.BUSY_HOST, window.others_cores, limits[Rule.BUSY_HOST])
    yield from _judged(Rule.BUSY_HOST, window.steal_share, STEAL)


def _gap(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.GAP, max(window.gaps.values(), default=None), limits[Rule.GAP])


def _reset(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.COUNTER_RESET, float(len(window.counter_resets)), limits[Rule.COUNTER_RESET])


def _wraps(window: Window, limits: Mapping[Rule, Limits]) -> Iterator[Doubt]:
    yield from _judged(Rule.NO_WRAP_HANDLING, float(not window.unwrapped_ok), limits[Rule.NO_WRAP_HANDLING])


_CHECKS: tuple[Check, ...] = (
    _too_short,
    _not_steady,
    _sensor_disagreement,
    _period_locked,
    _throttled,
    _foreign,
    _busy,
    _gap,
    _reset,
    _wraps,
)
