"""When to read a counter that changes once a period: close around each change, and not in between.

A read of NVML's energy counter keeps a core busy for 4 ms (measured on an H100 in a VM), so reading it again
and again takes most of a core. What an edge needs of it is little: a change that lies between two close
reads, the last that showed the old value and the first that showed the new one; a read in the middle of what
that leaves open, a period later, which halves it; and values until there are three steps to tell how much
steps differ. Once a change has been seen, the next one's instant is known to a few milliseconds.
"""

from collections import deque
from random import Random
from statistics import median

from greenbench.core.units import ns_from_seconds

PAUSE_S = 0.001
"""Shortest pause between two reads."""

PAUSE_SHARE = 0.02
"""Of a period: pause between two reads that look for a change, where that is longer."""

JITTER = 0.015
"""Of a period: how far off its grid a change is looked for. The recorded H100's leave it by 0.6% at most."""

WAKING_NS = 300_000
"""How late a sleeping thread usually wakes, at least."""

PERIOD_TOLERANCE = 0.0003
"""Of the time since the last change that was seen: how far the calibrated period may have led astray.

On a recorded H100 calibrations are within 0.02%; one that is further off costs reads and a change."""

CLOSE_CHANGES = 1
"""So many changes between two reads close to each other, and one read that halves what they leave open, fix
the grid at an edge of a long window."""

STEPS = 3
"""So many values are seen to change, those after the close changes by one read each: they end steps, whose
differences tell the scatter."""

INTO_STEP = 0.25
"""Of a period: how long after an expected change such a value is read, when it stands for sure."""

NEVER_NS = 2**62

LOOSE = 1.5
"""Two reads this many times as far apart as quick ones are not close: one of them was slow."""

FEWEST_COSTS = 4
"""So many reads tell what a quick one takes."""

COSTS = 9
"""So many reads tell what the next one takes, and how late it begins."""

SLIP = 4
"""So many times as far off is a change looked for after one that did not come in its time."""

LATE_SHARE = 0.75
"""The share of late begins that a read allows for."""

LATEST = 0.125
"""Of a period: a read that begins later than this was held up, which tells nothing of the next one."""


class Pace:
    """Learns from each read when the next one should begin. All instants: CLOCK_MONOTONIC, nanoseconds.

    The first read before a change begins at a random distance from it, so that the pairs of reads around
    several changes, laid over each other, tell the grid more closely than each of them.
    """

    def __init__(self, period_s: float, *, seed: int) -> None:
        """Know nothing but the counter's period; an edge is being looked for.

        Args:
            period_s: Calibrated.
            seed: Of the distances.
        """
        self._period_ns = ns_from_seconds(period_s)
        self._generator = Random(seed)  # noqa: S311 - distances, not secrets
        self._costs_ns: deque[int] = deque(maxlen=COSTS)
        self._last: tuple[int, float] | None = None
        self._between_ns: tuple[int, int] | None = None
        self._aim_ns: int | None = None
        self._asked_ns: int | None = None
        self._until_ns = 0
        self._slips = False
        self._lates_ns: deque[int] = deque([WAKING_NS] * COSTS, maxlen=COSTS)
        self._halving = False
        self._wanted, self._seen, self._close, self._more = CLOSE_CHANGES, 0, 0, 0
        self.pause_ns = max(int(PAUSE_SHARE * self._period_ns), ns_from_seconds(PAUSE_S))

    def begin(self, now_ns: int, *, changes: int = CLOSE_CHANGES) -> None:
        """Look for the first changes after another edge.

        Args:
            now_ns: When that is.
            changes: How many are wanted between two reads.
        """
        self._wanted, self._seen, self._close, self._more = changes, 0, 0, 0
        self._halving = False
        self._aim(now_ns)

    @property
    def rests(self) -> bool:
        """Whether all that the edge needs has been seen."""
        return self._fixed and not self._halving and self._more >= max(1, STEPS - self._wanted)

    @property
    def _fixed(self) -> bool:
        """Whether the grid is known; a change that fell into a slow read helps, one at least did not."""
        return self._seen >= self._wanted and self._close > 0

    def due_ns(self, now_ns: int) -> int:
        """Return when the next read should begin: `now_ns` while looking for a change, `NEVER_NS` at rest."""
        if self.rests:
            return NEVER_NS
        if self._aim_ns is not None and now_ns > self._aim_ns + self._period_ns:
            self._aim(now_ns)  # nothing was read for longer than a period: a change further on is the next
        return now_ns if self._aim_ns is None else max(now_ns, self._aim_ns)

    def saw(self, before_ns: int, after_ns: int, value: float) -> None:
        """Learn from a read.

        Args:
            before_ns: Its begin.
            after_ns: Its end.
            value: What it showed, in the counter's unit.
        """
        self._costs_ns.append(after_ns - before_ns)
        if self._asked_ns is not None:
            self._lates_ns.append(min(before_ns - self._asked_ns, int(LATEST * self._period_ns)))
            self._asked_ns = None
        last, self._last = self._last, (before_ns, value)
        if last is None or before_ns - last[0] > 2 * self._period_ns:  # nothing was read in between
            return
        if self._fixed and self._halving:
            self._saw_half(before_ns, after_ns, changed=value != last[1])
        elif self._fixed:
            self._saw_step(after_ns, changed=value != last[1])
        elif value == last[1]:
            self._missed(before_ns, after_ns)
        else:
            close = before_ns - last[0] <= self._period_ns // 2
            if not close and self._aim_ns is not None and before_ns <= self._until_ns:
                return  # it fell into a pause: the one that is looked for may be still to come
            self._slips = False
            self._between_ns = self._agreeing(last[0], before_ns)
            self._seen += close
            self._close += before_ns - last[0] <= self._loose_ns()
            self._halving = self._fixed and self._wanted == CLOSE_CHANGES  # more of them do without
            self._aim(after_ns)

    def _missed(self, before_ns: int, after_ns: int) -> None:
        """Aim wider, at the next change, where one did not come in its time; if in vain, look for any."""
        if self._aim_ns is None or before_ns <= self._until_ns:
            return
        if self._slips:
            self._between_ns, self._aim_ns, self._slips = None, None, False
        else:
            self._slips = True
            self._aim(after_ns)

    def _saw_half(self, before_ns: int, after_ns: int, *, changed: bool) -> None:
        """Take what a read in the middle of the next change's time says: it has happened by then, or not."""
        self._halving = False
        if self._between_ns is not None:
            low_ns, high_ns = self._between_ns
            passed_ns = max(1, round((before_ns - high_ns) / self._period_ns)) * self._period_ns
            at_ns = min(max(before_ns - passed_ns, low_ns), high_ns)
            self._between_ns = (low_ns, at_ns) if changed else (at_ns, high_ns)
        self._more += changed
        self._aim(after_ns + changed * self._period_ns // 2)

    def _saw_step(self, after_ns: int, *, changed: bool) -> None:
        if changed:
            self._more += 1
            self._aim(after_ns + self._period_ns // 2)
        else:  # the counter lost its rhythm: its phase is looked for anew
            self._seen, self._close, self._between_ns, self._aim_ns = 0, 0, None, None

    def _agreeing(self, after_ns: int, by_ns: int) -> tuple[int, int]:
        """Return between which instants a change lay that two reads show, with what is known from before."""
        if self._between_ns is None:
            return after_ns, by_ns
        low_ns, high_ns = self._between_ns
        passed_ns = round((by_ns - high_ns) / self._period_ns) * self._period_ns
        astray_ns = int(PERIOD_TOLERANCE * passed_ns)
        low_ns = max(low_ns + passed_ns - astray_ns, after_ns)
        high_ns = min(high_ns + passed_ns + astray_ns, by_ns)
        return (low_ns, high_ns) if low_ns <= high_ns else (after_ns, by_ns)

    def _aim(self, now_ns: int) -> None:
        """Aim at the first change that can still be met from now on, or into the step after it."""
        self._asked_ns = None
        if self._between_ns is None:
            return
        low_ns, high_ns = self._between_ns
        if self._fixed and self._halving:
            middle_ns = (low_ns + high_ns) // 2
            self._aim_ns = middle_ns + max(1, -((middle_ns - now_ns) // self._period_ns)) * self._period_ns
            return
        if self._fixed:
            into_ns = int(INTO_STEP * self._period_ns)
            passed_ns = max(1, -((high_ns + into_ns - now_ns) // self._period_ns)) * self._period_ns
            self._aim_ns = high_ns + passed_ns + into_ns
            return
        away_ns = int(self._generator.random() * self._cost_ns())
        passed_ns = max(1, -((low_ns - now_ns) // self._period_ns)) * self._period_ns
        while True:
            nearest_ns = self._floor_ns() + int(PERIOD_TOLERANCE * passed_ns)
            if high_ns - low_ns + 2 * (nearest_ns + away_ns) >= self._period_ns:
                self._aim_ns = None  # as good as unknown: look all the time
                return
            if low_ns + passed_ns - nearest_ns >= now_ns:
                self._aim_ns = max(now_ns, low_ns + passed_ns - nearest_ns - away_ns)
                self._asked_ns = self._aim_ns
                self._until_ns = high_ns + passed_ns + nearest_ns
                return
            passed_ns += self._period_ns

    def _floor_ns(self) -> int:
        late_ns = max(WAKING_NS, sorted(self._lates_ns)[int(LATE_SHARE * COSTS)])
        return (SLIP if self._slips else 1) * (int(JITTER * self._period_ns) + late_ns)

    def _loose_ns(self) -> int:
        """Return how far apart two reads may be to be close; nothing is known of that from a few reads."""
        if len(self._costs_ns) < FEWEST_COSTS:
            return 0
        quick_ns = sorted(self._costs_ns)[len(self._costs_ns) // 4] + self.pause_ns
        return int(LOOSE * quick_ns)

    def _cost_ns(self) -> int:
        return int(median(self._costs_ns)) + self.pause_ns if self._costs_ns else 0
