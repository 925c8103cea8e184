"""MXNet's own ONNX exporter (mx2onnx), applied to the matched networks."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import mxnet as mx
import numpy as np
import onnx

from greenbench_runtime.engine import Array, ConvertedModel, InvalidRequestError, TensorSpec, UnsupportedError
from greenbench_runtime.networks import mxnet_zoo
from greenbench_runtime.networks.canonical import parameters, read_canonical
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.interface import (
    BATCH_DIMENSION,
    FLOPS_KEY,
    OUTPUT,
    PARAMETERS_KEY,
    VISION_MODELS,
    input_specs,
)
from greenbench_runtime.networks.mxnet_layers import network
from greenbench_runtime.networks.native import network_in

OPSETS = (13, 12)
"""Those that mx2onnx has operators for; the first is taken where none is asked for."""

_EXAMPLE_BATCH = 2


def convert(
    *, model: str, weights_file: Path, sequence_length: int, opset: int, path: Path
) -> ConvertedModel:
    """Write an ONNX file with its weights inside: dynamic batch, static sequence length.

    Raises:
        UnknownModelError: `model` is not known.
        InvalidRequestError: Weights that don't fit, or an opset that the exporter does not write.
        UnsupportedError: mx2onnx can't convert the graph; holds what it said.
    """
    specs = input_specs(model, _EXAMPLE_BATCH, sequence_length)
    if opset and opset not in OPSETS:
        known = " and ".join(map(str, OPSETS))
        raise InvalidRequestError(f"opset {opset} is not written by mx2onnx, which knows {known}; ask for 0")
    (graph, tensors, counts), written = _graph(model, weights_file, specs), opset or OPSETS[0]
    weights = {name: mx.nd.array(value, dtype=value.dtype) for name, value in tensors.items()}
    try:
        with _newest_opset(written), _quiet():
            _export(graph, weights, specs, path)
            program = onnx.load(path)
            _describe(program, *counts)
            onnx.checker.check_model(program, full_check=True)
    except Exception as err:
        # mx2onnx raises whatever its own handlers do; all of it means that there is no model.
        path.unlink(missing_ok=True)
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise UnsupportedError(f"mx2onnx can't convert {model} at opset {written}: {reason}") from err
    path.write_bytes(program.SerializeToString())
    return ConvertedModel(path=path, opset=written, exporter=f"mx2onnx {mx.__version__}")


def _graph(
    model: str, path: Path, specs: tuple[TensorSpec, ...]
) -> tuple[mx.sym.Symbol, Mapping[str, Array], tuple[int, int]]:
    """Return the graph that a weights file is of, its tensors, scalar weights and operations a sample."""
    if network_in(path):
        graph, _, own = mxnet_zoo.read(model, path)
        return graph, own, (mxnet_zoo.parameters(own), mxnet_zoo.flops(graph))
    tensors = read_canonical(model, path)
    length = 0 if model in VISION_MODELS else specs[0].shape[1]
    return network(model, tensors, specs)[0], tensors, (parameters(model), matched_flops(model, length))


def _export(
    graph: mx.sym.Symbol, weights: dict[str, mx.nd.NDArray], specs: tuple[TensorSpec, ...], path: Path
) -> None:
    kinds = {"FP32": np.float32, "INT64": np.int64}
    mx.onnx.export_model(
        graph, weights, [spec.shape for spec in specs], [kinds[spec.datatype] for spec in specs], str(path),
        dynamic=True, dynamic_input_shapes=[(BATCH_DIMENSION, *spec.shape[1:]) for spec in specs],
    )  # fmt: skip


@contextmanager
def _newest_opset(opset: int) -> Iterator[None]:
    """Let ``onnx`` name this opset as its newest one.

    mx2onnx writes operators as opset 13 has them, yet stamps its file with, and checks it against, the newest
    opset that the installed ``onnx`` knows. Since opset 18 that makes a LayerNorm invalid: the axes of a
    ``ReduceMean`` are an input there, no attribute.
    """
    context, newest = onnx.checker.DEFAULT_CONTEXT, onnx.defs.onnx_opset_version
    imports = context.opset_imports
    onnx.defs.onnx_opset_version = lambda: opset
    context.opset_imports = {"": opset}
    try:
        yield
    finally:
        onnx.defs.onnx_opset_version, context.opset_imports = newest, imports


def _describe(program: onnx.ModelProto, count: int, flops: int) -> None:
    """Name output and dynamic dimension as other conversions do; count weights and operations."""
    (output,) = program.graph.output
    for node in program.graph.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    output.name = OUTPUT
    # mx2onnx lists the weights as inputs too; whoever runs the model may not replace them.
    weights = {tensor.name for tensor in program.graph.initializer}
    inputs = [value for value in program.graph.input if value.name not in weights]
    del program.graph.input[:]
    program.graph.input.extend(inputs)
    for value in (*program.graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_DIMENSION
    del program.graph.value_info[:]
    program.metadata_props.add(key=PARAMETERS_KEY, value=str(count))
    program.metadata_props.add(key=FLOPS_KEY, value=str(flops))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and its prints out of the log."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(level)
