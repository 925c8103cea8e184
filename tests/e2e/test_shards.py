"""Two shards of one plan, measured for real, joined and told."""

import json

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(1800)]


def test_two_shards_are_measured_joined_and_compared(greenbench, built_venv, short, tmp_path):
    asked = (*short, "--launcher", "venv", "--rounds", "2", "--set", "batch_size=[1, 2]")
    folders = []
    for index in (1, 2):
        ended = greenbench("run", *asked, "--shard", f"{index}/2", "--out", str(tmp_path / f"s{index}"))
        # A busy machine may make a trial invalid; what is tested here is how shards are joined.
        assert ended.status in {0, 1}, ended.err
        folders += [str(path) for path in (tmp_path / f"s{index}").iterdir()]
    joined = greenbench("merge", "all", *folders)
    assert joined.status == 0, joined.err
    rows = pq.read_table(tmp_path / "all" / "trials.parquet").to_pylist()
    assert len({row["trial_id"] for row in rows}) == len(rows) == 8
    assert {(row["runtime"], row["batch_size"]) for row in rows} == {
        (runtime, batch) for runtime in ("pytorch", "onnxruntime") for batch in (1, 2)
    }
    whole = greenbench("plan", *asked, "--json").json
    assert sorted(whole["order"]) == sorted(row["load_id"] for row in rows)
    manifests = json.loads((tmp_path / "all" / "manifest.json").read_text())["shards"]
    assert [manifest["shard"]["index"] for manifest in manifests] == [1, 2]
    found = greenbench("compare", "all:runtime=pytorch", "all:runtime=onnxruntime", "--json")
    assert found.status == 0, found.err
    assert greenbench("report", "all", "--html", "all.html").status == 0
    counted = greenbench("query", "all", "SELECT count(DISTINCT run_id) AS runs FROM iterations", "--json")
    assert counted.json == [{"runs": 2}]
