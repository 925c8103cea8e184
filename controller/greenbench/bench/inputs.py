"""Real inputs: photographs and passages, as many rows as a batch needs.

The first `GOLDEN_ROWS` rows are the same at every batch size; further rows are variants of them, distinct up
to a batch of 128.
"""

import json
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from greenbench.core.workload import TEXT_MODELS

GOLDEN_ROWS = 8
"""Rows whose outputs are compared with the reference; every larger batch begins with them."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of red, green and blue, on a scale of 0 to 1."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue, on a scale of 0 to 1."""

_SEPARATOR = 102
_ROW_SHIFT_PX, _COLUMN_SHIFT_PX = 29, 13


def batch(model: str, batch_size: int, sequence_length: int | None) -> dict[str, NDArray[np.generic]]:
    """Return one batch of a model's inputs, the same for the same arguments on every machine.

    Args:
        model: As in `greenbench.core.workload.MODELS`.
        batch_size: Rows, at least 1.
        sequence_length: Tokens per row for text models, at least 2; None for vision models.

    Returns:
        ``input``: float32 [batch_size, 3, 224, 224], scaled by ImageNet's mean and deviation; or
        ``input_ids`` and ``attention_mask``: int64 [batch_size, sequence_length].

    Raises:
        ValueError: A text model without a sequence length, or one too short for a token and its end.
    """
    if model not in TEXT_MODELS:
        return {"input": _images(batch_size)}
    if sequence_length is None or sequence_length < 2:  # noqa: PLR2004 - [CLS] and [SEP]
        raise ValueError(f"{model} needs a sequence length of at least 2, not {sequence_length}")
    return _tokens(batch_size, sequence_length)


def _images(rows: int) -> NDArray[np.float32]:
    with (files("greenbench.data") / "photographs.npz").open("rb") as file, np.load(file) as archive:
        photographs = archive["photographs"]
    pixels = np.stack([_variant(photographs[row % GOLDEN_ROWS], row // GOLDEN_ROWS) for row in range(rows)])
    scaled = pixels.astype(np.float32) / np.float32(255)
    normalised = (scaled - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


def _variant(photograph: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Return variant `number` of a photograph: 0 is itself; odd ones are mirrored, all others shifted."""
    mirrored = photograph[:, ::-1] if number % 2 else photograph
    return np.roll(mirrored, (_ROW_SHIFT_PX * (number // 2), _COLUMN_SHIFT_PX * (number // 2)), axis=(0, 1))


def _tokens(rows: int, length: int) -> dict[str, NDArray[np.generic]]:
    passages = json.loads((files("greenbench.data") / "sentences.json").read_text())
    ids = np.zeros((rows, length), dtype=np.int64)
    mask = np.zeros((rows, length), dtype=np.int64)
    for row in range(rows):
        tokens = _rotated(passages[row % GOLDEN_ROWS]["input_ids"], row // GOLDEN_ROWS)
        if len(tokens) > length:
            tokens = [*tokens[: length - 1], _SEPARATOR]
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _rotated(tokens: list[int], number: int) -> list[int]:
    """Return the passage turned by `number` tokens between its [CLS] and [SEP]."""
    words = tokens[1:-1]
    start = number % len(words)
    return [tokens[0], *words[start:], *words[:start], tokens[-1]]
