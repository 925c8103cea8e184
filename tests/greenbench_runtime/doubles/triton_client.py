"""Asks a server with NVIDIA's own client, which brings its own descriptors; runs where tritonclient is.

Arguments: address, an .npz whose arrays are ``<model>.<input>``, where to write the answers (.npz).
"""

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

DATATYPES = {"float32": "FP32", "int64": "INT64"}
FIELDS = {"float32": "fp32_contents", "int64": "int64_contents"}


def raw(client, model, inputs):
    """Ask as the client does by itself: raw contents."""
    given = []
    for name, array in inputs.items():
        tensor = triton.InferInput(name, list(array.shape), DATATYPES[array.dtype.name])
        tensor.set_data_from_numpy(array)
        given.append(tensor)
    return client.infer(model, given, outputs=[triton.InferRequestedOutput("output")]).as_numpy("output")


def typed(client, model, inputs):
    """Ask with the client's own messages and typed contents."""
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, array in inputs.items():
        tensor = request.inputs.add(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
        getattr(tensor.contents, FIELDS[array.dtype.name]).extend(array.ravel().tolist())
    stub = service_pb2_grpc.GRPCInferenceServiceStub(client._channel)
    return triton.InferResult(stub.ModelInfer(request)).as_numpy("output")


def told(client, model):
    """What the server says of itself and of its model."""
    metadata = client.get_model_metadata(model, as_json=True)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "server": client.get_server_metadata(as_json=True)["name"],
        "inputs": [[tensor["name"], tensor["datatype"], tensor["shape"]] for tensor in metadata["inputs"]],
    }


def main():
    address, model, asked, answered = sys.argv[1:]
    with np.load(asked) as archive:
        inputs = {name: archive[name] for name in archive.files}
    with triton.InferenceServerClient(address) as client:
        np.savez(answered, raw=raw(client, model, inputs), typed=typed(client, model, inputs))
        sys.stdout.write(json.dumps(told(client, model)))


main()
