"""A controller for tests of the engine: writes a real shard's folder, in windows that only sleep.

``python measuring_host.py card SUITE LAUNCHER DEVICE`` and ``python measuring_host.py run SUITE --out ...``.
What goes wrong is said by files in GREENBENCH_STATE: ``version``, ``clock``, ``window``, ``lock``,
``contents``, ``image``.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from greenbench import __version__
from greenbench.bench.planning import HostView, make_plan
from greenbench.bench.rows import RunIdentity, blank_row
from greenbench.bench.suites import load_suite
from greenbench.core.doubt import Verdict
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.core.shard import blocks_of, parse_shard, plan_sha256, share_of
from greenbench.results.events import utc_now
from greenbench.results.folder import RunFolder
from greenbench.results.manifest import Manifest, ShardEntry
from greenbench.results.runs import new_run_id

STATE = Path(os.environ["GREENBENCH_STATE"])


def said(name, default):
    file = STATE / name
    return file.read_text().strip() if file.exists() else default


def card():
    values = {
        "host_id": STATE.name,
        "greenbench_version": said("version", __version__),
        "device": "cpu",
        "model": "a model",
        "requirements": {"pytorch": said("lock", "l")},
        "contents": {"pytorch": said("contents", "c")},
        "images": {"pytorch": said("image", "sha256:i")},
        "utc_s": time.time() + float(said("clock", "0")),
    }
    sys.stdout.write(json.dumps(values) + "\n")


def planned(suite, seed, shard):
    modes = {"eager": ("cpu",)}
    builds = {"cpu": DeviceBuild(requirements="x")}
    catalogue = {
        name: RuntimeSpec(
            name=name, engine=name, title=name, modes=modes, precisions=("fp32",), devices=builds
        )
        for name in suite.matrix.runtime
    }
    return make_plan(suite, catalogue, HostView(device="cpu"), seed=seed, shard=shard)


def run(arguments):
    suite = load_suite(Path(arguments[0]))
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    seed, shard = int(options["--seed"]), parse_shard(options["--shard"])
    plan = planned(suite, seed, shard)
    blocks = share_of(blocks_of(suite), shard, seed=seed)
    manifest = Manifest(
        run_id=new_run_id(suite.name, utc_now()),
        created_utc=utc_now().isoformat(),
        greenbench_version=__version__,
        suite=suite.as_mapping(),
        suite_sha256=suite.sha256,
        seed=seed,
        plan_sha256=plan_sha256(suite, seed=seed, device="cpu"),
        shard=ShardEntry(
            index=shard.index, count=shard.count, blocks=tuple(block.block_id for block in blocks)
        ),
        fleet_node=options.get("--fleet-node"),
        order=tuple(load.load_id for load in plan.loads),
        host={"host_id": STATE.name},
        device="cpu",
    )
    identity = RunIdentity(run_id=manifest.run_id, host_id=STATE.name, gpu_uuid=None)
    with RunFolder.create(Path(options["--out"]), manifest.run_id, manifest) as folder:
        for load in plan.loads:
            attempt = folder.start_load(load.load_id, position=load.position)
            time.sleep(float(said("window", str(suite.protocol.window_s))))
            row = blank_row(identity, load, attempt=attempt, window=1)
            folder.add_trial(replace(row, verdict=Verdict.VALID))
            folder.finish_load(load.load_id, attempt=attempt)
        folder.finish()


if __name__ == "__main__":
    card() if sys.argv[1] == "card" else run(sys.argv[2:])
