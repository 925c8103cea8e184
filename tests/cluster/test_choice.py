import pytest

from greenbench.cluster.choice import check_engine
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
