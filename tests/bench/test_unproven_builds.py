"""What `greenbench up` makes of a build that does not run what it is given."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from greenbench.bench import proving
from greenbench.bench.breaker import worth_another_try
from greenbench.bench.making import Needs
from greenbench.bench.provision import UpReport
from greenbench.core.errors import RuntimeCallError
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import read_catalog

CATALOGUE = read_catalog(assets_root() / "runtimes" / "catalog.toml")
NEEDS = Needs(models=("resnet50",), weights_from="seeded", sequence_lengths=(), threads=1)
USUAL = CATALOGUE["onnxruntime"]
TENSORRT = USUAL.build_for("tensorrt")


class House:
    """One in which every load is refused with a code, and what is refused for good is remembered."""

    catalogue, device = CATALOGUE, "cuda"

    def __init__(self):
        self.library = SimpleNamespace(allow=lambda _: None)

    @contextmanager
    def running(self, family, mode):
        build = CATALOGUE[family].build_for(mode).name
        yield SimpleNamespace(
            spec=CATALOGUE[family], instance=SimpleNamespace(build=SimpleNamespace(runtime=build))
        )


@pytest.fixture
def proved(monkeypatch):
    """Prove a build whose every load is refused with a code; return the prover, notes and refusals kept."""
    kept, notes = [], []
    monkeypatch.setattr(proving, "is_converted", lambda *_: True)
    monkeypatch.setattr(proving, "refuse", lambda *given: kept.append(given[2]))

    def prove(spec, code):
        def refused(*_):
            raise RuntimeCallError("it refused Load", code=code)

        monkeypatch.setattr(proving, "golden_outputs", refused)
        observer = SimpleNamespace(note=notes.append, step=lambda _: None)
        prover = proving.Prover(house=House(), needs=NEEDS, observer=observer)
        assert list(prover.prove(spec)) == []
        return prover, notes, kept

    return prove


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNIMPLEMENTED"])
def test_a_conversion_that_the_usual_build_rejects_is_refused_for_good(proved, code):
    _, _, kept = proved(USUAL, code)
    assert len(kept) == len(USUAL.sources)
    assert all("rejected the conversion" in reason for reason in kept)


def test_a_mode_that_an_environment_lacks_says_nothing_about_conversions(proved):
    prover, notes, kept = proved(USUAL, "FAILED_PRECONDITION")
    assert kept == []
    assert prover.failed == {"onnxruntime"}
    assert all("does not run in mode cuda" in note for note in notes)


def test_another_builds_rejection_says_nothing_about_conversions(proved):
    prover, _, kept = proved(TENSORRT, "INVALID_ARGUMENT")
    assert kept == []
    assert prover.failed == {"onnxruntime-tensorrt"}


def test_any_other_failure_ends_it(proved):
    with pytest.raises(RuntimeCallError):
        proved(USUAL, "INTERNAL")


def test_a_mode_that_an_environment_lacks_is_not_asked_for_twice():
    error = RuntimeCallError("mode tensorrt can't be used", code=proving.UNAVAILABLE_MODE)
    assert not worth_another_try(error, failed=1)


def test_a_build_without_a_proof_is_no_success():
    assert UpReport(builds={}, proofs=()).proven
    assert not UpReport(builds={}, proofs=(), unproven=("onnxruntime-tensorrt",)).proven
