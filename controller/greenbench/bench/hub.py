"""Published weights, fetched on the host by `greenbench up` and never while measuring."""

from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a model's published weights are.

    Attributes:
        repository: On the Hugging Face hub.
        file: In the repository.
        revision: Branch, tag or commit.
    """

    repository: str
    file: str
    revision: str = "main"


PUBLISHED = {
    "resnet50": Published(repository="timm/resnet50.tv_in1k", file="model.safetensors"),
    "mobilenet_v2": Published(repository="timm/mobilenetv2_100.ra_in1k", file="model.safetensors"),
    "bert_base": Published(repository="google-bert/bert-base-uncased", file="model.safetensors"),
}
"""Checkpoints with the architecture that greenbench measures."""


def fetch(model: str) -> Path:
    """Download a model's published weights, or find them in the hub's own cache.

    Args:
        model: A key of `PUBLISHED`.

    Returns:
        The file in the hub's cache.

    Raises:
        ConfigurationError: The hub can't be reached or does not hold the file; names the remedy.
            Nothing else is used in its place.
    """
    # The hub's client costs 0.3 s to import and serves `up` alone.
    from huggingface_hub import hf_hub_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    where = PUBLISHED[model]
    try:
        return Path(hf_hub_download(where.repository, where.file, revision=where.revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as err:
        cause = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise ConfigurationError(
            f"pretrained weights of {model} ({where.repository}/{where.file}) can't be fetched: {cause}; "
            "reach the hub (HF_ENDPOINT, HTTPS_PROXY, HF_TOKEN), or set models.weights_from to a folder "
            f"that holds {model}.safetensors, or to seeded"
        ) from err
