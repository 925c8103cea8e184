"""`greenbench verify`: whether a stored run is what was measured, as far as its own record can tell."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from greenbench.bench.recompute import (
    INTERVAL_COLUMNS,
    exact,
    older_halves,
    older_intervals,
    row_findings,
    same,
)
from greenbench.bench.rows import net_of_host
from greenbench.core.doubt import Limits, Rule
from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.core.trial import Baseline, Trial
from greenbench.results.events import line_digest
from greenbench.results.finding import Finding
from greenbench.results.folder import FINISHED, INTERRUPTED
from greenbench.results.integrity import (
    chain_findings,
    chained,
    clock_findings,
    clock_steps,
    completeness_findings,
    file_findings,
    plan_findings,
    raw_findings,
)
from greenbench.results.manifest import Manifest
from greenbench.results.parts import read_rows
from greenbench.results.rows import baseline_of, trial_of
from greenbench.results.stored import EVENTS, TRIALS_FILE, StoredRun

BASELINES_FILE = "baselines.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found.

    Attributes:
        folder: The run's.
        findings: What is not as it was written; empty for a run that holds.
        notes: What could not be checked, or is odd and no fault.
        trials: Rows that were computed again.
        head: SHA-256 of the log's last line: who noted it down elsewhere can tell a log written anew.
    """

    folder: Path
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    trials: int
    head: str


def verify_run(folder: Path) -> Verification:
    """Check a run by everything it keeps of itself.

    Args:
        folder: Of a finished run, an interrupted one, or one that was killed.

    Raises:
        ConfigurationError: It is merged from shards, whose logs and clocks are their own.
    """
    run = StoredRun(folder)
    _refuse_merged(run)
    found = tuple(_guarded(run))
    try:
        notes, trials = tuple(_notes(run)), len(run.trials())
    except DamagedResultsError:
        notes, trials = (), 0
    return Verification(folder=folder, findings=found, notes=notes, trials=trials, head=_head(run))


def _refuse_merged(run: StoredRun) -> None:
    try:
        shards = run.manifest().shards
    except DamagedResultsError:
        return  # a finding, told with the others
    if shards:
        names = ", ".join(shard.run_id for shard in shards)
        raise ConfigurationError(
            f"{run.path} is merged from shards; verify each shard's own folder instead: {names}"
        )


def _head(run: StoredRun) -> str:
    path = run.path / EVENTS
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return line_digest(lines[-1] if lines else b"")


def _guarded(run: StoredRun) -> Iterator[Finding]:
    """A file that cannot be read is a finding, and the checks that do without it go on."""
    told: set[str] = set()
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        lambda: plan_findings(run.manifest()),
        lambda: clock_findings(run.path / EVENTS),
        lambda: chain_findings(run.path / EVENTS),
        lambda: file_findings(run),
        lambda: raw_findings(run),
        lambda: completeness_findings(run, run.manifest()),
        lambda: row_findings(run, run.manifest()),
        lambda: _table_findings(run, run.manifest()),
    )
    for check in checks:
        try:
            yield from check()
        except (DamagedResultsError, KeyError, TypeError, ValueError, OSError) as err:
            sentence = str(err) if isinstance(err, DamagedResultsError) else f"is damaged: {err!r}"
            if sentence not in told:
                yield Finding(where=run.path.name, what=sentence)
            told.add(sentence)


def _table_findings(run: StoredRun, manifest: Manifest) -> Iterator[Finding]:
    """Compare the tables with what the log gives: columns net of B0 are filled in at the end."""
    if not (run.path / TRIALS_FILE).exists():
        return
    limits = {Rule(name): Limits(**entry.model_dump()) for name, entry in manifest.thresholds.items()}
    baselines = run.baselines()
    expected = tuple(net_of_host(trial, baselines, limits) for trial in run.trials())
    # Nor did a log without a basis fill in the intervals of net totals.
    skip = INTERVAL_COLUMNS - {"energy_u95_j"} if older_intervals(run) or not exact(run) else frozenset()
    yield from _compared(TRIALS_FILE, map(trial_of, read_rows(run.path / TRIALS_FILE)), expected, skip=skip)
    stored = map(baseline_of, read_rows(run.path / BASELINES_FILE))
    yield from _compared(BASELINES_FILE, stored, baselines)


def _compared(
    name: str,
    stored: Iterable[Trial | Baseline],
    expected: Iterable[Trial | Baseline],
    *,
    skip: frozenset[str] = frozenset(),
) -> Iterator[Finding]:
    for number, (row, wanted) in enumerate(zip_longest(stored, expected), start=1):
        if row is None or wanted is None:
            what = "holds fewer rows than the log" if row is None else "holds rows that the log does not"
            yield Finding(where=name, what=what)
            return
        compared = [key for key in type(row).__slots__ if key not in skip]
        wrong = [key for key in compared if not same(getattr(row, key), getattr(wanted, key))]
        if wrong:
            yield Finding(where=f"{name} row {number}", what=f"differs from the log in {', '.join(wrong)}")


def _notes(run: StoredRun) -> Iterator[str]:
    if not chained(run):
        yield "made before lines named each other: a row taken out everywhere is found by gaps alone"
    if not exact(run):
        yield "made before a load's sensors were kept: doubts and intervals are not computed again"
    if older_intervals(run):
        yield "intervals were computed otherwise than now: they and reasons are not computed again"
    if older_halves(run):
        yield "not_steady was told otherwise than now: doubts of that rule are not computed again"
    last = [event["event"] for event in run.events()][-1:]
    if last not in ([FINISHED], [INTERRUPTED]):
        yield "the run has not ended: its tables are not sealed yet"
    yield from clock_steps(run.path / EVENTS)
