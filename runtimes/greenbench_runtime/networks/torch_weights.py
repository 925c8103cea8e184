"""Canonical weights: seeded so that activations stay natural, or taken from a checkpoint."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from greenbench_runtime.engine import Array, InvalidRequestError, PreparedWeights
from greenbench_runtime.networks.interface import TEXT_MODELS, input_specs
from greenbench_runtime.networks.torch_networks import build, canonical, load_network, parameters

_TRANSFORMER_SPREAD = 0.02
"""Standard deviation of a transformer's linear and embedding weights, as BERT was initialised."""

NATURAL_SPREAD = (0.05, 20.0)
"""Range of the standard deviation of outputs over which numeric comparisons mean something."""

LEAST_DISTANCE = 1e-2
"""Smallest distance of two samples' outputs, relative to their norm, that tells samples apart."""


RESIDUAL_SCALE = 0.25


class TorchWeightsMaker:
    """Makes canonical safetensors files: float32, contiguous, one name per tensor."""

    def prepare(
        self, *, model: str, seed: int | None, weights_file: Path | None,
        calibration: Mapping[str, Array], outbox: Path, threads: int,
    ) -> PreparedWeights:  # fmt: skip
        """Write a model's canonical file into `outbox`.

        Args:
            model: Which.
            seed: Makes weights; the same seed gives the same bytes with the same build.
            weights_file: A checkpoint to take instead, in canonical or published naming.
            calibration: At least two real samples, by input name.
            outbox: Folder for the file.
            threads: Intra-operator threads for a checkpoint's proof. Seeded weights are made with one, so
                that the order of additions, and with it the bytes, never depends on the machine's cores.

        Raises:
            UnknownModelError: `model` is not known.
            InvalidRequestError: A checkpoint that does not fit, or weights whose outputs are not natural.
        """
        names = [spec.name for spec in input_specs(model, 1, 1 if model in TEXT_MODELS else 0)]
        if missing := [name for name in names if name not in calibration]:
            raise InvalidRequestError(f"the calibration inputs of {model} lack {missing[0]}")
        inputs = [torch.tensor(calibration[name]) for name in names]
        torch.set_num_threads(threads if weights_file else 1)
        if weights_file is not None:
            network = load_network(model, weights_file)
        elif seed is not None:
            network = build(model)
            seed_weights(network, seed)
            calibrate(network, inputs)
        else:
            raise InvalidRequestError("neither a seed nor a weights file was given; give one")
        prove_natural(network, inputs, origin=weights_file.name if weights_file else f"seed {seed}")
        path = outbox / f"{model}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in canonical(network).items()}, path)
        return PreparedWeights(path=path, parameters=parameters(network))


def seed_weights(network: nn.Module, seed: int) -> None:
    """Fill a network from a seed: He's scheme where convolutions are, BERT's own otherwise."""
    generator = Generator().manual_seed(seed)
    vision = any(isinstance(module, nn.Conv2d) for module in network.modules())
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear | nn.Embedding):
            spread = (2.0 / module.weight.shape[1]) ** 0.5 if vision else _TRANSFORMER_SPREAD
            nn.init.normal_(module.weight, std=spread, generator=generator)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(getattr(module, "bias", None), Tensor):
            nn.init.zeros_(module.bias)
    for block in network.modules():
        damp_residual(block)


def damp_residual(block: nn.Module) -> None:
    """Scale the last normalisation of a residual branch, as training does.

    At full strength a random residual network is chaotic: rounding errors grow tenfold over those of trained
    weights, and outputs in TF32 differ from fp32 by 2% instead of 0.05%.
    """
    last = getattr(block, "bn3", None) or (block.conv[-1] if getattr(block, "residual", False) else None)
    if isinstance(last, nn.BatchNorm2d):
        nn.init.constant_(last.weight, RESIDUAL_SCALE)


def calibrate(network: nn.Module, inputs: list[Tensor]) -> None:
    """Set every BatchNorm's statistics to those of `inputs` in one pass, each after the one before it."""
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not layers:
        return
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all passes
        layer.train()
    with torch.inference_mode():
        network(*inputs)
    network.eval()


def prove_natural(network: nn.Module, inputs: list[Tensor], *, origin: str) -> None:
    """Refuse weights whose outputs vanish, explode or do not depend on the sample.

    Raises:
        InvalidRequestError: Names the figure and its range.
    """
    with torch.inference_mode():
        outputs = network(*inputs).flatten(1).double()
    spread = float(outputs.std(dim=1).min()), float(outputs.std(dim=1).max())
    low, high = NATURAL_SPREAD
    if not (low <= spread[0] and spread[1] <= high):
        text = (
            f"outputs have standard deviations of {spread[0]:.3g} to {spread[1]:.3g}, outside {low} to {high}"
        )
        raise InvalidRequestError(f"the weights of {origin} are not natural: {text}")
    distance = nearest(outputs)
    if not distance > LEAST_DISTANCE:
        text = f"two samples' outputs differ by {distance:.3g} of their norm, not more than {LEAST_DISTANCE}"
        raise InvalidRequestError(f"the weights of {origin} do not tell samples apart: {text}")


def nearest(outputs: Tensor) -> float:
    """Return the smallest distance between two rows, relative to the rows' mean norm; inf for one row."""
    distances = torch.cdist(outputs, outputs) / outputs.norm(dim=1).mean()
    distances.fill_diagonal_(float("inf"))
    return float(distances.min())
