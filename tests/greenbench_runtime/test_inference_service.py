"""inference.GRPCInferenceService, health and reflection, over real sockets."""

import grpc
import numpy as np
import perceptron
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from greenbench_wire import benchmark_pb2, inference_pb2

SERVICES = {"greenbench.v1.Benchmark", "inference.GRPCInferenceService"}


def ask(client, model, inputs, *, raw):
    tensors, contents = [], []
    for name, array in inputs.items():
        datatype = {"float32": "FP32", "int64": "INT64"}[array.dtype.name]
        tensor = inference_pb2.ModelInferRequest.InferInputTensor(
            name=name, datatype=datatype, shape=array.shape
        )
        if raw:
            contents.append(array.tobytes())
        elif datatype == "FP32":
            tensor.contents.fp32_contents.extend(array.ravel().tolist())
        else:
            tensor.contents.int64_contents.extend(array.ravel().tolist())
        tensors.append(tensor)
    request = inference_pb2.ModelInferRequest(
        model_name=model, id="7", inputs=tensors, raw_input_contents=contents
    )
    answer = client.infer.ModelInfer(request)
    assert (answer.id, answer.model_name, answer.model_version) == ("7", model, "1")
    (output,) = answer.outputs
    assert (output.name, output.datatype) == ("output", "FP32")
    return np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(tuple(output.shape))


@pytest.mark.parametrize("raw", [True, False])
def test_inference_computes_what_the_host_computes(client, raw):
    generator = np.random.default_rng(5)
    client.load()
    batch = {"input": generator.standard_normal((4, 64), dtype=np.float32)}
    expected = perceptron.forward("perceptron", batch, perceptron.weights("perceptron"))
    np.testing.assert_allclose(ask(client, "perceptron", batch, raw=raw), expected, rtol=1e-5)
    client.load("tokens", sequence_length=8)
    tokens = {name: generator.integers(0, 9, (4, 8)) for name in ("attention_mask", "input_ids")}
    expected = perceptron.forward("tokens", tokens, perceptron.weights("tokens"))
    np.testing.assert_allclose(ask(client, "tokens", tokens, raw=raw), expected, rtol=1e-5)


def test_a_batch_of_64_images_passes_in_one_message(client):
    client.load("images", batch_size=64)
    images = {"input": np.random.default_rng(2).standard_normal((64, 3, 224, 224), dtype=np.float32)}
    expected = perceptron.forward("images", images, perceptron.weights("images"))
    np.testing.assert_allclose(ask(client, "images", images, raw=True), expected, rtol=1e-3, atol=1e-4)


def test_an_inference_takes_the_place_of_what_was_staged(client):
    batch = client.loaded()
    ask(client, "perceptron", {"input": batch}, raw=True)
    with pytest.raises(grpc.RpcError, match="call Stage first"):
        list(client.bench.Run(benchmark_pb2.RunRequest(max_iterations=1)))


def test_readiness_and_metadata_by_name(client):
    infer, request = client.infer, inference_pb2
    assert infer.ServerLive(request.ServerLiveRequest()).live
    assert infer.ServerReady(request.ServerReadyRequest()).ready
    server = infer.ServerMetadata(request.ServerMetadataRequest())
    assert (server.name, server.version) == ("greenbench-perceptron", np.__version__)
    assert list(server.extensions) == ["greenbench.v1.Benchmark"]
    assert not infer.ModelReady(request.ModelReadyRequest(name="perceptron")).ready
    client.load()
    assert infer.ModelReady(request.ModelReadyRequest(name="perceptron", version="1")).ready
    assert not infer.ModelReady(request.ModelReadyRequest(name="tokens")).ready
    model = infer.ModelMetadata(request.ModelMetadataRequest(name="perceptron"))
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.inputs] == [
        ("input", "FP32", [4, 64])
    ]
    assert [(tensor.name, list(tensor.shape)) for tensor in model.outputs] == [("output", [4, 10])]
    for call in (
        lambda: infer.ModelReady(request.ModelReadyRequest(name="gpt")),
        lambda: infer.ModelMetadata(request.ModelMetadataRequest(name="gpt")),
        lambda: infer.ModelMetadata(request.ModelMetadataRequest(name="tokens")),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            call()
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
def test_health_says_serving(client, service):
    stub = health_pb2_grpc.HealthStub(client.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service_is_not_found(client):
    with pytest.raises(grpc.RpcError) as raised:
        health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(client):
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = stub.ServerReflectionInfo(requests)
    listed = {service.name for service in answer.list_services_response.service}
    assert listed >= SERVICES | {"grpc.health.v1.Health"}
