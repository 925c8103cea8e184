"""MXNet's own networks: Gluon's model zoo; images are NCHW.

Imported after `mxnet_start.begin`: MXNet starts with this module's first line.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision
from mxnet.gluon.model_zoo.vision.mobilenet import LinearBottleneck
from mxnet.gluon.model_zoo.vision.resnet import BottleneckV1

from greenbench_runtime.engine import Array, InvalidRequestError, PreparedWeights
from greenbench_runtime.networks.flops import PER_MULTIPLY_ADD
from greenbench_runtime.networks.interface import IMAGE_SIZE_PX, OUTPUT
from greenbench_runtime.networks.native import (
    RESIDUAL_SCALE,
    Drawn,
    draw,
    network_name,
    prove_natural,
    read_native,
    write_native,
)
from greenbench_runtime.networks.zoo_names import MXNET_ABSENT, MXNET_NETWORKS

_PREFIX = "net_"
"""Of every parameter's name; without one of our own it would count the networks made before."""

_STATISTICS = ("running_mean", "running_var")


def build(model: str) -> mx.gluon.HybridBlock:
    """Return a zoo network with zeros for weights.

    Raises:
        UnsupportedError: The zoo has no such network.
    """
    name = network_name(model, MXNET_NETWORKS, MXNET_ABSENT).rpartition(".")[2]
    make: Callable[..., mx.gluon.HybridBlock] = getattr(vision, name)
    with mx.name.NameManager():
        block = make(prefix=_PREFIX)
    block.initialize(mx.init.Zero())
    block(mx.nd.zeros((1, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)))  # shapes are known after a first pass
    return block


def read(model: str, path: Path) -> tuple[mx.sym.Symbol, tuple[mx.sym.Symbol, ...], dict[str, Array]]:
    """Return a zoo network's graph, its inputs, and the tensors of a file that fit it.

    Raises:
        UnsupportedError: The zoo has no such network.
        InvalidRequestError: The file can't be read or does not fit.
    """
    block = build(model)
    shapes = {name: tuple(held.shape) for name, held in block.collect_params().items()}
    tensors = read_native(path, shapes, network=MXNET_NETWORKS[model])
    image = mx.sym.var("input", dtype="float32")
    with mx.name.NameManager():
        return mx.sym.identity(block(image), name=OUTPUT), (image,), tensors


def parameters(tensors: Mapping[str, Array]) -> int:
    """Return the number of scalar weights, BatchNorm statistics not counted."""
    return sum(value.size for name, value in tensors.items() if not name.endswith(_STATISTICS))


def flops(graph: mx.sym.Symbol) -> int:
    """Return the operations of one sample, by the rule of `networks.flops`.

    Args:
        graph: A zoo network's, from `read`.
    """
    inner = graph.get_internals()
    size = {"input": (1, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)}
    sizes = dict(zip(inner.list_outputs(), inner.infer_shape(**size)[1], strict=True))
    nodes = json.loads(graph.tojson())["nodes"]
    total = 0
    for node in nodes:
        if node["op"] in {"Convolution", "FullyConnected"}:
            weight = sizes[nodes[node["inputs"][1][0]]["name"]]
            output = sizes[f"{node['name']}_output"]
            total += PER_MULTIPLY_ADD * int(np.prod(weight)) * int(np.prod(output[2:]))
    return total


def prepare(
    *, model: str, seed: int | None, weights_file: Path | None, calibration: Mapping[str, Array], outbox: Path
) -> PreparedWeights:
    """Write a model's native weights into `outbox`; arguments are those of `WeightsMaker`.

    Raises:
        UnsupportedError: The zoo has no such network.
        InvalidRequestError: A file that does not fit, or weights whose outputs are not natural.
    """
    block, images = build(model), mx.nd.array(calibration["input"])
    if weights_file is not None:
        _fill_from(block, model, weights_file)
    elif seed is not None:
        _fill(block, draw(_plan(block), seed))
        _calibrate(block, images)
    else:
        raise InvalidRequestError("neither a seed nor a weights file was given; give one")
    prove_natural(block(images).asnumpy(), origin=weights_file.name if weights_file else f"seed {seed}")
    tensors = {name: held.data().asnumpy() for name, held in block.collect_params().items()}
    path = outbox / f"{model}.safetensors"
    write_native(tensors, path, network=MXNET_NETWORKS[model])
    return PreparedWeights(path=path, parameters=parameters(tensors))


def _fill(block: mx.gluon.HybridBlock, tensors: Mapping[str, Array]) -> None:
    for name, held in block.collect_params().items():
        held.set_data(mx.nd.array(tensors[name]))


def _fill_from(block: mx.gluon.HybridBlock, model: str, path: Path) -> None:
    if path.suffix == ".safetensors":
        _fill(block, read(model, path)[2])
        return
    if path.suffix != ".params":
        raise InvalidRequestError(f"weights file {path.name} is neither .safetensors nor MXNet's .params")
    try:
        block.load_parameters(str(path))
    except (AssertionError, ValueError, mx.base.MXNetError) as err:
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise InvalidRequestError(f"{path.name} does not fit {MXNET_NETWORKS[model]}: {reason}") from err


def _plan(block: mx.gluon.HybridBlock) -> dict[str, Drawn]:
    """Return how each parameter is drawn: weights by He, the last norm of a residual branch damped."""
    damped = {f"{norm.prefix}gamma" for norm in _last_norms(block)}
    plan = {}
    for name, held in block.collect_params().items():
        shape, kind = tuple(held.shape), name.rpartition("_")[2]
        if kind == "weight":
            plan[name] = Drawn(shape=shape, inputs=int(np.prod(shape[1:])))
        else:
            scale = RESIDUAL_SCALE if name in damped else 1.0
            plan[name] = Drawn(shape=shape, constant={"gamma": scale, "var": 1.0}.get(kind, 0.0))
    return plan


def _last_norms(block: mx.gluon.Block) -> list[mx.gluon.Block]:
    found: list[mx.gluon.Block] = []

    def look(part: mx.gluon.Block) -> None:
        if isinstance(part, BottleneckV1):
            found.append(part.body[-1])
        elif isinstance(part, LinearBottleneck) and part.use_shortcut:
            found.append(part.out[-1])

    block.apply(look)
    return found


def _calibrate(block: mx.gluon.HybridBlock, images: mx.nd.NDArray) -> None:
    """Set every BatchNorm's statistics to those of `images`; MXNet takes them over in the backward pass."""

    def forget(layer: mx.gluon.Block) -> None:
        if isinstance(layer, nn.BatchNorm):
            layer._kwargs["momentum"] = 0.0  # noqa: SLF001 - it has no setter

    block.apply(forget)
    with mx.autograd.record():
        output = block(images)
    output.backward()
    mx.nd.waitall()
