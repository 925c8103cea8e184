"""The torch networks by name, their canonical tensors, and files that hold them."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from greenbench_runtime.engine import InvalidRequestError
from greenbench_runtime.networks.interface import check_model
from greenbench_runtime.networks.torch_naming import canonical_names
from greenbench_runtime.networks.torch_vision import MobileNetV2, ResNet50


class BertBase(BertModel):  # type: ignore[misc]
    """BERT-base-uncased without its pooler: int64 [n, l] twice to float [n, l, 768]."""

    def __init__(self) -> None:
        super().__init__(BertConfig(attn_implementation="sdpa"), add_pooling_layer=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the last hidden state."""
        answer = super().forward(input_ids=input_ids, attention_mask=attention_mask)
        return answer.last_hidden_state


def build(model: str) -> nn.Module:
    """Return a model's network in evaluation mode, its weights not yet meaningful.

    Raises:
        UnknownModelError: `model` is not known.
    """
    check_model(model)
    networks: dict[str, type[nn.Module]] = {
        "resnet50": ResNet50, "mobilenet_v2": MobileNetV2, "bert_base": BertBase,
    }  # fmt: skip
    return networks[model]().eval().requires_grad_(requires_grad=False)


def load_network(model: str, path: Path) -> nn.Module:
    """Return a model's network with the weights of a file, in canonical or published naming.

    Raises:
        UnknownModelError: `model` is not known.
        InvalidRequestError: The file can't be read or does not fit.
    """
    network = build(model)
    fill(network, canonical_names(model, read_tensors(path)), origin=path.name)
    return network


def parameters(network: nn.Module) -> int:
    """Return the number of scalar weights, BatchNorm statistics not counted."""
    return sum(parameter.numel() for parameter in network.parameters())


def canonical(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that define a network: its weights and BatchNorm statistics, by name."""
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def fill(network: nn.Module, tensors: dict[str, Tensor], *, origin: str) -> None:
    """Copy tensors into a network, which must find each of its own, in its own shape.

    Args:
        network: The network; changed in place.
        tensors: By canonical name; any floating-point type.
        origin: What to call their source in an error.

    Raises:
        InvalidRequestError: A tensor is missing, has another shape, or is not the network's.
    """
    own = canonical(network)
    for name, target in own.items():
        if name not in tensors:
            raise InvalidRequestError(f"{origin} lacks the tensor {name} of shape {list(target.shape)}")
        if tensors[name].shape != target.shape:
            shapes = f"{list(tensors[name].shape)}; the network needs {list(target.shape)}"
            raise InvalidRequestError(f"{origin} holds {name} with shape {shapes}")
    if strange := sorted(set(tensors) - set(own)):
        raise InvalidRequestError(
            f"{origin} holds tensors that the network does not have, first {strange[0]}"
        )
    with torch.no_grad():
        for name, target in own.items():
            target.copy_(tensors[name])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a weights file.

    Args:
        path: ``.safetensors``; or ``.bin``, ``.pt``, ``.pth`` holding tensors and nothing that runs code.

    Raises:
        InvalidRequestError: The file is not there, damaged, of another kind, or holds code.
    """
    if not path.is_file():
        raise InvalidRequestError(f"weights file {path.name} is not there")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in {".bin", ".pt", ".pth"}:
        return _read_pickle(path)
    raise InvalidRequestError(f"weights file {path.name} is neither .safetensors nor .bin, .pt or .pth")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except SafetensorError as err:
        raise InvalidRequestError(
            f"{path.name} is not a whole safetensors file ({_first_line(err)})"
        ) from err


def _read_pickle(path: Path) -> dict[str, Tensor]:
    # Whatever a hostile or damaged file makes the reader raise means one thing: it is not used.
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:
        text = f"{path.name} is damaged or holds more than tensors, and was not run; use a safetensors file"
        raise InvalidRequestError(text) from err
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InvalidRequestError(f"{path.name} holds no dictionary of tensors; use a safetensors file")
    return content


def _first_line(err: Exception) -> str:
    return str(err).splitlines()[0] if str(err) else type(err).__name__
