"""The columns of the Parquet files; those of trials and baselines are the fields of their records."""

from dataclasses import fields
from typing import get_type_hints

import pyarrow as pa

from greenbench.core.doubt import Doubt, Verdict
from greenbench.core.trial import Absent, Baseline, Trial

DOUBT = pa.struct(
    [("rule", pa.string()), ("value", pa.float64()), ("limit", pa.float64()), ("verdict", pa.string())]
)
ABSENT = pa.struct([("domain", pa.string()), ("reason", pa.string())])


def _schema_of(record: type) -> pa.Schema:
    hints = get_type_hints(record)
    return pa.schema([_column(field.name, hints[field.name]) for field in fields(record)])


def _column(name: str, hint: object) -> pa.Field:
    types = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        Verdict: pa.string(),
        tuple[Doubt, ...]: pa.list_(DOUBT),
        tuple[Absent, ...]: pa.list_(ABSENT),
    }
    if hint in types:
        return pa.field(name, types[hint], nullable=False)
    inner = next(kind for kind in types if hint == kind | None)
    return pa.field(name, types[inner], nullable=True)


TRIALS = _schema_of(Trial)
"""trials.parquet: one row per trial."""

BASELINES = _schema_of(Baseline)
"""baselines.parquet: one row per baseline and domain."""

READINGS = pa.schema(
    [
        pa.field("load_id", pa.string()),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("t_before_ns", pa.int64(), nullable=False),
        pa.field("t_after_ns", pa.int64(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("unit", pa.string(), nullable=False),
    ]
)
"""readings.parquet: raw readings, SI units; ``load_id`` is null for what was read between loads."""

ITERATIONS = pa.schema(
    [
        pa.field("load_id", pa.string(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("end_ns", pa.int64(), nullable=False),
    ]
)
"""iterations.parquet: the end of every iteration from lead-in to tail, CLOCK_MONOTONIC nanoseconds."""
