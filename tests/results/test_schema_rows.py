import math
from dataclasses import fields

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenbench.core.doubt import Doubt, Rule, Verdict
from greenbench.core.errors import DamagedResultsError
from greenbench.core.trial import Absent, Baseline, Trial
from greenbench.results.rows import baseline_of, row_of, trial_of
from greenbench.results.schema import BASELINES, TRIALS

PUBLISHED = [
    "run_id",
    "trial_id",
    "cell_id",
    "load_id",
    "round",
    "window",
    "attempt",
    "position",
    "host_id",
    "gpu_uuid",
    "runtime",
    "mode",
    "source",
    "model",
    "precision",
    "batch_size",
    "sequence_length",
    "weights",
    "weights_from",
    "path",
    "io",
    "device",
    "threads",
    "load_s",
    "build_s",
    "begin_ns",
    "end_ns",
    "duration_s",
    "iterations",
    "samples",
    "throughput_samples_per_s",
    "latency_p50_s",
    "latency_p90_s",
    "latency_p99_s",
    "energy_gpu_j",
    "energy_cpu_j",
    "energy_dram_j",
    "energy_psys_j",
    "energy_cpu_estimated_j",
    "energy_total_j",
    "energy_gpu_net_b0_j",
    "energy_gpu_net_b1_j",
    "energy_cpu_net_b0_j",
    "energy_cpu_net_b1_j",
    "energy_dram_net_b0_j",
    "energy_dram_net_b1_j",
    "energy_scope",
    "energy_j_per_sample",
    "energy_u95_j",
    "energy_net_b0_u95_j",
    "energy_net_b1_u95_j",
    "gain_u_rel",
    "power_gpu_mean_w",
    "cpu_s",
    "memory_peak_b",
    "gpu_memory_peak_b",
    "gpu_util_mean",
    "sm_clock_mean_hz",
    "temperature_begin_c",
    "temperature_end_c",
    "throttled_share",
    "counter_over_integral",
    "verdict",
    "doubts",
    "absent",
    "failure",
]

finite = st.floats(allow_nan=False, allow_infinity=False)
doubts = st.builds(
    Doubt,
    rule=st.sampled_from(Rule),
    value=finite,
    limit=finite,
    verdict=st.sampled_from([Verdict.DOUBTFUL, Verdict.INVALID]),
)
int64 = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]))
by_hint = {
    str: text,
    int: int64,
    float: finite,
    str | None: st.none() | text,
    int | None: st.none() | int64,
    float | None: st.none() | finite,
    Verdict: st.sampled_from(Verdict),
    tuple[Doubt, ...]: st.lists(doubts, max_size=3).map(tuple),
    tuple[Absent, ...]: st.lists(st.builds(Absent, domain=text, reason=text), max_size=3).map(tuple),
}
trials = st.builds(Trial, **{field.name: by_hint[field.type] for field in fields(Trial)})


def test_the_columns_are_the_published_ones_and_the_records_fields():
    assert TRIALS.names == PUBLISHED
    assert TRIALS.names == [field.name for field in fields(Trial)]
    assert BASELINES.names == [field.name for field in fields(Baseline)]


def test_a_column_is_nullable_exactly_where_the_field_may_be_none():
    for field in fields(Trial):
        assert TRIALS.field(field.name).nullable == (None.__class__ in getattr(field.type, "__args__", ())), (
            field.name
        )


def test_doubts_keep_rule_value_and_limit_as_numbers():
    kind = TRIALS.field("doubts").type.value_type
    assert {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)} == {
        "rule": pa.string(),
        "value": pa.float64(),
        "limit": pa.float64(),
        "verdict": pa.string(),
    }
    assert TRIALS.field("begin_ns").type == pa.int64()


@settings(max_examples=60, deadline=None)
@given(trials)
def test_a_trial_comes_back_from_its_row_and_from_arrow_as_it_was(trial):
    row = row_of(trial)
    assert trial_of(row) == trial
    assert trial_of(pa.Table.from_pylist([row], schema=TRIALS).to_pylist()[0]) == trial


def test_an_infinite_statistic_is_null_on_disk_and_nan_after(make):
    doubt = Doubt(rule=Rule.PARITY, value=math.inf, limit=1e-4, verdict=Verdict.INVALID)
    row = row_of(make.trial(doubts=(doubt,), verdict=Verdict.INVALID))
    assert row["doubts"][0]["value"] is None
    back = trial_of(row).doubts[0]
    assert math.isnan(back.value)
    assert "parity: nan" in back.sentence


@pytest.mark.parametrize(
    "change",
    [{"verdict": "fine"}, {"colour": 1}, {"doubts": None}, {"doubts": [{"rule": "nope"}]}, {"verdict": None}],
)
def test_a_damaged_row_is_one_error(make, change):
    with pytest.raises(DamagedResultsError, match="a trial row is damaged"):
        trial_of(row_of(make.trial()) | change)


def test_a_baseline_comes_back():
    baseline = Baseline(
        kind="B0",
        load_id=None,
        domain="gpu",
        begin_ns=1,
        end_ns=2,
        power_w=72.5,
        standard_error_w=None,
        settled=True,
    )
    assert baseline_of(row_of(baseline)) == baseline
    with pytest.raises(DamagedResultsError, match="baseline"):
        baseline_of({"kind": "B0"})
