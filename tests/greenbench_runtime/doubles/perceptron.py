"""A small real engine: NumPy networks that compute, and models that fail in every way an engine can."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from greenbench_runtime.engine import (
    Array,
    ConvertedModel,
    DeviceFacts,
    EngineFacts,
    LoadFacts,
    LoadOrder,
    OutOfMemoryError,
    PreparedWeights,
    TensorSpec,
)

MODELS = ("perceptron", "images", "tokens", "faulty", "huge", "broken", "hanging", "lost", "starved")
FAULT_AFTER = 5
CUDA_SAYS = {
    "lost": "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronous",
    "starved": "CUDA out of memory. Tried to allocate 20.00 MiB.",
}


def weights(model: str) -> dict[str, Array]:
    """The weights of a model, the same wherever they are asked for."""
    generator = np.random.default_rng(7)
    width = {"images": 3, "tokens": 1}.get(model, 64)
    return {
        "first": generator.standard_normal((width, 128), dtype=np.float32),
        "second": generator.standard_normal((128, 10), dtype=np.float32),
    }


def forward(model: str, inputs: Mapping[str, Array], parameters: Mapping[str, Array]) -> Array:
    """Two layers and a rectifier over the model's features."""
    hidden = np.maximum(_features(model, inputs) @ parameters["first"], 0)
    return hidden @ parameters["second"]


def _features(model: str, inputs: Mapping[str, Array]) -> Array:
    if model == "images":
        return inputs["input"].mean(axis=(2, 3))
    if model == "tokens":
        return (inputs["input_ids"] * inputs["attention_mask"]).sum(axis=1, keepdims=True).astype(np.float32)
    return inputs["input"]


def input_specs(order: LoadOrder) -> tuple[TensorSpec, ...]:
    batch = order.batch_size
    if order.model == "tokens":
        shape = (batch, order.sequence_length)
        return tuple(
            TensorSpec(name=n, datatype="INT64", shape=shape) for n in ("input_ids", "attention_mask")
        )
    image = (batch, 3, 224, 224)
    return (
        TensorSpec(name="input", datatype="FP32", shape=image if order.model == "images" else (batch, 64)),
    )


class Perceptron:
    """One loaded network."""

    def __init__(self, order: LoadOrder) -> None:
        self._model = order.model
        self._weights = weights(order.model)
        self._inputs: Mapping[str, Array] = {}
        self._passes = 0
        self.facts = LoadFacts(
            inputs=input_specs(order),
            outputs=(TensorSpec(name="output", datatype="FP32", shape=(order.batch_size, 10)),),
            parameters=sum(array.size for array in self._weights.values()),
            flags={"tf32": "off"},
            dtypes={"weights": "float32", "inputs": "float32", "outputs": "float32"},
        )

    def stage(self, inputs: Mapping[str, Array]) -> None:
        self._inputs = {name: array.copy() for name, array in inputs.items()}

    def infer(self) -> Any:
        self._passes += 1
        if self._model == "faulty" and self._passes > FAULT_AFTER:
            raise RuntimeError("the kernel\nfell over")
        if self._model in CUDA_SAYS and self._passes > FAULT_AFTER:
            raise RuntimeError(CUDA_SAYS[self._model])
        if self._model == "hanging" and self._passes > 1:
            time.sleep(60)
        return forward(self._model, self._inputs, self._weights)

    def synchronize(self) -> None:
        pass

    def fetch(self, output: Any) -> Mapping[str, Array]:
        return {"output": output}


class NumpyEngine:
    """Loads networks by name."""

    def facts(self) -> EngineFacts:
        return EngineFacts(
            runtime="perceptron",
            versions={"perceptron": np.__version__},
            devices=(DeviceFacts(kind="cpu", name="test"),),
            modes=("default",),
            precisions=("fp32",),
            models=MODELS,
        )

    def load(self, order: LoadOrder) -> Perceptron:
        if order.model == "huge":
            raise OutOfMemoryError("model 'huge' needs 1099511627776 bytes; choose a smaller batch")
        if order.model == "broken":
            raise KeyError("no such layer")
        return Perceptron(order)


class Maker:
    def prepare(self, *, model, seed, weights_file, calibration, outbox, threads):
        path = outbox / f"{model}.json"
        told = {
            "seed": seed,
            "from": str(weights_file),
            "calibration": sorted(calibration),
            "threads": threads,
        }
        path.write_text(json.dumps(told))
        return PreparedWeights(path=path, parameters=12)


class OnnxWriter:
    def convert(self, *, model, weights_file: Path, sequence_length, opset, outbox: Path, threads):
        if opset == 99:
            raise OSError(28, "No space left on device")
        path = outbox / "deep" / f"{model}.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(weights_file.read_bytes() * 2)
        return ConvertedModel(path=path, opset=opset or 17, exporter="double")


def engine() -> NumpyEngine:
    return NumpyEngine()


def weights_maker() -> Maker:
    return Maker()


def converter() -> OnnxWriter:
    return OnnxWriter()
