"""PyTorch's own ONNX exporter, applied to the canonical networks."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from greenbench_runtime.engine import ConvertedModel, InvalidRequestError
from greenbench_runtime.networks.flops import matched_flops
from greenbench_runtime.networks.interface import (
    BATCH_DIMENSION,
    FLOPS_KEY,
    OUTPUT,
    PARAMETERS_KEY,
    input_specs,
)
from greenbench_runtime.networks.torch_networks import load_network, parameters

_EXAMPLE_BATCH = 2
"""A batch of 1 would be taken for a constant."""


class TorchConverter:
    """Converts with ``torch.onnx.export(dynamo=True)``: a dynamic batch, a static sequence length."""

    def convert(
        self, *, model: str, weights_file: Path, sequence_length: int, opset: int, outbox: Path, threads: int
    ) -> ConvertedModel:
        """Write ``<model>.onnx`` into `outbox`, one file with its weights inside.

        Args:
            model: Which.
            weights_file: Canonical safetensors.
            sequence_length: Tokens per sample for text models; 0 for vision models.
            opset: Asked for; 0 takes the exporter's default.
            outbox: Folder for the file.
            threads: Intra-operator threads.

        Raises:
            UnknownModelError: `model` is not known.
            InvalidRequestError: Weights that don't fit, or an opset that the exporter does not write.
        """
        import onnx  # noqa: PLC0415 - only who converts needs it; the exporter does

        specs = input_specs(model, _EXAMPLE_BATCH, sequence_length)
        torch.set_num_threads(threads)
        network = load_network(model, weights_file)
        kinds = {"FP32": torch.float32, "INT64": torch.int64}
        example = tuple(torch.ones(spec.shape, dtype=kinds[spec.datatype]) for spec in specs)
        with _quiet():
            program = _export(network, example, [spec.name for spec in specs], opset)
        written = program.model.opset_imports[""]
        if opset and written != opset:  # the exporter gives way without a word
            text = f"opset {opset} is not written by this exporter, which took {written}; ask for that, or 0"
            raise InvalidRequestError(text)
        _describe(program, parameters(network), matched_flops(model, sequence_length))
        # The exporter writes the newest; what holds nothing newer than its opset is read by older ones too.
        opset_id = onnx.helper.make_opsetid("", written)
        with contextlib.suppress(ValueError):  # an opset that the installed onnx does not know yet
            program.model.ir_version = onnx.helper.find_min_ir_version_for([opset_id])
        path = outbox / f"{model}.onnx"
        program.save(path, external_data=False)
        return ConvertedModel(path=path, opset=written, exporter=f"torch.onnx {torch.__version__} (dynamo)")


def _export(network: torch.nn.Module, example: tuple[torch.Tensor, ...], names: list[str], opset: int) -> Any:
    batch = torch.export.Dim(BATCH_DIMENSION, min=1, max=65535)
    try:
        return torch.onnx.export(
            network,
            example,
            dynamo=True,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_shapes=tuple({0: batch} for _ in names),
            opset_version=opset or None,
            verbose=False,
        )
    except (ValueError, torch.onnx.errors.OnnxExporterError) as err:
        reason = str(err).strip().splitlines()[0]
        text = f"could not be exported at opset {opset or 'default'} ({reason}); ask for opset 0"
        raise InvalidRequestError(f"{type(network).__name__} {text}") from err


def _describe(program: Any, count: int, flops: int) -> None:
    """Count weights and operations; drop the exporter's notes, which hold paths of this machine."""
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.model.metadata_props.update({PARAMETERS_KEY: str(count), FLOPS_KEY: str(flops)})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and its warnings about its own insides out of the log."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
