"""Lines that compare loops: the server's with a bare one, a recorded one with one that is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.lines import RATIO_WIDTH, Line, control_line, doubted, ratio_line, ratio_text
from benchmarks.pairs import Estimate, paired, ratio_of
from benchmarks.subject import Cost, Subject
from greenbench.core.reading import Domain

BURN = 0.02
"""Share of a pass that the positive control burns in addition: twice the widest interval that is let pass.

A control no larger than the interval could never be found for certain."""

PATIENCE = 3
"""How many times the asked pairs are usually taken where the interval is still too wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure.

    Attributes:
        pairs: Pairs in any case; up to `patience` times as many where the interval is wider than its limit.
        seconds: Of each side of a pair.
        patience: How many times `pairs` are taken at most where the interval is still too wide.
    """

    pairs: int
    seconds: float
    patience: int = PATIENCE


def loop_lines(subject: Subject, effort: Effort) -> list[Line]:
    """Compare the server's loop with the bare loop: time, energy; then A/A and the positive control."""
    seconds = effort.seconds
    subject.server(seconds)  # the first stretch after a load is slower
    extra_s = BURN * subject.bare(seconds).mean_s

    def bare() -> Cost:
        return subject.bare(seconds)

    served = in_pairs(lambda: subject.server(seconds), bare, effort)
    same = in_pairs(bare, bare, effort)
    burnt = in_pairs(lambda: subject.bare(seconds, extra_s), bare, effort)
    control = control_line(
        f"bare loop with {BURN:.0%} burnt / bare loop: positive control", times(*burnt), expected=BURN
    )
    compared = [
        ratio_line("server loop / bare loop: time", times(*served), note=median_note(*served)),
        _energy_line("server loop / bare loop: energy", subject, *served),
        ratio_line("bare loop / bare loop: time (A/A control)", times(*same), note=median_note(*same)),
    ]
    return [*doubted(compared, control), control]


def recording_lines(subject: Subject, effort: Effort, control: Line) -> list[Line]:
    """Compare a server loop while every sensor is read with one while none is.

    Args:
        subject: The runtime.
        effort: How long.
        control: The positive control of `loop_lines`: the same stretches on the same clock.
    """
    both = in_pairs(lambda: subject.recorded(effort.seconds), lambda: subject.server(effort.seconds), effort)
    compared = [
        ratio_line("recording on / off: time", times(*both), note=median_note(*both)),
        _energy_line("recording on / off: energy", subject, *both),
    ]
    return doubted(compared, control)


def in_pairs(
    first: Callable[[], Cost], second: Callable[[], Cost], effort: Effort
) -> tuple[list[Cost], list[Cost]]:
    """Take two costs in adjacent pairs until their ratio's interval is narrow enough, or patience ends."""
    return paired(
        first,
        second,
        least=effort.pairs,
        most=effort.patience * effort.pairs,
        enough=lambda ones, others: times(ones, others).half_width <= RATIO_WIDTH,
    )


def times(ones: Sequence[Cost], others: Sequence[Cost]) -> Estimate:
    """Return the ratio of the mean iterations of two loops that were taken in pairs."""
    return ratio_of([cost.mean_s for cost in ones], [cost.mean_s for cost in others])


def median_note(ones: Sequence[Cost], others: Sequence[Cost]) -> str:
    """Return the same ratio by the median iteration, as a line's note."""
    found = ratio_of([cost.median_s for cost in ones], [cost.median_s for cost in others])
    return f"by the median iteration {ratio_text(found)}"


def _energy_line(what: str, subject: Subject, ones: Sequence[Cost], others: Sequence[Cost]) -> Line:
    taken = [(one.energy_j, other.energy_j) for one, other in zip(ones, others, strict=True)]
    known = [(one, other) for one, other in taken if one is not None and other is not None]
    if not known:
        reasons = {item.domain: item.reason for item in subject.meters.absent}
        return Line(what=what, figure="-", note=reasons.get(Domain.CPU, "this host has no energy meter"))
    return ratio_line(what, ratio_of([one for one, _ in known], [other for _, other in known]))
