"""Every way to change a stored run that its own record can tell, each on a run that held before."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenbench.bench.basis import BASIS, basis_fields
from greenbench.bench.instruments import Instruments
from greenbench.bench.rows import net_of_host, window_row
from greenbench.bench.suites import load_suite
from greenbench.bench.verify import verify_run
from greenbench.core.doubt import Verdict
from greenbench.core.plan import order_of_ids
from greenbench.core.reading import Domain, Series
from greenbench.core.settings import with_settings
from greenbench.core.trial import Baseline, Trial
from greenbench.energy.cgroup import CPU_STREAM
from greenbench.energy.meter import MeterSet
from greenbench.energy.recorder import Record
from greenbench.energy.validity import DEFAULT_LIMITS
from greenbench.energy.window import cut
from greenbench.results.events import line_digest
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import Manifest, ThresholdEntry
from greenbench.results.parts import IterationTable
from greenbench.results.seal import content_of, file_digests

KEPT = Path(__file__).parents[2] / "docs/results/h100-2026-11-23"
OLDER_GPU = KEPT.parent / "h100-batch64-2026-11-25"
CELLS = ("onnxruntime.cpu.mobilenet_v2.fp32.b1", "pytorch.eager.mobilenet_v2.fp32.b1")
SECOND = 1_000_000_000
RAPL = "rapl:package-0"
METERS = MeterSet(domains={Domain.CPU: (RAPL,)}, wraps={RAPL: 300.0}, max_power_w={RAPL: 200.0}, scope="cpu")
INSTRUMENTS = Instruments(meters=METERS, sensor_period_s=0.0, limits=DEFAULT_LIMITS)


class Clock:
    """Times of a made-up run: the log's stamps lie around its loads."""

    now_ns = 0


def polled(stream: str, unit: str, begin_ns: int, rate: float, wraps_at: float | None = None) -> Series:
    at = begin_ns + np.arange(120, dtype=np.int64) * SECOND // 10
    value = (at - begin_ns) / SECOND * rate
    return Series(
        stream=stream,
        unit=unit,
        t_before_ns=at,
        t_after_ns=at + 20_000,
        value=value % wraps_at if wraps_at else value,
    )


def made(tmp_path: Path, monkeypatch, *, seed: int = 3, run_id: str = "run", watts: float = 37.0) -> Path:
    """A run of two cells over two rounds, two windows each, written by the code that writes runs."""
    Clock.now_ns = 0
    monkeypatch.setattr("greenbench.results.folder.EventLog", _stamped(monkeypatch))
    drawn = order_of_ids(CELLS, rounds=2, seed=seed)
    order = tuple(f"r{1 + at // 2:02d}.{cell}" for at, cell in enumerate(drawn))
    suite = with_settings(load_suite("quick"), ["protocol.windows=2", "protocol.rounds=2"])
    limits = {rule.value: ThresholdEntry(**_plain(own)) for rule, own in DEFAULT_LIMITS.items()}
    manifest = Manifest(
        run_id=run_id,
        created_utc="2026-01-02T00:00:00+00:00",
        greenbench_version="0.1.0",
        suite=suite.as_mapping(),
        suite_sha256=suite.sha256,
        seed=seed,
        order=order,
        host={"host_id": "h", "energy_scope": "cpu"},
        device="cpu",
        thresholds=limits,
    )
    with RunFolder.create(tmp_path, run_id, manifest) as folder:
        for position, load_id in enumerate(order):
            measured(folder, load_id, position, watts + position)
        folder.finish(derive=lambda rows, base: tuple(net_of_host(row, base, DEFAULT_LIMITS) for row in rows))
    return tmp_path / run_id


def _plain(limits) -> dict:
    return {"doubtful": limits.doubtful, "invalid": limits.invalid, "low_is_bad": limits.low_is_bad}


def _stamped(monkeypatch):
    from greenbench.results.events import EventLog  # noqa: PLC0415 - the one that is replaced

    return lambda path: EventLog(path, clock=lambda: Clock.now_ns)


def measured(folder: RunFolder, load_id: str, position: int, watts: float) -> None:
    begin = (1 + position) * 100 * SECOND
    Clock.now_ns = begin
    attempt = folder.start_load(load_id, position=position)
    readings = (polled(RAPL, "J", begin, watts, 300.0), polled(CPU_STREAM, "s", begin, 1.9))
    ends = IterationTable(load_id=load_id, end_ns=begin + np.arange(1, 600, dtype=np.int64) * SECOND // 50)
    record = Record({item.stream: item for item in readings}, periods_s={RAPL: 0.1, CPU_STREAM: 0.04})
    asked = [(begin + SECOND * first, begin + SECOND * (first + 4)) for first in (1, 6)]
    windows = [
        cut(
            record,
            METERS,
            asked_begin_ns=first,
            asked_end_ns=last,
            ends_ns=ends.end_ns,
            sensor_period_s=0.0,
        )
        for first, last in asked
    ]
    Clock.now_ns = begin + 13 * SECOND
    folder.add_raw(load_id, attempt=attempt, iterations=ends, readings=readings)
    folder.log(
        BASIS, load_id=load_id, attempt=attempt, doubts=(), **basis_fields(record, INSTRUMENTS, windows)
    )
    quiet = Baseline(
        kind="B1",
        load_id=load_id,
        domain="cpu",
        begin_ns=begin,
        end_ns=begin + SECOND,
        power_w=9.0,
        standard_error_w=None,
        settled=True,
    )
    folder.add_baselines([quiet])
    for number, window in enumerate(windows, start=1):
        row = blank(load_id, position, attempt, number)
        folder.add_trial(
            window_row(row, window, INSTRUMENTS, doubts=(), baselines=(quiet,), estimate_cpu=False)
        )
    folder.finish_load(load_id, attempt=attempt)


def blank(load_id: str, position: int, attempt: int, window: int) -> Trial:
    cell = load_id.partition(".")[2]
    return Trial(
        run_id="run",
        trial_id=f"{load_id}.a{attempt}.w{window}",
        cell_id=cell,
        load_id=load_id,
        round=int(load_id[1:3]),
        window=window,
        attempt=attempt,
        position=position,
        host_id="h",
        gpu_uuid=None,
        runtime=cell.partition(".")[0],
        mode="eager",
        source=None,
        model="mobilenet_v2",
        precision="fp32",
        batch_size=1,
        sequence_length=None,
        weights="matched",
        weights_from="seeded",
        path="loop",
        io="device",
        device="cpu",
        threads=2,
        verdict=Verdict.FAILED,
    )


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    folder = made(tmp_path, monkeypatch)
    assert verify_run(folder).findings == ()
    return folder


def found(folder: Path) -> str:
    return "\n".join(f"{item.where}: {item.what}" for item in verify_run(folder).findings)


def rewrite(folder: Path, change, *, resign: bool) -> None:
    """Change the log's events; with `resign` as somebody who knows chain, digests and seal."""
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    events = [event for event in map(change, map(json.loads, lines)) if event is not None]
    last, text = b"", b""
    for event in events:
        if resign:
            event["chain"] = line_digest(last)
            if "files" in event:
                event["files"] = file_digests(folder)
        last = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        text += last
    (folder / "events.jsonl").write_bytes(text)


def table(folder: Path, name: str, change) -> None:
    path = folder / name
    stored = pq.read_table(path)
    pq.write_table(change(stored).replace_schema_metadata(stored.schema.metadata), path)


def edited(field: str, factor: float):
    def change(event: dict) -> dict:
        if event["event"] == "trial":
            event["trial"][field] *= factor
        return event

    return change


def test_a_run_as_it_was_written_holds_and_says_what_was_checked(run):
    done = verify_run(run)
    assert (done.findings, done.trials) == ((), 8)
    assert done.head == line_digest((run / "events.jsonl").read_bytes().splitlines(keepends=True)[-1])


def test_the_kept_run_on_a_gpu_is_computed_again_from_its_readings():
    done = verify_run(KEPT)
    assert (done.findings, done.trials) == ((), 24)
    assert any("doubts" in note for note in done.notes)


@pytest.mark.parametrize(
    "field", ["energy_cpu_j", "energy_total_j", "energy_j_per_sample", "energy_u95_j", "cpu_s", "samples"]
)
def test_an_edited_figure_is_found_even_where_the_log_is_signed_anew(run, field):
    rewrite(run, edited(field, 0.99), resign=True)
    assert f"w1: {field} is " in found(run)


def test_an_edited_figure_breaks_the_chain(run):
    rewrite(run, edited("energy_cpu_j", 0.99), resign=False)
    assert "does not follow from the line before it" in found(run)


def test_a_figure_edited_in_the_table_alone(run):
    def cheaper(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("energy_cpu_j")
        values = [value * 0.9 for value in rows["energy_cpu_j"].to_pylist()]
        return rows.set_column(at, rows.schema.field(at), pa.array(values))

    table(run, "trials.parquet", cheaper)
    assert "trials.parquet: is not the one that the run wrote" in found(run)
    assert "trials.parquet row 1: differs from the log in energy_cpu_j" in found(run)


@pytest.mark.parametrize("resign", [False, True])
def test_a_row_taken_out_of_the_log(run, resign):
    gone = "w2"
    rewrite(
        run,
        lambda event: None if event["event"] == "trial" and gone in event["trial"]["trial_id"] else event,
        resign=resign,
    )
    assert "the rows of windows [2] are missing" in found(run)


def test_a_row_taken_out_of_the_table(run):
    table(run, "trials.parquet", lambda rows: rows.slice(1))
    assert "trials.parquet" in found(run)
    assert "holds fewer rows than the log" in found(run) or "row 1: differs" in found(run)


def test_a_whole_load_taken_out_everywhere_leaves_its_place_in_the_order(run):
    first = json.loads((run / "manifest.json").read_text())["order"][0]

    def without(event: dict) -> dict | None:
        load = event.get("load_id") or event.get("trial", {}).get("load_id")
        return None if load == first else event

    rewrite(run, without, resign=True)
    assert f"{first}: was planned; the run ended and holds nothing of it" in found(run)


def test_a_row_put_in_twice(run):
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if b'"event":"trial"' in line)
    (run / "events.jsonl").write_bytes(b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]))
    assert "is there 2 times" in found(run)
    assert "does not follow" in found(run)


@pytest.mark.parametrize("name", ["readings.parquet", "iterations.parquet", "trials.parquet"])
def test_files_swapped_between_two_runs(run, tmp_path, monkeypatch, name):
    other = made(tmp_path / "elsewhere", monkeypatch, watts=11.0, seed=0)
    shutil.copy(other / name, run / name)
    assert f"{name}: is not the one that the run wrote" in found(run)


def test_readings_swapped_between_two_loads(run):
    def swapped(rows: pa.Table) -> pa.Table:
        loads = rows["load_id"].to_pylist()
        one, two = sorted(set(loads))[:2]
        names = [{one: two, two: one}.get(name, name) for name in loads]
        return rows.set_column(0, rows.schema.field(0), pa.array(names))

    table(run, "readings.parquet", swapped)
    rewrite(run, lambda event: event, resign=True)
    said = found(run)
    assert "their SHA-256 differs" in said
    assert "cannot be computed from its readings" in said or "its readings give" in said


def test_another_seed(run):
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"seed": 0}))
    said = found(run)
    assert "manifest.json: is not the one that the run wrote" in said
    assert "seed 0 draws another order" in said


@pytest.mark.parametrize("name", ["readings.parquet", "iterations.parquet"])
@pytest.mark.parametrize("resign", [False, True])
def test_truncated_records(run, name, resign):
    table(run, name, lambda rows: rows.slice(0, len(rows) - 90))
    if resign:
        rewrite(run, lambda event: event, resign=True)
    assert "were recorded" in found(run)


def test_truncated_readings_are_found_by_the_windows_where_all_digests_are_made_anew(run):
    table(run, "readings.parquet", lambda rows: rows.slice(0, len(rows) - 90))
    stored = pq.read_table(run / "readings.parquet").to_pylist()

    def forged(event: dict) -> dict:
        if event["event"] == "raw_recorded":
            series = [as_series(stored, event["load_id"], stream) for stream in (RAPL, CPU_STREAM)]
            event["content"] |= content_of(series, None)
        return event

    rewrite(run, forged, resign=True)
    assert "its readings give null" in found(run) or "was not read on both sides" in found(run)


def as_series(rows: list[dict], load_id: str, stream: str) -> Series:
    own = [row for row in rows if row["load_id"] == load_id and row["stream"] == stream]
    return Series(
        stream=stream,
        unit="",
        t_before_ns=np.array([row["t_before_ns"] for row in own], dtype=np.int64),
        t_after_ns=np.array([row["t_after_ns"] for row in own], dtype=np.int64),
        value=np.array([row["value"] for row in own], dtype=np.float64),
    )


def test_a_forged_duration(run):
    rewrite(run, edited("duration_s", 0.5), resign=True)
    assert "duration_s is " in found(run)


def test_a_window_moved_outside_its_load(run):
    def later(event: dict) -> dict:
        if event["event"] == "trial":
            event["trial"]["begin_ns"] += 500 * SECOND
            event["trial"]["end_ns"] += 500 * SECOND
        return event

    rewrite(run, later, resign=True)
    assert "does not lie between its load's begin and its entry in the log" in found(run)


def test_a_doubt_taken_off(run):

    def trusted(event: dict) -> dict:
        if event["event"] == "trial":
            assert event["trial"]["doubts"], "a stream was read later than scheduled"
            event["trial"] |= {"doubts": [], "verdict": "valid"}
        return event

    rewrite(run, trusted, resign=True)
    assert "doubts is []" in found(run)


def test_a_figure_in_a_failed_row(run):
    def failed(event: dict) -> dict:
        if event["event"] == "trial":
            event["trial"] |= {"begin_ns": None, "end_ns": None, "verdict": "failed"}
        return event

    rewrite(run, failed, resign=True)
    assert "energy_cpu_j is " in found(run)


@pytest.mark.parametrize("name", ["manifest.json", "events.jsonl", "readings.parquet"])
def test_a_file_of_garbage_is_a_finding_and_no_crash(run, name):
    (run / name).write_bytes(b"garbage\n")
    assert found(run)


def test_a_run_that_goes_on_holds_and_says_that_it_is_not_sealed(run):
    def unfinished(event: dict) -> dict | None:
        return None if event["event"] == "run_finished" else event

    rewrite(run, unfinished, resign=True)
    done = verify_run(run)
    assert done.findings == ()
    assert any("not sealed" in note for note in done.notes)


def test_intervals_of_another_method_are_not_compared_and_that_is_said(run):
    def older(event: dict) -> dict:
        event.pop("intervals", None)
        return edited("energy_u95_j", 1.2)(event)

    rewrite(run, older, resign=True)
    assert "energy_u95_j is " not in found(run)
    assert any("they and reasons are not" in note for note in verify_run(run).notes)
    rewrite(run, edited("energy_cpu_j", 1.2), resign=True)
    assert "w1: energy_cpu_j is " in found(run)


@pytest.fixture
def halves_by_average_run(tmp_path) -> Path:
    """Of a GPU, from when an edge was read by close changes alone."""
    kept = KEPT.parent / "h200-batch64-2026-11-26"
    return Path(shutil.copytree(kept, tmp_path / kept.name))


def test_intervals_that_can_be_computed_as_they_were_are(halves_by_average_run):
    done = verify_run(halves_by_average_run)
    assert done.findings == ()
    assert not any("intervals were computed otherwise" in note for note in done.notes)
    rewrite(halves_by_average_run, edited("energy_u95_j", 1.2), resign=True)
    assert "energy_u95_j is " in found(halves_by_average_run)


def with_verdict(verdict: Verdict, *, rule: str = ""):
    """Change the verdict of trials with a doubt of a rule, or of those with none; take their doubts off."""

    def change(event: dict) -> dict:
        if event["event"] == "trial":
            rules = [doubt["rule"] for doubt in event["trial"]["doubts"]]
            if rule in rules or not (rule or rules):
                event["trial"] |= {"verdict": verdict, "doubts": []}
        return event

    return change


def test_where_no_power_was_read_doubts_of_older_runs_are_computed_again(run):
    def older(event: dict) -> dict:
        if event["event"] == "trial":
            event["trial"]["verdict"] = Verdict.INVALID
        return event | ({"intervals": 1} if event["event"] == BASIS else {})

    rewrite(run, older, resign=True)
    assert "verdict is " in found(run)
    assert not any("not_steady" in note for note in verify_run(run).notes)


@pytest.fixture
def older_gpu_run(tmp_path) -> Path:
    return Path(shutil.copytree(OLDER_GPU, tmp_path / OLDER_GPU.name))


def test_doubts_of_power_from_before_noise_was_allowed_for_are_not_compared_and_that_is_said(older_gpu_run):
    done = verify_run(older_gpu_run)
    assert done.findings == ()
    assert any("doubts of that rule are not computed again" in note for note in done.notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_verdict(Verdict.VALID, rule="gap"), "doubts is "),
        (with_verdict(Verdict.VALID, rule="period_locked"), "verdict is "),
        (with_verdict(Verdict.DOUBTFUL), "verdict is "),
    ],
)
def test_all_other_doubts_of_such_a_run_are(older_gpu_run, change, told):
    rewrite(older_gpu_run, change, resign=True)
    assert told in found(older_gpu_run)


def test_a_clock_that_was_set_is_a_note(run):
    lines = (run / "events.jsonl").read_text().splitlines()
    assert len(lines) > 3
    assert any("the clock was set" in note for note in verify_run(run).notes)
