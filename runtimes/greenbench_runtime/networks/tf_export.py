"""tf2onnx, applied to the matched networks."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx import constants

from greenbench_runtime.engine import ConvertedModel, InvalidRequestError, TensorSpec, UnsupportedError
from greenbench_runtime.networks import keras_zoo
from greenbench_runtime.networks.canonical import parameters, read_canonical
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.graph import network_of
from greenbench_runtime.networks.interface import (
    BATCH_DIMENSION,
    FLOPS_KEY,
    OUTPUT,
    PARAMETERS_KEY,
    input_specs,
)
from greenbench_runtime.networks.native import network_in
from greenbench_runtime.networks.tf_devices import set_threads
from greenbench_runtime.networks.tf_layers import TensorFlowLayers

NEWEST_OPSET = 18
"""The newest opset that tf2onnx writes; the one taken where none is asked for."""


class TensorFlowConverter:
    """Converts the graph of mode ``graph``: dynamic batch, static sequence length, images NCHW outside."""

    def convert(
        self, *, model: str, weights_file: Path, sequence_length: int, opset: int, outbox: Path, threads: int
    ) -> ConvertedModel:
        """Write ``<model>.onnx`` into `outbox`, one file with its weights inside.

        Args:
            model: Which.
            weights_file: Canonical safetensors, or native ones, which name Keras' network.
            sequence_length: Tokens per sample for text models; 0 for vision models.
            opset: Asked for; 0 takes the newest that tf2onnx writes.
            outbox: Folder for the file.
            threads: Intra-operator threads.

        Raises:
            UnknownModelError: `model` is not known.
            InvalidRequestError: Weights that don't fit, or an opset that the exporter does not write.
            UnsupportedError: tf2onnx can't convert the graph; holds what it said.
        """
        specs = input_specs(model, 1, sequence_length)
        if opset > NEWEST_OPSET:
            text = f"is not written by tf2onnx, which ends at {NEWEST_OPSET}; ask for that, or 0"
            raise InvalidRequestError(f"opset {opset} {text}")
        set_threads(threads)
        (network, counts), written = _network(model, weights_file, sequence_length), opset or NEWEST_OPSET
        with _quiet():
            program = _export(tf.function(network, autograph=False), specs, written, model)
        _describe(program, *counts)
        path = outbox / f"{model}.onnx"
        path.write_bytes(program.SerializeToString())
        return ConvertedModel(path=path, opset=written, exporter=f"tf2onnx {tf2onnx.__version__}")


def _network(
    model: str, path: Path, sequence_length: int
) -> tuple[Callable[..., dict[str, tf.Tensor]], tuple[int, int]]:
    """Return the network that a weights file is of, and its scalar weights and operations a sample."""
    if network_in(path):
        own = keras_zoo.load(model, path)
        return lambda *inputs: {OUTPUT: own(*inputs, training=False)}, (
            keras_zoo.parameters(own),
            keras_zoo.flops(own),
        )
    tensors = read_canonical(model, path)

    def matched(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # Made while it is traced, weights become constants of the graph; made before, its inputs.
        return {OUTPUT: network_of(model, TensorFlowLayers(tensors, tf.float32))(*inputs)}

    return matched, (parameters(model), matched_flops(model, sequence_length))


def _export(function: Any, specs: tuple[TensorSpec, ...], opset: int, model: str) -> onnx.ModelProto:
    # Otherwise tf2onnx copies the whole graph, weights and all, before each step, to go on where one fails.
    os.environ[constants.ENV_TF2ONNX_CATCH_ERRORS] = "FALSE"
    images = [spec.name for spec in specs if spec.datatype == "FP32"]
    try:
        program, _ = tf2onnx.convert.from_function(
            function,
            input_signature=[_signature(spec) for spec in specs],
            opset=opset,
            inputs_as_nchw=[f"{name}:0" for name in images],
        )
        onnx.checker.check_model(program)
    except Exception as err:
        # tf2onnx raises whatever its own handlers do; all of it means that there is no model.
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise UnsupportedError(f"tf2onnx can't convert {model} at opset {opset}: {reason}") from err
    return program


def _signature(spec: TensorSpec) -> tf.TensorSpec:
    if spec.datatype == "FP32":
        _, channels, height, width = spec.shape
        return tf.TensorSpec((None, height, width, channels), tf.float32, name=spec.name)
    return tf.TensorSpec((None, *spec.shape[1:]), tf.int64, name=spec.name)


def _describe(program: onnx.ModelProto, count: int, flops: int) -> None:
    """Name the dynamic dimension as other conversions do; count weights and operations."""
    for value in (*program.graph.input, *program.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_DIMENSION
    del program.graph.value_info[:]
    program.metadata_props.add(key=PARAMETERS_KEY, value=str(count))
    program.metadata_props.add(key=FLOPS_KEY, value=str(flops))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress out of the log."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
