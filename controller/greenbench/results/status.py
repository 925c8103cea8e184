"""How far a run is, from its event log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from greenbench.core.doubt import Verdict
from greenbench.core.trial import Trial
from greenbench.results.cells import last_attempts
from greenbench.results.events import is_written
from greenbench.results.folder import FINISHED, INTERRUPTED, RunFolder
from greenbench.results.stored import EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How far a run is.

    Attributes:
        run_id: Which run.
        folder: Where it is.
        state: ``running`` (a process writes it), ``finished``, ``interrupted``, or ``dead``: it ended without
            a word, and ``--resume`` goes on.
        loads_done: Loads that need not be done again.
        loads_total: Loads of the whole run.
        current_load: The load begun last and not finished; None where there is none.
        begun_utc: When the first event was written, ISO 8601; None where there is none.
        last_utc: When the last was.
        verdicts: Trials by verdict, last attempts only.
        last_trial: The trial that ended last; None where there is none.
    """

    run_id: str
    folder: str
    state: str
    loads_done: int
    loads_total: int
    current_load: str | None
    begun_utc: str | None
    last_utc: str | None
    verdicts: Mapping[Verdict, int]
    last_trial: Trial | None


def status_of(run: RunFolder) -> RunStatus:
    """Read how far a run is; it may be going on.

    Raises:
        DamagedResultsError: Manifest or log are damaged.
    """
    manifest = run.manifest()
    events = tuple(run.events())
    trials = run.trials()
    done = run.finished_loads()
    last = events[-1]["event"] if events else ""
    started = [event["load_id"] for event in events if event["event"] == "load_started"]
    return RunStatus(
        run_id=manifest.run_id,
        folder=str(run.path),
        state=_state(last, written=is_written(run.path / EVENTS)),
        loads_done=len(done),
        loads_total=len(manifest.order),
        current_load=started[-1] if started and started[-1] not in done else None,
        begun_utc=events[0]["utc"] if events else None,
        last_utc=events[-1]["utc"] if events else None,
        verdicts=dict(Counter(trial.verdict for trial in last_attempts(trials))),
        last_trial=trials[-1] if trials else None,
    )


def _state(last: str, *, written: bool) -> str:
    ended = {FINISHED: "finished", INTERRUPTED: "interrupted"}.get(last)
    # The page is written after the run's last line: whoever holds the log then has no more to say in it.
    return ended or ("running" if written else "dead")
