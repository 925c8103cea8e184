"""The hub's real client, on a cache folder laid out as it lays one out itself: no network."""

import pytest

from greenbench.bench import hub
from greenbench.core.errors import ConfigurationError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    from huggingface_hub import constants  # noqa: PLC0415 - reads the environment when first imported

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def put(cache, model: str, data: bytes) -> None:
    where = hub.PUBLISHED[model]
    root = cache / f"models--{where.repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / where.revision).write_text(COMMIT)
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / where.file).write_bytes(data)


@pytest.mark.parametrize("model", sorted(hub.PUBLISHED))
def test_what_the_hubs_cache_holds_is_found(cache, model):
    put(cache, model, b"weights")
    assert hub.fetch(model).read_bytes() == b"weights"


def test_a_hub_that_cannot_be_reached_is_one_line_with_the_remedy(cache):
    with pytest.raises(ConfigurationError) as caught:
        hub.fetch("resnet50")
    text = str(caught.value)
    assert "\n" not in text
    assert "timm/resnet50.tv_in1k" in text
    assert "HF_ENDPOINT" in text
    assert "seeded" in text
