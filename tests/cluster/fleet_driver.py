"""A controller over a Ray cluster, in a process of its own: ``ADDRESS SUITE OUT [ANSWER_S]``."""

import sys
from pathlib import Path

from greenbench.bench.suites import load_suite
from greenbench.cluster.agent import Programs
from greenbench.cluster.engine import measure_fleet
from greenbench.cluster.ray_hosts import ray_hosts
from greenbench.cluster.request import FleetRequest
from greenbench.core.progress import Silence

HOST = str(Path(__file__).with_name("measuring_host.py"))

if __name__ == "__main__":
    address, suite, out, *answer_s = sys.argv[1:]
    request = FleetRequest(suite=load_suite(Path(suite)), seed=3, out=Path(out), run_id="all")
    programs = Programs(card=(sys.executable, HOST, "card"), controller=(sys.executable, HOST))
    with ray_hosts(address, programs, answer_s=float(*answer_s or ["30"])) as hosts:
        measure_fleet(hosts, request, Silence())
