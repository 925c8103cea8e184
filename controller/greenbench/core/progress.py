"""What a long job tells while it works; the terminal and the event log listen."""

from collections.abc import Callable
from typing import Protocol

from greenbench.core.plan import PlannedLoad
from greenbench.core.trial import Trial


class Observer(Protocol):
    """Hears of progress. Implementations must not raise and must return at once."""

    def note(self, text: str) -> None:
        """Hear one sentence worth keeping on the screen."""

    def step(self, text: str) -> None:
        """Hear what is being done now; replaces the step before."""

    def load_started(self, load: PlannedLoad, *, done: int, total: int, remaining_s: float | None) -> None:
        """Hear that a load begins: `done` of `total` loads are over, about `remaining_s` seconds are left."""

    def power(self, read: Callable[[], float | None] | None) -> None:
        """Hear where a load's power can be asked for, watts (None: not known); None when it is over."""

    def trial_ended(self, trial: Trial) -> None:
        """Hear that a trial is on disk."""


class Silence:
    """The observer that hears nothing."""

    def note(self, text: str) -> None:
        """Ignore a sentence."""

    def step(self, text: str) -> None:
        """Ignore a step."""

    def load_started(self, load: PlannedLoad, *, done: int, total: int, remaining_s: float | None) -> None:
        """Ignore a load's beginning."""

    def power(self, read: Callable[[], float | None] | None) -> None:
        """Ignore the power."""

    def trial_ended(self, trial: Trial) -> None:
        """Ignore a trial."""
