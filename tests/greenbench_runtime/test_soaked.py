"""The short form of `make soak`: the controller's client against a server process with the small engine."""

import threading

import numpy as np
import psutil
import pytest
from campaigns import soak as campaign
from campaigns.soak import Soak

CYCLES = 150


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(campaign, "IMAGE", np.zeros((1, 64), dtype=np.float32))


@pytest.fixture
def soaking(start, small):
    def begin(model: str = "perceptron") -> Soak:
        server = start().wait_ready()
        process = psutil.Process(server.process.pid)
        return Soak(server.address, process, load={"model": model, "mode": "default"})

    return begin


def test_cycles_leave_nothing_behind_in_either_process(soaking):
    soaked = soaking().until(threading.Event(), seconds=120, cycles=CYCLES, share=1.0)
    assert (soaked.cycles, soaked.failure) == (CYCLES, "")
    grown = {name: [g for g in found if not g.flat] for name, found in soaked.growths().items()}
    assert grown == {"runtime": [], "controller": []}
    assert soaked.holds


def test_a_controller_that_keeps_its_connections_is_found(soaking, monkeypatch):
    kept = []

    class Leaking(campaign.RuntimeClient):
        def __exit__(self, *ended):
            kept.append(open("/dev/null"))  # noqa: SIM115, PTH123 - the leak
            super().__exit__(*ended)

    monkeypatch.setattr(campaign, "RuntimeClient", Leaking)
    soaked = soaking().until(threading.Event(), seconds=120, cycles=60, share=1.0)
    for file in kept:
        file.close()
    assert not soaked.holds
    assert [growth.name for growth in soaked.growths()["controller"] if not growth.flat] == ["descriptors"]


def test_a_cycle_that_fails_ends_the_soak_and_is_told(soaking):
    failing = soaking("broken").until(threading.Event(), seconds=60, cycles=20, share=1.0)
    assert failing.cycles == 0
    assert "no such layer" in failing.failure


def test_a_soak_that_is_cut_says_how_long_it_was(soaking):
    stop = threading.Event()
    stop.set()
    soaked = soaking().until(stop, seconds=60, cycles=20, share=1.0)
    assert (soaked.cycles, soaked.watches["runtime"].samples) == (0, [])
    with pytest.raises(ValueError, match="cannot show growth"):
        soaked.growths()
