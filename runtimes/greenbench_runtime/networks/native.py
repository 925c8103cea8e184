"""Weights of a framework's own zoo network: drawn from a seed, kept in one file, every tensor checked.

The file is safetensors with the framework's own names and layouts; its metadata name the network, so that a
file of another network, or a canonical one, is refused by name. Imports no framework.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from greenbench_runtime.engine import Array, InvalidRequestError, UnsupportedError
from greenbench_runtime.networks.canonical import Shape, check_fit

NETWORK_KEY = "greenbench.network"
"""Metadata key under which a file of native weights names its network."""

RESIDUAL_SCALE = 0.25
NATURAL_SPREAD = (0.05, 20.0)
LEAST_DISTANCE = 1e-2
"""As for canonical weights: see `torch_weights`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How one tensor is drawn.

    Attributes:
        shape: Of the tensor.
        inputs: Inputs of one output (He's fan-in) where values are drawn; 0 where `constant` fills it.
        constant: What fills a tensor that is not drawn.
    """

    shape: Shape
    inputs: int = 0
    constant: float = 0.0


def draw(plan: Mapping[str, Drawn], seed: int) -> dict[str, Array]:
    """Return a network's tensors by He's scheme: float32; the same seed gives the same bytes."""
    generator = np.random.default_rng(seed)
    drawn = {}
    for name in sorted(plan):
        tensor = plan[name]
        values = np.full(tensor.shape, tensor.constant, dtype=np.float32)
        if tensor.inputs:
            values = generator.standard_normal(tensor.shape, dtype=np.float32)
            values *= np.float32((2.0 / tensor.inputs) ** 0.5)
        drawn[name] = values
    return drawn


def write_native(tensors: Mapping[str, Array], path: Path, *, network: str) -> None:
    """Write a file of native weights."""
    whole = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}
    save_file(whole, path, metadata={NETWORK_KEY: network})


def network_in(path: Path) -> str | None:
    """Return the network that a weights file names; None for a canonical file.

    Raises:
        InvalidRequestError: The file is not there or not a whole safetensors file.
    """
    if not path.is_file():
        raise InvalidRequestError(f"weights file {path.name} is not there")
    try:
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get(NETWORK_KEY)
    except (SafetensorError, OSError) as err:
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise InvalidRequestError(f"{path.name} is not a whole safetensors file ({reason})") from err


def read_native(path: Path, expected: Mapping[str, Shape], *, network: str) -> dict[str, Array]:
    """Return the tensors of a file of native weights: float32, by the framework's names.

    Args:
        path: The file.
        expected: Shape of every tensor of the network.
        network: What the file has to be of.

    Raises:
        InvalidRequestError: The file can't be read, is another network's, lacks a tensor, or holds another or
            a misshapen one.
    """
    if (found := network_in(path)) != network:
        kind = f"weights of {found}" if found else "canonical weights"
        raise InvalidRequestError(f'{path.name} holds {kind}; weights = "native" needs those of {network}')
    tensors = load_file(path)
    check_fit(tensors, expected, file=path.name, network=network)
    return tensors


def network_name(model: str, names: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """Return the zoo's network for a model.

    Raises:
        UnsupportedError: The framework has none; says why.
    """
    if model not in names:
        raise UnsupportedError(f'weights "native" are not there for {model}: {absent[model]}')
    return names[model]


def prove_natural(outputs: Array, *, origin: str) -> None:
    """Refuse weights whose outputs vanish, explode or do not depend on the sample.

    Args:
        outputs: float [n, ...], n at least 2.
        origin: What to call the weights in an error.

    Raises:
        InvalidRequestError: Names the figure and its range.
    """
    rows = outputs.reshape(len(outputs), -1).astype(np.float64)
    spread, (low, high) = rows.std(axis=1), NATURAL_SPREAD
    if not (low <= spread.min() and spread.max() <= high):
        text = f"of {spread.min():.3g} to {spread.max():.3g}, outside {low} to {high}"
        raise InvalidRequestError(
            f"the weights of {origin} are not natural: outputs have standard deviations {text}"
        )
    distance = _nearest(rows)
    if not distance > LEAST_DISTANCE:
        text = f"two samples' outputs differ by {distance:.3g} of their norm, not more than {LEAST_DISTANCE}"
        raise InvalidRequestError(f"the weights of {origin} do not tell samples apart: {text}")


def _nearest(rows: Array) -> float:
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min() / np.linalg.norm(rows, axis=1).mean())
