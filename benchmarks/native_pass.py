"""One forward pass as a script around the framework writes it: runs inside a runtime's own environment.

It takes what the server has loaded, the framework's own objects with their staged inputs, and calls them by
the framework's own interface: none of greenbench's code lies between two passes.
Network and inputs keep the layout in which they were loaded, such as PyTorch's ``channels_last``: both sides
of a comparison run in the same one.
"""

# ruff: noqa: SLF001 - it is about those objects, which the engines keep to themselves

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


def native_pass(engine: str, model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    """Return the context of the whole loop, and one pass that ends when its output is there.

    Args:
        engine: Module of the engine, such as ``pytorch``.
        model: Loaded by it, with inputs staged on the device.

    Raises:
        KeyError: No script is known for the engine.
    """
    return _PASSES[engine](model)


def _pytorch(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    import torch  # noqa: PLC0415 - each environment holds one framework

    network, inputs = model._network, model._inputs
    on_gpu, synchronize = inputs[0].is_cuda, torch.cuda.synchronize

    def one() -> None:
        network(*inputs)
        if on_gpu:
            synchronize()

    return torch.inference_mode(), one


def _onnxruntime(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    session, binding = model._session, model._session.io_binding()
    for name, value in model._bound.items():
        binding.bind_ortvalue_input(name, value)
    place, ordinal = model._outputs_on
    binding.bind_output(session.get_outputs()[0].name, place, ordinal)
    run, synchronize = session.run_with_iobinding, binding.synchronize_outputs

    def one() -> None:
        run(binding)
        synchronize()

    return nullcontext(), one


def _tensorflow(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    import tensorflow as tf  # noqa: PLC0415

    run, inputs, wait = model._run, model._inputs, tf.test.experimental.sync_devices

    def one() -> None:
        run(*inputs)
        wait()

    return tf.device(model._place), one


def _jax(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    run, inputs = model._run, model._inputs
    return nullcontext(), lambda: run(*inputs).block_until_ready()


def _mxnet(model: Any) -> tuple[AbstractContextManager[Any], Callable[[], object]]:
    block, inputs = model._block, model._inputs
    return nullcontext(), lambda: block(*inputs).wait_to_read()


_PASSES = {
    "pytorch": _pytorch,
    "onnxruntime": _onnxruntime,
    "tensorflow": _tensorflow,
    "jax": _jax,
    "mxnet": _mxnet,
}
