from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from greenbench.bench import cpu_route
from greenbench.core.errors import FleetError, NotBuiltError
from greenbench.core.progress import Silence
from greenbench.core.reading import Domain
from greenbench.core.trial import Absent
from greenbench.energy.cpu_meter import CpuMeter
from greenbench.energy.meter import MeterSet


@dataclass(frozen=True)
class View:
    """What the route needs of a context."""

    house: Any
    meters: MeterSet


def context(launcher="docker", route=None):
    absent = (Absent(domain="cpu", reason="no route"), Absent(domain="gpu", reason="none"))
    facts = {"cpu_route": route, "cpu_routes_refused": {"powercap": "root only"}, "gpu": None}
    house = SimpleNamespace(launcher=SimpleNamespace(name=launcher))
    return View(house=house, meters=MeterSet(absent=absent, facts=facts))


@pytest.fixture
def zones(monkeypatch):
    monkeypatch.setattr(
        cpu_route, "sidecar_would_help", lambda facts, _=None: facts.get("cpu_route", "powercap") is None
    )


def sidecar_that(monkeypatch, error=None):
    seen = []

    @contextmanager
    def reading():
        if error:
            raise error
        seen.append("started")
        yield SimpleNamespace(read=lambda _: "1000000")
        seen.append("gone")

    @contextmanager
    def made(*_):
        yield SimpleNamespace(reading=reading, build=lambda _: seen.append("built"))

    meter = CpuMeter(domains={Domain.CPU: ("rapl:package-0",)}, facts={"cpu_route": "sidecar"})
    monkeypatch.setattr(cpu_route, "_sidecar", made)
    monkeypatch.setattr(cpu_route, "open_rapl", lambda _, *, sidecar: meter)
    return seen


@pytest.mark.parametrize(
    ("launcher", "route"), [("venv", None), ("docker", "powercap"), ("docker", "module")]
)
def test_nothing_is_started_where_nothing_is_gained(zones, monkeypatch, launcher, route):
    seen = sidecar_that(monkeypatch)
    given = context(launcher, route)
    cpu_route.build_sidecar(given, Silence())
    with cpu_route.cpu_by_sidecar(given, Silence()) as same:
        assert same is given
    assert seen == []


def test_its_reader_becomes_the_cpu_meter_for_the_run(zones, monkeypatch):
    seen = sidecar_that(monkeypatch)
    cpu_route.build_sidecar(context(), Silence())
    with cpu_route.cpu_by_sidecar(context(), Silence()) as changed:
        assert changed.meters.scope == "cpu"
        assert changed.meters.facts["cpu_route"] == "sidecar"
        assert seen == ["built", "started"]
    assert seen == ["built", "started", "gone"]


@pytest.mark.parametrize("error", [FleetError("did not connect"), NotBuiltError("run `greenbench up`")])
def test_one_that_does_not_start_is_a_reason_in_the_results(zones, monkeypatch, error):
    sidecar_that(monkeypatch, error)
    with cpu_route.cpu_by_sidecar(context(), Silence()) as changed:
        assert changed.meters.scope == "none"
        reasons = {item.domain: item.reason for item in changed.meters.absent}
        assert reasons["cpu"] == f"no route; sidecar: {error}"
        assert reasons["gpu"] == "none"
        assert set(changed.meters.facts["cpu_routes_refused"]) == {"powercap", "sidecar"}


def test_an_error_of_the_run_is_not_taken_for_the_sidecars(zones, monkeypatch):
    sidecar_that(monkeypatch)
    with pytest.raises(FleetError, match="the run's own"), cpu_route.cpu_by_sidecar(context(), Silence()):
        raise FleetError("the run's own")
