"""Lines of the table: a figure with its interval, its limit, and what may be said of the two."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmarks.pairs import Estimate

RATIO_LIMIT = 0.005
"""How far a ratio may be from 1."""

RATIO_WIDTH = 0.01
"""How wide half its interval may be; what is wider says nothing."""


class Verdict(StrEnum):
    """What a line says."""

    WITHIN = "within"
    BEYOND = "beyond"
    NOISY = "this host is too noisy to say"
    FOUND = "found"
    NOT_FOUND = "not found: the lines that it stands for say nothing"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        what: What was compared or measured.
        figure: Point and interval as text, or ``-``.
        limit: As text; empty where there is none.
        verdict: What it says.
        note: Why there is no figure, or what has to be known with it.
        estimate: The numbers behind `figure`; None where there are none.
    """

    what: str
    figure: str
    limit: str = ""
    verdict: Verdict = Verdict.NONE
    note: str = ""
    estimate: Estimate | None = None

    @property
    def says(self) -> str:
        """The verdict as a sentence's part; of a noisy host with the interval that was reached."""
        if self.verdict is Verdict.NOISY and self.estimate is not None:
            return f"{self.verdict} ({_signed(self.estimate)} reached)"
        return self.verdict.value


def ratio_line(what: str, ratio: Estimate, *, note: str = "") -> Line:
    """Return the line of a ratio that ought to be 1."""
    low, high = 1 - RATIO_LIMIT, 1 + RATIO_LIMIT
    if ratio.low > high or ratio.high < low:
        verdict = Verdict.BEYOND
    elif ratio.half_width <= RATIO_WIDTH and low <= ratio.point <= high:
        verdict = Verdict.WITHIN
    else:
        verdict = Verdict.NOISY
    limit = f"1 ± {RATIO_LIMIT:.1%}, interval ± {RATIO_WIDTH:.0%}"
    return Line(what=what, figure=ratio_text(ratio), limit=limit, verdict=verdict, note=note, estimate=ratio)


def told_line(what: str, ratio: Estimate, *, note: str = "") -> Line:
    """Return the line of a ratio that no limit is set for: no run costs it."""
    return Line(what=what, figure=ratio_text(ratio), note=note, estimate=ratio)


def control_line(what: str, ratio: Estimate, *, expected: float) -> Line:
    """Return the line of a positive control: a cost known to be there, whose interval must lie above 1."""
    verdict = Verdict.FOUND if ratio.low > 1 else Verdict.NOT_FOUND
    limit = f"above 1, about {1 + expected:.3f}"
    return Line(what=what, figure=ratio_text(ratio), limit=limit, verdict=verdict, estimate=ratio)


def bound_line(what: str, value: Estimate, *, limit: float, form: str, note: str = "") -> Line:
    """Return the line of a cost that ought to stay below a limit.

    Args:
        what: What was measured.
        value: In the limit's unit.
        limit: Largest that is allowed.
        form: How to write a value: ``{:.2%} of a core``.
        note: As in `Line`.
    """
    if value.low > limit:
        verdict = Verdict.BEYOND
    else:
        verdict = Verdict.WITHIN if value.high <= limit else Verdict.NOISY
    figure = f"{form.format(value.point)} ({form.format(value.low)} to {form.format(value.high)})"
    return Line(
        what=what, figure=figure, limit=form.format(limit), verdict=verdict, note=note, estimate=value
    )


def doubted(lines: Iterable[Line], control: Line) -> list[Line]:
    """Return the lines that a control stands for: none of them may say ``within`` where it was not found."""
    if control.verdict is Verdict.FOUND:
        return list(lines)
    return [
        replace(line, verdict=Verdict.NOISY) if line.verdict is Verdict.WITHIN else line for line in lines
    ]


def ratio_text(ratio: Estimate) -> str:
    """Return a ratio with its interval and how many pairs it comes from."""
    return f"{ratio.point:.4f} ({ratio.low:.4f} to {ratio.high:.4f}), {ratio.count} pairs"


def _signed(estimate: Estimate) -> str:
    return f"± {estimate.half_width:.2%}" if estimate.half_width < 1 else f"± {estimate.half_width:.3g}"
