from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from greenbench.bench.run import resumed_request
from greenbench.bench.verify import verify_run
from greenbench.cli import app
from greenbench.core.errors import ConfigurationError
from greenbench.core.trial import Baseline
from greenbench.report.comparison import compare, open_side
from greenbench.report.document import read_document
from greenbench.report.facts import machine_of
from greenbench.report.figures.course import power_figure
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import GpuEntry, RuntimeEntry, ShardEntry
from greenbench.results.merge import merge_shards
from greenbench.results.stored import StoredRun
from greenbench.results.views import RunViews

B0 = Baseline(
    kind="B0",
    load_id=None,
    domain="cpu",
    begin_ns=1,
    end_ns=2,
    power_w=20.0,
    standard_error_w=None,
    settled=True,
)


@pytest.fixture
def shard(make, tmp_path):
    """Make a shard of a plan of batch sizes 1, 2 ... : two runtimes, two rounds, one block."""

    def made(index, *, count=2, host=None, loads=4, name=None, **changes):
        host = host or f"host-{index}"
        run_id = name or f"shard-{index}"
        rows = [
            make.trial(
                run_id=run_id,
                trial_id=f"r{number}.{runtime}.b{index}.a1.w1",
                load_id=f"r{number}.{runtime}.b{index}",
                cell_id=f"{runtime}.b{index}",
                runtime=runtime,
                mode="m",
                batch_size=index,
                round=number,
                host_id=host,
                energy_scope="cpu",
                energy_j_per_sample=joules * number * index,
                throughput_samples_per_s=10.0 / index,
            )
            for number in (1, 2)
            for runtime, joules in (("pytorch", 2.0), ("onnxruntime", 1.0))
        ]
        values = {
            "shard": ShardEntry(index=index, count=count, blocks=(f"mobilenet_v2.b{index}",)),
            "plan_sha256": "p",
            "host": {"host_id": host, "cpu_model": f"cpu of {host}", "kernel": "6"},
        }
        manifest = make.manifest(run_id, order=tuple(row.load_id for row in rows))
        with RunFolder.create(tmp_path, run_id, manifest.model_copy(update=values | changes)) as folder:
            folder.add_baselines([B0], [make.series()])
            for row in rows[:loads]:
                folder.start_load(row.load_id, position=0)
                folder.add_trial(row, make.iterations(row.load_id), [make.series()])
                folder.finish_load(row.load_id, attempt=1)
            folder.finish(interrupted=loads < len(rows))
            return folder.path

    return made


def test_every_row_is_there_once_and_as_it_was(shard, tmp_path):
    folders = [shard(2), shard(1)]
    merged = StoredRun(merge_shards(folders, tmp_path / "all").folder)
    parts = [StoredRun(folder) for folder in folders[::-1]]
    assert merged.trials() == tuple(trial for part in parts for trial in part.trials())
    assert merged.final_trials() == merged.trials()
    assert merged.baselines() == (replace(B0, host_id="host-1"), replace(B0, host_id="host-2"))
    rows = pq.read_table(merged.path / "trials.parquet").to_pylist()
    assert [row["run_id"] for row in rows] == ["shard-1"] * 4 + ["shard-2"] * 4
    assert merged.finished_loads() == parts[0].finished_loads() | parts[1].finished_loads()
    assert merged.run_id == "all"


def test_every_reading_and_iteration_names_its_host_and_run(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    for name in ("readings", "iterations"):
        table = pq.read_table(merged / f"{name}.parquet").to_pydict()
        for load, run, host in zip(table["load_id"], table["run_id"], table["host_id"], strict=True):
            assert host == run.replace("shard", "host")
            assert load is None or load.endswith(f"b{run[-1]}")
    with RunViews(StoredRun(merged)) as views:
        ((least,),) = views.query("SELECT min(t_s) FROM power WHERE host_id = 'host-2'").rows
        ((hosts,),) = views.query("SELECT count(DISTINCT host_id) FROM iterations").rows
    assert least == pytest.approx(5e-9)
    assert hosts == 2


def test_records_of_a_run_that_is_not_merged_name_its_host_in_the_views_too(shard):
    with RunViews(StoredRun(shard(1))) as views:
        found = views.query("SELECT DISTINCT run_id, host_id FROM readings").rows
    assert found == (("shard-1", "host-1"),)


def test_the_manifest_keeps_every_host_and_only_what_all_share_on_top(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all")
    manifest = StoredRun(merged.folder).manifest()
    assert [own.host["host_id"] for own in manifest.shards] == ["host-1", "host-2"]
    assert manifest.host == {"kernel": "6"}
    assert manifest.plan_sha256 == "p"
    assert len(manifest.order) == 8
    assert "cpu of host-1" in machine_of(manifest)
    assert "cpu of host-2" in machine_of(manifest)
    assert merged.notes == ("other processors: cpu of host-1 (shard 1/2), cpu of host-2 (shard 2/2)",)


def test_hosts_are_blocks_in_the_report(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    document = read_document(merged)
    assert document.finished
    assert [group.title.rpartition(", ")[2] for group in document.answer.groups] == [
        "host host-1", "host host-2",
    ]  # fmt: skip
    assert [group.marked for group in document.answer.groups] == ["onnxruntime.b1", "onnxruntime.b2"]
    assert document.traces == ()
    assert "clock of its own" in power_figure(document).absent
    assert power_figure(document).rows == ()
    assert CliRunner().invoke(app, ["report", str(merged), "--html", str(tmp_path / "x.html")]).exit_code == 0


def test_runtimes_are_paired_within_their_host(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    sides = [open_side(f"{merged}:runtime={name}", tmp_path) for name in ("onnxruntime", "pytorch")]
    cells = compare(*sides).cells
    assert len(cells) == 2
    for cell in cells:
        assert not cell.refused
        assert cell.energy.paired
        assert cell.energy.ratio == pytest.approx(2.0)


def test_what_ran_on_other_hosts_is_refused(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    sides = [open_side(f"{merged}:runtime=pytorch,batch_size={batch}", tmp_path) for batch in (1, 2)]
    (cell,) = compare(*sides).cells
    assert "other hosts: host-1 and host-2" in cell.refused
    assert cell.energy is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan_sha256": "q"}, "other plans, p and q"),
        ({"seed": 8}, "other seeds, 7 and 8"),
        ({"greenbench_version": "9"}, "other greenbench versions, 0.1.0 and 9"),
        ({"device": "cuda"}, "other devices, cpu and cuda"),
        ({"shard": ShardEntry(index=2, count=3, blocks=())}, "other numbers of shards, 2 and 3"),
        ({"shard": ShardEntry(index=1, count=2, blocks=())}, "shard 1/2 is there twice"),
        ({"shard": None}, "was run without --shard"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_what_differs(shard, tmp_path, changes, words):
    folders = [shard(1), shard(2, **changes)]
    with pytest.raises(ConfigurationError, match=words):
        merge_shards(folders, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_doubled_trials_are_refused(shard, tmp_path):
    entry = ShardEntry(index=2, count=2, blocks=())
    with pytest.raises(ConfigurationError, match=r"trial r1\.pytorch\.b1\.a1\.w1 is there twice"):
        merge_shards([shard(1), shard(1, name="other", shard=entry)], tmp_path / "all")


def test_a_runtime_with_other_packages_is_refused_and_another_image_is_named(shard, tmp_path):
    def runtime(digest, torch):
        entry = RuntimeEntry(
            launcher="docker", image_digest=digest, lock_sha256="l", packages={"torch": torch}
        )
        return {"pytorch": entry}

    folders = [shard(1, runtimes=runtime("a", "2.9")), shard(2, runtimes=runtime("b", "2.9"))]
    assert any(
        note == "other images of pytorch: a (shard 1/2), b (shard 2/2)"
        for note in merge_shards(folders, tmp_path / "all").notes
    )
    folders[1] = shard(2, name="newer", runtimes=runtime("b", "2.10"))
    with pytest.raises(ConfigurationError, match=r"pytorch has other packages \(torch\)"):
        merge_shards(folders, tmp_path / "more")


def test_other_drivers_are_named(shard, tmp_path):
    cards = [GpuEntry(uuid=f"GPU-{number}", name="H100", driver=f"57{number}") for number in (1, 2)]
    folders = [shard(number, gpu=card) for number, card in enumerate(cards, start=1)]
    merged = merge_shards(folders, tmp_path / "all")
    assert "other drivers: 571 (shard 1/2), 572 (shard 2/2)" in merged.notes
    manifest = StoredRun(merged.folder).manifest()
    assert manifest.gpu is None
    assert [own.gpu for own in manifest.shards] == cards


def test_missing_and_unfinished_shards_are_named_and_joined_only_as_told(shard, tmp_path):
    folders = [shard(1, count=3), shard(2, count=3, loads=3)]
    with pytest.raises(ConfigurationError, match=r"shard 2/3 is unfinished \(3 of 4 loads\)") as refused:
        merge_shards(folders, tmp_path / "all")
    assert "shard 3/3 is missing" in str(refused.value)
    merged = merge_shards(folders, tmp_path / "all", allow_incomplete=True)
    run = StoredRun(merged.folder)
    assert len(run.manifest().shards_missing) == 2
    assert len(run.trials()) == 7
    assert not read_document(merged.folder).finished


def test_a_merged_run_is_neither_resumed_nor_merged_again(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    with pytest.raises(ConfigurationError, match="resume the shard"):
        resumed_request(merged)
    with pytest.raises(ConfigurationError, match="is merged already"):
        merge_shards([merged], tmp_path / "again")
    with pytest.raises(ConfigurationError, match="already there"):
        merge_shards([merged], merged)


def test_the_command_says_where_hosts_differ_and_prints_the_folder(shard, tmp_path):
    out = tmp_path / "all"
    ended = CliRunner().invoke(app, ["merge", str(out), str(shard(1)), str(shard(2))])
    assert ended.exit_code == 0
    assert ended.stdout.strip() == str(out)
    assert "other processors" in ended.stderr


def test_verify_of_a_merged_run_is_refused_in_one_line_that_names_the_shards(shard, tmp_path):
    merged = merge_shards([shard(1), shard(2)], tmp_path / "all").folder
    with pytest.raises(
        ConfigurationError, match=r"verify each shard's own folder.*: shard-1, shard-2"
    ) as told:
        verify_run(merged)
    assert "\n" not in str(told.value)
