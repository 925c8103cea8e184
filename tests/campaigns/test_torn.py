"""What the campaign leaves of a run's writes, and what a resumed run makes of it."""

import random

import pytest
from campaigns.tally import Tally, keep_chunks, read_chunks
from campaigns.torn import tear
from tests.results.conftest import iterations, manifest, series, trial

from greenbench.results.folder import RunFolder


@pytest.mark.parametrize("seed", range(10))
def test_a_run_whose_writes_were_torn_anywhere_keeps_every_finished_row(tmp_path, seed):
    with RunFolder.create(tmp_path, "run", manifest()) as folder:
        folder.start_load("r01.c", position=0)
        folder.add_trial(trial(), iterations(), [series()])
        kept, whole = folder.trials(), (folder.path / "events.jsonl").read_bytes()
    tear(folder.path, random.Random(seed))  # noqa: S311 - places, not secrets
    assert (folder.path / "events.jsonl").read_bytes() != whole
    with RunFolder.resume("run", tmp_path) as again:
        assert again.trials() == kept
        assert (again.path / "events.jsonl").read_bytes() == whole
        again.finish()
        assert not list(again.path.rglob("*.tmp"))


def test_chunks_are_added_to_what_is_kept_and_summed_in_the_table(tmp_path):
    kept = tmp_path / "kills.json"
    keep_chunks(kept, [Tally(kills={"controller": 2, "runtime": 1}, runs=1, trials=4)])
    keep_chunks(kept, [*read_chunks(kept), Tally(kills={"full disk": 3}, runs=2, trials=5, broken=["lost"])])
    assert [chunk.hits for chunk in read_chunks(kept)] == [3, 3]
    assert (
        "| all |  |  |  | 2 | 1 | 0 | 3 | 0 | 0 | 0 | 0 | 3 | 9 | 1 |" in kept.with_suffix(".md").read_text()
    )
