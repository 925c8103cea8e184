"""``python -m greenbench.cluster.host_program``: one host's card as JSON, from a process of its own."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from greenbench import __version__
from greenbench.bench.context import Options, open_context
from greenbench.bench.planning import make_plan
from greenbench.bench.prepared import builds_of, need_models
from greenbench.bench.suites import load_suite
from greenbench.cluster.card import HostCard
from greenbench.core.errors import GreenbenchError
from greenbench.fleet.launcher import Build
from greenbench.results.host import host_facts


def card_of(suite_file: Path, *, launcher: str, device: str, state: Path | None) -> HostCard:
    """Return what this host is and whether it can measure a suite.

    Args:
        suite_file: TOML.
        launcher: As for `greenbench run`.
        device: As for `greenbench run`.
        state: State folder; None for the host's default.
    """
    facts = host_facts()
    suite = load_suite(suite_file)
    environments = {name: Path(python) for name, python in suite.host.env.items()}
    options = Options(
        state=state,
        launcher=launcher,
        device=suite.host.device if device == "auto" else device,
        gpu=suite.host.gpu,
        environments=environments,
    )
    try:
        with open_context(options) as context:
            plan = make_plan(suite, context.catalogue, context.view, seed=0)
            need_models(context.house, plan)
            house, gpu = context.house, context.meters.facts.get("gpu") or {}
            specs = builds_of(plan, context.catalogue)
            builds = [house.launcher.built(spec, house.device) for spec in specs]
            return HostCard(
                host_id=facts["host_id"],
                greenbench_version=__version__,
                device=house.device,
                model=str(gpu.get("name") or facts["cpu_model"]),
                driver=gpu.get("driver"),
                launcher=house.launcher.name,
                utc_s=time.time(),
                **what_is_built([build for build in builds if build]),
            )
    except GreenbenchError as err:
        return HostCard(host_id=facts["host_id"], greenbench_version=__version__, problem=str(err))


def what_is_built(builds: Sequence[Build]) -> dict[str, Any]:
    """Return the fields of a card that tell by what its host measures."""
    return {
        "requirements": {build.runtime: build.requirements_sha256 or build.identity for build in builds},
        "contents": {build.runtime: build.contents_sha256 for build in builds},
        "images": {build.runtime: build.identity for build in builds if build.launcher == "docker"},
    }


def main(arguments: Sequence[str]) -> None:
    """Print the card; arguments are the suite's file, the launcher and the device."""
    suite, launcher, device = arguments
    state = os.environ.get("GREENBENCH_STATE")
    card = card_of(Path(suite), launcher=launcher, device=device, state=Path(state) if state else None)
    sys.stdout.write(json.dumps(asdict(card)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
