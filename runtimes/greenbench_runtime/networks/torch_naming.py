"""Published checkpoints under other names, brought to the canonical ones."""

import re
from collections.abc import Mapping

from torch import Tensor

from greenbench_runtime.networks.canonical import MOBILENET_V2_STAGES

_NOT_MEASURED = re.compile(r"num_batches_tracked$|position_ids$|token_type_ids$|^(bert\.)?pooler\.|^cls\.")
"""Counters, index buffers, and heads that the measured networks do not have."""

_DEPTHWISE_ONLY = {"conv_dw": "conv.0.0", "bn1": "conv.0.1", "conv_pw": "conv.1", "bn2": "conv.2"}
_EXPANDING = {
    "conv_pw": "conv.0.0", "bn1": "conv.0.1", "conv_dw": "conv.1.0", "bn2": "conv.1.1",
    "conv_pwl": "conv.2", "bn3": "conv.3",
}  # fmt: skip
_MOBILENET_ENDS = {
    "conv_stem": "features.0.0", "bn1": "features.0.1", "conv_head": "features.18.0", "bn2": "features.18.1",
    "classifier": "classifier.1",
}  # fmt: skip


def canonical_names(model: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under canonical names, without those that are not part of the network.

    Names that are no known checkpoint's are left as they are, for `fill` to name.

    Args:
        model: Whose tensors they are.
        tensors: By canonical name, or as timm (MobileNetV2) or the BERT checkpoint call them.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not _NOT_MEASURED.search(name)}
    if model == "bert_base":
        return {_bert(name): tensor for name, tensor in kept.items()}
    if model == "mobilenet_v2" and "conv_stem.weight" in kept:
        return {_mobilenet(name): tensor for name, tensor in kept.items()}
    return kept


def _bert(name: str) -> str:
    name = name.removeprefix("bert.")
    return re.sub(
        r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    )


def _mobilenet(name: str) -> str:
    layer, _, kind = name.rpartition(".")
    if layer in _MOBILENET_ENDS:
        return f"{_MOBILENET_ENDS[layer]}.{kind}"
    match = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)", layer)
    if not match or int(match[1]) >= len(MOBILENET_V2_STAGES):
        return name
    stage = int(match[1])
    parts = _DEPTHWISE_ONLY if stage == 0 else _EXPANDING
    number = 1 + sum(blocks for _, _, blocks, _ in MOBILENET_V2_STAGES[:stage]) + int(match[2])
    return f"features.{number}.{parts[match[3]]}.{kind}" if match[3] in parts else name
