"""How much of a run's time is measured: ``python -m benchmarks.measured_share RUN``.

Of each load the time from a model that is loaded and proven to its being unloaded; of that, what lies in
windows or baselines. The rest is warming up, resting, lead-in, tail and baselines that had not settled.
Exit status 1 where less than 70% is measured with its whole interval.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.lines import Line, Verdict
from benchmarks.pairs import FEWEST, centre_of
from benchmarks.table import as_markdown, exit_status, head, machine, show
from greenbench.bench.basis import BASIS
from greenbench.core.errors import GreenbenchError
from greenbench.core.trial import Baseline, Trial
from greenbench.results.stored import StoredRun

LEAST = 0.7
"""Share of a load's time that ought to be measured under the protocol of `study`."""


def shares(
    events: Iterable[Mapping[str, Any]], trials: Iterable[Trial], baselines: Iterable[Baseline]
) -> Iterator[float]:
    """Yield of each load that was timed the share of its time that lies in windows or baselines.

    Args:
        events: `BASIS` events of a run.
        trials: Its trials.
        baselines: Its baselines, one of each domain.
    """
    windows = [(trial.load_id, trial.attempt, trial.begin_ns, trial.end_ns) for trial in trials]
    quiet = [(one.load_id, one.begin_ns, one.end_ns) for one in baselines]
    for event in events:
        if not event.get("occupied_ns"):
            continue
        begin_ns, end_ns = event["occupied_ns"]
        load_id, attempt = event["load_id"], event["attempt"]
        spans = {(begin, end) for load, tried, begin, end in windows if (load, tried) == (load_id, attempt)}
        spans |= {(begin, end) for load, begin, end in quiet if load == load_id and begin_ns <= begin}
        spans = {span for span in spans if None not in span and span[1] <= end_ns}
        yield _covered(spans) / (end_ns - begin_ns)


def _covered(spans: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union: domains are cut at changes of their own."""
    covered = reached = 0
    for begin, end in sorted(spans):
        covered += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return covered


def share_line(found: list[float], note: str) -> Line:
    """Return the line of a run's loads.

    Args:
        found: Share of each.
        note: What they were.
    """
    what, limit = "time between ready and unload that lies in windows or baselines", f"{LEAST:.0%} or more"
    if len(found) < FEWEST:
        few = f"{len(found)} loads give no interval of 90%; at least {FEWEST}"
        return Line(what=what, figure="-", limit=limit, verdict=Verdict.NOISY, note=few)
    share = centre_of(found)
    verdict = Verdict.WITHIN if share.low >= LEAST else Verdict.NOISY
    verdict = Verdict.BEYOND if share.high < LEAST else verdict
    figure = f"{share.point:.1%} ({share.low:.1%} to {share.high:.1%})"
    return Line(what=what, figure=figure, limit=limit, verdict=verdict, note=note, estimate=share)


def main(arguments: list[str] | None = None) -> int:
    """Look at a run, print the line, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measured_share", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write the table there")
    options = parser.parse_args(arguments)
    try:
        run = StoredRun(options.run)
        found = list(shares(run.events(BASIS), run.trials(), run.baselines()))
        protocol = run.manifest().suite["protocol"]
    except GreenbenchError as error:
        print(f"measured_share: {error}", file=sys.stderr)
        return error.exit_status
    note = f"{len(found)} loads of {protocol['windows']} windows of {protocol['window_s']:g} s"
    lines = [share_line(found, note)]
    show(lines, Console())
    if options.md:
        options.md.write_text(
            as_markdown(lines, head(machine(), f"python -m benchmarks.measured_share {options.run}", note))
        )
    return exit_status(lines)


if __name__ == "__main__":
    sys.exit(main())
