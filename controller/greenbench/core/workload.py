"""What is computed: one model at one batch size in one numeric mode."""

from dataclasses import dataclass

MODELS = ("resnet50", "mobilenet_v2", "bert_base")
PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
TEXT_MODELS = ("bert_base",)
IMAGE_SIZE_PX = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One model, batch size and numeric mode.

    Attributes:
        model: One of `MODELS`.
        batch_size: Samples per iteration.
        precision: One of `PRECISIONS`; ``fp32`` means TF32 off.
        sequence_length: Tokens per sample; None for vision models.
        weights: ``matched`` (the same weights and graph in every runtime) or ``native``.
    """

    model: str
    batch_size: int
    precision: str
    sequence_length: int | None
    weights: str


def weights_origin(weights: str, owner: str, weights_from: str) -> str:
    """Return the name under which weights are kept: those of native networks are each framework's own.

    Args:
        weights: ``matched`` or ``native``.
        owner: Framework whose network it is.
        weights_from: ``seeded``, ``pretrained`` or a folder.
    """
    return weights_from if weights == "matched" else f"native-{owner}/{weights_from}"
