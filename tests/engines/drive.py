"""Runs one step with a runtime in its own Python: ``python drive.py STEP RUNTIME ARGUMENTS.json``;
a runtime's other builds have names that begin with its own.

The answer is one JSON object on the last line of stdout; arrays go to ``.npy`` and ``.npz`` files.
"""

import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from greenbench_runtime.engine import EngineError, LoadOrder


def prepare(engine, given):
    inputs = dict(np.load(given["calibration"]))
    file = Path(given["weights_file"]) if given.get("weights_file") else None
    made = engine.weights_maker().prepare(
        model=given["model"], seed=given.get("seed"), weights_file=file, calibration=inputs,
        outbox=Path(given["outbox"]), threads=given.get("threads", 2),
    )  # fmt: skip
    return {"path": str(made.path), "parameters": made.parameters}


def convert(engine, given):
    made = engine.converter().convert(
        model=given["model"], weights_file=Path(given["weights_file"]), opset=given.get("opset", 0),
        sequence_length=given["sequence_length"], outbox=Path(given["outbox"]), threads=2,
    )  # fmt: skip
    return {"path": str(made.path), "opset": made.opset, "exporter": made.exporter}


def infer(engine, given):
    paths = {name: Path(given[name]) for name in ("weights_file", "model_file") if name in given}
    model = engine.engine().load(LoadOrder(**given["order"], **paths))
    inputs = dict(np.load(given["inputs"]))
    for value in inputs.values():
        value.flags.writeable = False  # as bytes from the wire are
    model.stage(inputs)
    kept = model.infer()
    model.synchronize()
    first = model.fetch(kept)["output"].copy()
    model.stage({name: np.flip(value, axis=0) for name, value in inputs.items()})
    flipped = model.fetch(model.infer())["output"]
    np.savez(given["outputs"], output=first, flipped=flipped, kept=model.fetch(kept)["output"])
    facts = model.facts
    return {
        "parameters": facts.parameters, "flops": facts.flops,
        "flags": dict(facts.flags), "dtypes": dict(facts.dtypes),
        "nodes": dict(facts.nodes_per_provider), "outputs": [list(spec.shape) for spec in facts.outputs],
    }  # fmt: skip


def assigned(engine, given):
    """Return the nodes per provider twice: as the session tells, and as the kernels that ran tell."""
    from greenbench_runtime.networks import onnx_session  # noqa: PLC0415 - imports ONNX Runtime

    order, file = LoadOrder(**given["order"]), Path(given["model_file"])
    told = engine.engine().load(replace(order, model_file=file)).facts
    onnx_session._TELLS_ASSIGNMENT = False
    ran = engine.engine().load(replace(order, model_file=file)).facts
    return {"told": dict(told.nodes_per_provider), "ran": dict(ran.nodes_per_provider)}


def places(engine, given):
    """Return how many places hold outputs while a loop keeps none, then three; then those of a new batch."""
    model = engine.engine().load(LoadOrder(**given["order"], model_file=Path(given["model_file"])))
    model._on_host = given["on_host"]  # as on a GPU with io = host: bound anew for each pass
    inputs = dict(np.load(given["inputs"]))
    model.stage(inputs)
    for _ in range(5):
        output = model.infer()
    none = len(model._slots)
    kept = [model.infer() for _ in range(3)]
    held = {id(item.value) for item in (*kept, output)}
    three = len(model._slots)
    del kept
    for _ in range(5):
        output = model.infer()
    after = len(model._slots)
    model.stage(inputs)
    again = model.infer()
    same = bool(np.array_equal(model.fetch(again)["output"], model.fetch(output)["output"]))
    return {
        "none": none,
        "three": three,
        "held": len(held),
        "after": after,
        "fresh": len(model._slots),
        "same": same,
    }


def formats(engine, given):
    """Return the memory format that PyTorch's rule gives each order."""
    from greenbench_runtime.networks.torch_layout import image_format  # noqa: PLC0415 - imports torch

    return {"formats": [str(image_format(LoadOrder(**order))) for order in given["orders"]]}


def strides(engine, given):
    """Return how PyTorch's 4-D weights and its batch lie in memory: as staged, and as handed on."""
    model = engine.engine().load(LoadOrder(**given["order"], weights_file=Path(given["weights_file"])))
    model.stage(dict(np.load(given["inputs"])))
    staged = [list(tensor.stride()) for tensor in model._inputs]
    run, handed = model._network, []
    model._network = lambda *inputs: handed.extend(inputs) or inputs[0]
    model.infer()
    weights = getattr(run, "_network", run).state_dict()  # that of a compiled network lies one deeper
    return {
        "flags": dict(model.facts.flags), "staged": staged,
        "handed": [list(tensor.stride()) for tensor in handed],
        "weights": [[list(w.shape), list(w.stride())] for w in weights.values() if w.dim() == 4],
    }  # fmt: skip


def plain(engine, given):
    """Write what PyTorch's network computes of a batch with everything as it was built: contiguous, eager."""
    import torch  # noqa: PLC0415 - not every runtime has it

    from greenbench_runtime.networks.torch_layout import format_flag  # noqa: PLC0415
    from greenbench_runtime.networks.torch_networks import load_network  # noqa: PLC0415

    network = load_network(given["model"], Path(given["weights_file"]))
    with torch.inference_mode():
        output = network(*(torch.from_numpy(value) for value in np.load(given["inputs"]).values()))
    np.savez(given["outputs"], output=output.numpy())
    return {"flags": format_flag(network)}


def count_by_torch(engine, given):
    """Count one sample's operations with PyTorch's own counter, attention as the products it is made of."""
    import torch  # noqa: PLC0415 - not every runtime has it
    from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: PLC0415
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    from greenbench_runtime.networks.torch_networks import load_network  # noqa: PLC0415

    network = load_network(given["model"], Path(given["weights_file"]))
    inputs = [torch.from_numpy(value[:1]) for value in np.load(given["inputs"]).values()]
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return {"flops": counter.get_total_flops()}


def count(engine, given):
    """Count the products and sums of an ONNX graph at batch 1: its own nodes, not greenbench's layers."""
    import onnx  # noqa: PLC0415 - not every runtime has it

    program = onnx.load(given["model_file"])
    for value in (*program.graph.input, *program.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del program.graph.value_info[:]
    program = onnx.shape_inference.infer_shapes(program, data_prop=True)
    graph = program.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [size.dim_value for size in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            kernel, output = shapes[node.input[1]], shapes[node.output[0]]
            assert all(output), f"{node.name}: {output} has an unknown side"
            total += 2 * int(np.prod(kernel)) * int(np.prod(output[2:]))
        elif node.op_type in {"Gemm", "MatMul"}:
            turned = any(item.name == "transA" and item.i for item in node.attribute)
            inner, output = shapes[node.input[0]][0 if turned else -1], shapes[node.output[0]]
            assert inner, f"{node.name}: {shapes[node.input[0]]} has an unknown side"
            assert all(output), f"{node.name}: {output} has an unknown side"
            total += 2 * inner * int(np.prod(output))
    return {"flops": total, "operators": sorted({node.op_type for node in graph.node})}


def facts(engine, given):
    found = engine.engine().facts()
    return {"modes": found.modes, "models": found.models, "versions": dict(found.versions)}


def rename(engine, given):
    """Write a canonical file in a published naming, or with one tensor changed."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - not in every runtime

    tensors = load_file(given["weights_file"])
    if given["as"] == "timm":
        tensors = {_timm(name): value for name, value in tensors.items()}
    elif given["as"] == "hub_bert":
        import torch  # noqa: PLC0415 - not in every runtime

        old = {"weight": "gamma", "bias": "beta"}
        tensors = {
            "bert." + (f"{n.rpartition('.')[0]}.{old[n.rpartition('.')[2]]}" if "LayerNorm" in n else n): v
            for n, v in tensors.items()
        }
        tensors |= {"cls.predictions.bias": torch.zeros(30522), "bert.pooler.dense.bias": torch.zeros(768)}
    else:
        name, change = given["tensor"], given["as"]
        if change == "perturbed":
            tensors[name].view(-1)[0] += 1.0
        elif change == "missing":
            del tensors[name]
        elif change == "misshapen":
            tensors[name] = tensors[name][:-1].contiguous()
    save_file(tensors, given["to"])
    return {}


def _timm(name):
    for mine, theirs in (
        ("features.0.0", "conv_stem"), ("features.0.1", "bn1"), ("features.18.0", "conv_head"),
        ("features.18.1", "bn2"), ("classifier.1", "classifier"),
    ):  # fmt: skip
        if name.startswith(mine + "."):
            return theirs + name.removeprefix(mine)
    places = [(0, 0)] + [(s, b) for s, n in enumerate((2, 3, 4, 3, 3, 1), start=1) for b in range(n)]
    match = re.fullmatch(r"features\.(\d+)\.conv\.(.+)\.(\w+)", name)
    stage, block = places[int(match[1]) - 1]
    first = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
    later = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "conv_pwl", "3": "bn3"}
    return f"blocks.{stage}.{block}.{(first if stage == 0 else later)[match[2]]}.{match[3]}"


def main():
    step, name, given = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
    engine = importlib.import_module(f"greenbench_runtime.engines.{name.partition('-')[0]}")
    try:
        answer = globals()[step](engine, given)
    except EngineError as err:
        answer = {"error": type(err).__name__, "text": str(err)}
    print(json.dumps(answer | {"torch_imported": "torch" in sys.modules}))  # noqa: T201 - this program's answer


if __name__ == "__main__":
    main()
