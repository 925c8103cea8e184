import pytest

from greenbench.cluster.choice import check_engine, resumed_fleet
from greenbench.core.errors import ConfigurationError


def checked(engine, **given):
    fleet = {"--address": given.get("address"), "--replicate": given.get("replicate")}
    return check_engine(engine, only_ray=fleet, only_local={"--shard": given.get("shard")})


def test_options_go_with_their_engine():
    assert checked("local", shard="1/2") is False
    assert checked("ray", address="h:1", replicate="per-gpu-model") is True


@pytest.mark.parametrize(
    ("engine", "given", "words"),
    [
        ("dask", {}, "--engine 'dask' is not known; allowed: local, ray"),
        ("local", {"address": "h:1"}, "--address goes with --engine ray"),
        ("ray", {"shard": "1/2"}, "--shard does not go with --engine ray"),
        ("ray", {"replicate": "all"}, "--replicate 'all' is not known; allowed: per-gpu-model"),
    ],
)
def test_what_does_not_go_together_is_one_line(engine, given, words):
    with pytest.raises(ConfigurationError, match=words):
        checked(engine, **given)


@pytest.mark.parametrize(
    ("there", "on_ray", "own", "words"),
    [
        (False, True, {}, "no run.fleet.jsonl in .*; a run of one host is resumed without --engine ray"),
        (True, False, {}, "run was dealt to several hosts; resume it with --engine ray"),
        (True, True, {"--device": True}, "--device is decided by the run that is resumed; leave it out"),
    ],
)
def test_a_resume_goes_with_the_engine_of_its_run(tmp_path, there, on_ray, own, words):
    if there:
        (tmp_path / "run.fleet.jsonl").touch()
    with pytest.raises(ConfigurationError, match=words):
        resumed_fleet("run", tmp_path, on_ray=on_ray, own=own)


@pytest.mark.parametrize("run", ["run", ".", "..", "/", ""])
def test_a_run_of_one_host_is_left_to_its_own_resume(tmp_path, run):
    assert resumed_fleet(run, tmp_path, on_ray=False, own={}) is None
