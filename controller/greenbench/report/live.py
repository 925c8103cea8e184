"""Progress on the terminal: a live line by Rich, or plain lines where nobody watches."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from greenbench.core.doubt import Verdict
from greenbench.core.plan import PlannedLoad
from greenbench.core.trial import Trial
from greenbench.report.numbers import duration, figure
from greenbench.report.visible import shown, visible

Power = Callable[[], float | None]


class _PowerColumn(ProgressColumn):
    """Watts of the load that runs; empty where nobody knows."""

    def __init__(self, read: Callable[[], Power | None]) -> None:
        super().__init__()
        self._read = read

    def render(self, task: Task) -> Text:  # noqa: ARG002 - Rich's signature
        """Return the power at this moment."""
        now = self._read()
        watts = now() if now else None
        return Text("" if watts is None else f"{watts:.0f} W")


class LiveObserver:
    """Shows what runs now, what is left, how long, and the last result. Goes to stderr.

    On a terminal one live line moves; elsewhere each event is a plain line.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._power: Power | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}"),
            _PowerColumn(lambda: self._power),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            refresh_per_second=0.5,  # ten a second cost 1.5% of a core beside every window, one 0.17%
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("starting", total=None, count="", left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Keep one sentence on the screen."""
        self._print(text)

    def step(self, text: str) -> None:
        """Show what is being done now."""
        if self._console.is_terminal and self._task is not None:
            self._progress.update(self._task, description=escape(visible(text)))
        else:
            self._print(text)

    def load_started(self, load: PlannedLoad, *, done: int, total: int, remaining_s: float | None) -> None:
        """Show which load begins and about how long the rest takes."""
        left = f"about {duration(remaining_s)} left" if remaining_s is not None else ""
        if self._console.is_terminal and self._task is not None:
            self._progress.update(
                self._task, completed=done, total=total, count=f"{done + 1}/{total}", left=left
            )
        else:
            self._print(f"[{done + 1}/{total}] round {load.round} {load.cell.cell_id}  {left}")

    def power(self, read: Power | None) -> None:
        """Show the load's power on the live line, asked every other second, until it is over."""
        self._power = read

    def trial_ended(self, trial: Trial) -> None:
        """Show a trial's figures in one line."""
        self._print(trial_line(trial))

    def _print(self, text: str) -> None:
        self._console.print(shown(text), soft_wrap=True)


def trial_line(trial: Trial) -> str:
    """Return one line for a trial: name, rate, energy where it was measured, verdict."""
    name = f"round {trial.round} window {trial.window} {trial.cell_id}"
    if trial.verdict is Verdict.FAILED:
        return f"{name}: failed: {trial.failure}"
    if trial.throughput_samples_per_s is None:
        return f"{name}: {trial.verdict}: {trial.failure}"
    figures = [f"{figure(trial.throughput_samples_per_s)} samples/s"]
    if trial.energy_j_per_sample is not None:
        figures.append(f"{figure(trial.energy_j_per_sample)} J/sample")
    if trial.energy_total_j is not None and trial.duration_s:
        figures.append(f"{trial.energy_total_j / trial.duration_s:.0f} W")
    doubts = ", ".join(dict.fromkeys(doubt.rule.value for doubt in trial.doubts))
    return f"{name}: {', '.join(figures)}, {trial.verdict}" + (f" ({doubts})" if doubts else "")
