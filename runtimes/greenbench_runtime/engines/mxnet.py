"""MXNet: the graph in a Gluon block, hybridized with static memory and shapes (``hybrid``).

MXNet is imported by the first load, not here: threads and TF32 are fixed by that import.
"""

from collections.abc import Mapping
from pathlib import Path

from greenbench_runtime.engine import (
    Array,
    ConvertedModel,
    Converter,
    Engine,
    EngineFacts,
    InvalidRequestError,
    LoadedModel,
    LoadOrder,
    PreparedWeights,
    WeightsMaker,
)
from greenbench_runtime.networks import interface, mxnet_start

MODES = ("hybrid",)


class MXNet:
    """The framework."""

    def facts(self) -> EngineFacts:
        """Return version, devices and kernels, as far as they are known before MXNet starts."""
        return EngineFacts(
            runtime="mxnet", versions={"mxnet": mxnet_start.VERSION}, devices=mxnet_start.devices(),
            modes=MODES, precisions=mxnet_start.PRECISIONS, models=interface.MODELS,
            kernel_architectures=mxnet_start.kernel_architectures(),
        )  # fmt: skip

    def load(self, order: LoadOrder) -> LoadedModel:
        """Start MXNet with the order's threads, if it hasn't been, and put the weights on the device."""
        interface.check_order(order, modes=MODES, has_native=True)
        interface.input_specs(order.model, order.batch_size, order.sequence_length)
        mxnet_start.check_precision(order.precision)
        if order.weights_file is None:
            raise InvalidRequestError("weights_file is missing; MXNet loads a safetensors file")
        mxnet_start.begin(order.threads)
        from greenbench_runtime.networks import mxnet_model  # noqa: PLC0415 - imports MXNet

        return mxnet_model.load(order, order.weights_file)


class MXNetWeightsMaker:
    """Makes the weights of the zoo's own networks."""

    def prepare(
        self, *, model: str, seed: int | None, weights_file: Path | None,
        calibration: Mapping[str, Array], outbox: Path, threads: int,
    ) -> PreparedWeights:  # fmt: skip
        """Write a model's native weights into `outbox`; errors are those of `mxnet_zoo.prepare`."""
        mxnet_start.begin(threads)
        from greenbench_runtime.networks import mxnet_zoo  # noqa: PLC0415 - imports MXNet

        return mxnet_zoo.prepare(
            model=model, seed=seed, weights_file=weights_file, calibration=calibration, outbox=outbox
        )


class MXNetConverter:
    """Converts the graph of mode ``hybrid`` with mx2onnx."""

    def convert(
        self, *, model: str, weights_file: Path, sequence_length: int, opset: int, outbox: Path, threads: int
    ) -> ConvertedModel:
        """Write ``<model>.onnx`` into `outbox`; arguments and errors are those of `mxnet_export.convert`."""
        mxnet_start.begin(threads)
        from greenbench_runtime.networks import mxnet_export  # noqa: PLC0415 - imports MXNet

        return mxnet_export.convert(
            model=model, weights_file=weights_file, sequence_length=sequence_length, opset=opset,
            path=outbox / f"{model}.onnx",
        )  # fmt: skip


def engine() -> Engine:
    """Return the engine."""
    return MXNet()


def weights_maker() -> WeightsMaker:
    """Return the maker of the zoo's own networks' weights."""
    return MXNetWeightsMaker()


def converter() -> Converter:
    """Return the converter to ONNX."""
    return MXNetConverter()
