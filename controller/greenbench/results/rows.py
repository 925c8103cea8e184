"""Records to rows and back: the same mapping in the event log and in Parquet."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from greenbench.core.doubt import Doubt, Rule, Verdict
from greenbench.core.errors import DamagedResultsError
from greenbench.core.trial import Absent, Baseline, Trial
from greenbench.results.events import plain

Row = Mapping[str, Any]
_Record = TypeVar("_Record", Trial, Baseline)


def row_of(record: Trial | Baseline) -> dict[str, Any]:
    """Return a record as plain values by column; NaN and infinity become None."""
    row: dict[str, Any] = plain(record)
    return row


def trial_of(row: Row) -> Trial:
    """Return the trial of a row.

    A doubt whose statistic was no finite number reads back as NaN.

    Raises:
        DamagedResultsError: A column is missing, unknown, or holds what it cannot hold.
    """
    return _built(_trial, row, "trial")


def baseline_of(row: Row) -> Baseline:
    """Return the baseline of a row.

    Raises:
        DamagedResultsError: A column is missing or unknown.
    """
    return _built(lambda values: Baseline(**values), row, "baseline")


def _trial(row: Row) -> Trial:
    doubts = tuple(doubt_of(item) for item in row["doubts"])
    absent = tuple(Absent(**item) for item in row["absent"])
    return Trial(**{**row, "verdict": Verdict(row["verdict"]), "doubts": doubts, "absent": absent})


def doubt_of(item: Row) -> Doubt:
    """Return the doubt of its values; a null statistic is NaN."""
    return Doubt(
        rule=Rule(item["rule"]),
        value=math.nan if item["value"] is None else item["value"],
        limit=math.nan if item["limit"] is None else item["limit"],
        verdict=Verdict(item["verdict"]),
    )


def _built(build: Callable[[Row], _Record], row: Row, what: str) -> _Record:
    try:
        return build(row)
    except (TypeError, KeyError, ValueError) as err:
        raise DamagedResultsError(f"a {what} row is damaged: {err}") from err
