"""Every status that a client can meet, hostile tensors and paths among the reasons."""

import itertools

import grpc
import numpy as np
import psutil
import pytest

from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import inference_pb2

CODE = grpc.StatusCode
BATCH = np.zeros((4, 64), np.float32)


def refusal(call) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    assert "\n" not in raised.value.details()
    return raised.value


@pytest.mark.parametrize(
    ("changed", "code", "named"),
    [
        ({"model": "gpt"}, CODE.NOT_FOUND, "perceptron"),
        ({"mode": "warp"}, CODE.UNIMPLEMENTED, "default"),
        ({"precision": "fp16"}, CODE.UNIMPLEMENTED, "fp32"),
        ({"device": "cuda"}, CODE.UNIMPLEMENTED, "cpu"),
        ({"threads": 0}, CODE.INVALID_ARGUMENT, "threads 0"),
        ({"batch_size": -1}, CODE.INVALID_ARGUMENT, "batch_size -1"),
        ({"io": "disk"}, CODE.INVALID_ARGUMENT, "device, host"),
        ({"weights": ""}, CODE.INVALID_ARGUMENT, "matched"),
        ({"model": "huge"}, CODE.RESOURCE_EXHAUSTED, "1099511627776"),
        ({"model": "broken"}, CODE.INTERNAL, "KeyError"),
        ({"weights_file": "missing.safetensors"}, CODE.NOT_FOUND, "missing.safetensors"),
        ({"weights_file": "../secret"}, CODE.INVALID_ARGUMENT, "../secret"),
        ({"weights_file": "/etc/passwd"}, CODE.INVALID_ARGUMENT, "/etc/passwd"),
        ({"model_file": "link"}, CODE.INVALID_ARGUMENT, "leads out"),
        ({"model_file": "linked/file"}, CODE.INVALID_ARGUMENT, "leads out"),
        ({"model_file": "folder"}, CODE.INVALID_ARGUMENT, "not a file"),
        ({"model_file": "a\0b"}, CODE.INVALID_ARGUMENT, "not a path"),
        ({"model_file": "loop"}, CODE.INVALID_ARGUMENT, "loop"),
        ({"model_file": "x" * 5000}, CODE.INVALID_ARGUMENT, "xxx"),
    ],
)
def test_a_load_that_cannot_be_is_refused_by_name(client, server, changed, code, named):
    outside = server.models.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "file").write_text("secret")
    for link, target in (("link", outside / "file"), ("linked", outside), ("loop", server.models / "loop")):
        if not (server.models / link).is_symlink():
            (server.models / link).symlink_to(target)
    (server.models / "folder").mkdir(exist_ok=True)
    error = refusal(lambda: client.load(**changed))
    assert error.code() is code
    assert named in error.details()


def test_an_unexpected_error_leaves_its_traceback_in_the_log(client, server, eventually):
    refusal(lambda: client.load("broken"))
    assert eventually(lambda: any("KeyError: 'no such layer'" in line for line in list(server.lines)))


def test_a_load_that_fails_leaves_nothing_loaded(client):
    client.load()
    refusal(lambda: client.load("huge"))
    assert refusal(lambda: client.stage(input=BATCH)).code() is CODE.FAILED_PRECONDITION


def test_a_load_that_can_never_be_leaves_what_was_loaded(client):
    client.load()
    refusal(lambda: client.load("gpt"))
    client.stage(input=BATCH)


def test_nothing_loaded_and_nothing_staged(client):
    for call in (
        lambda: client.stage(input=BATCH),
        lambda: list(client.bench.Check(wire.CheckRequest())),
        lambda: list(client.bench.Run(wire.RunRequest())),
        lambda: list(client.bench.Kept(wire.KeptRequest())),
    ):
        assert refusal(call).code() is CODE.FAILED_PRECONDITION
    client.load()
    for call in (
        lambda: list(client.bench.Check(wire.CheckRequest())),
        lambda: list(client.bench.Run(wire.RunRequest())),
    ):
        error = refusal(call)
        assert error.code() is CODE.FAILED_PRECONDITION
        assert "call Stage first" in error.details()


@pytest.mark.parametrize(
    "request_fields",
    [
        {"cap_s": -1},
        {"cap_s": float("nan")},
        {"cap_s": float("inf")},
        {"max_iterations": -1},
        {"keep_every": 3},
        {"keep_every": -1, "keep_max": 1},
        {"progress_s": -1},
        {"progress_s": 1e-9},
        {"progress_s": float("inf")},
    ],
)
def test_a_run_that_makes_no_sense(client, request_fields):
    client.loaded()
    error = refusal(lambda: list(client.bench.Run(wire.RunRequest(**request_fields))))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert next(iter(request_fields)) in error.details()


def test_an_error_in_the_loop_ends_the_stream(client):
    client.loaded("faulty")
    stream = client.bench.Run(wire.RunRequest())
    assert next(stream).WhichOneof("event") == "started"
    error = refusal(lambda: list(stream))
    assert error.code() is CODE.INTERNAL
    assert "RuntimeError: the kernel fell over" in error.details()
    client.loaded()
    assert list(client.bench.Run(wire.RunRequest(max_iterations=2)))[-1].finished.iterations == 2


def spec(name="input", datatype="FP32", shape=(4, 64)) -> wire.TensorSpec:
    return wire.TensorSpec(name=name, datatype=datatype, shape=shape)


GOOD = BATCH.tobytes()


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([], "'input' is missing"),
        ([(None, GOOD, True)], "without a tensor"),
        ([(spec(name="image"), GOOD, True)], "'image' is not an input"),
        ([(spec(datatype="FP64"), GOOD, True)], "'FP64'"),
        ([(spec(datatype="INT64"), GOOD, True)], "takes FP32"),
        ([(spec(shape=(64, 4)), GOOD, True)], "[64, 4]"),
        ([(spec(shape=(-4, -64)), GOOD, True)], "[-4, -64]"),
        ([(spec(shape=(2**62, 2**62)), b"", True)], str(2**62)),
        ([(spec(shape=[1] * 100_000), b"", True)], "..."),
        ([(spec(), GOOD[:-1], True)], "1023 bytes"),
        ([(spec(), GOOD + b"\0", True)], "1025 bytes"),
        ([(spec(), GOOD, False)], "last"),
        ([(spec(), GOOD, False), (None, b"\0", True)], "1025 bytes"),
        ([(spec(), GOOD[:8], False), (spec(), GOOD, True)], "after 8 of 1024 bytes"),
        ([(spec(), GOOD, True), (spec(), GOOD, True)], "twice"),
        ([(spec(), GOOD, True), (None, GOOD, True)], "without a tensor"),
    ],
)
def test_a_batch_that_is_not_what_the_model_takes(client, parts, named):
    client.load()
    chunks = [wire.TensorChunk(spec=first, data=data, last=last) for first, data, last in parts]
    error = refusal(lambda: client.bench.Stage(wire.StageRequest(chunk=chunk) for chunk in chunks))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert named in error.details()
    assert refusal(lambda: list(client.bench.Check(wire.CheckRequest()))).code() is CODE.FAILED_PRECONDITION


def test_bytes_without_end_are_refused_before_they_fill_memory(client):
    client.load()
    endless = (
        wire.StageRequest(chunk=wire.TensorChunk(spec=spec() if number == 0 else None, data=bytes(4096)))
        for number in itertools.count()
    )
    assert refusal(lambda: client.bench.Stage(endless)).code() is CODE.INVALID_ARGUMENT


def test_an_input_that_is_missing_beside_another(client):
    client.load("tokens", sequence_length=8)
    error = refusal(lambda: client.stage(input_ids=np.zeros((4, 8), np.int64)))
    assert "'attention_mask' is missing" in error.details()


def test_making_files_that_cannot_be_made(client, server):
    (server.models / "weights.bin").write_bytes(b"w")
    (server.models / "calibration.npz").write_bytes(b"not an archive")
    np.savez(server.models / "objects.npz", input=np.array([{"pickle": 1}], dtype=object))
    prepare, convert = client.bench.Prepare, client.bench.Convert
    for call, code, named in (
        (lambda: prepare(wire.PrepareRequest(model="perceptron", threads=1)), CODE.INVALID_ARGUMENT, "seed"),
        (lambda: prepare(wire.PrepareRequest(model="gpt", seed=1, threads=1)), CODE.NOT_FOUND, "gpt"),
        (
            lambda: prepare(
                wire.PrepareRequest(model="perceptron", seed=1, threads=1, calibration_file="calibration.npz")
            ),
            CODE.INVALID_ARGUMENT,
            "calibration.npz",
        ),
        (
            lambda: prepare(
                wire.PrepareRequest(model="perceptron", seed=1, threads=1, calibration_file="objects.npz")
            ),
            CODE.INVALID_ARGUMENT,
            "objects.npz",
        ),
        (lambda: prepare(wire.PrepareRequest(model="perceptron", seed=1)), CODE.INVALID_ARGUMENT, "threads"),
        (
            lambda: convert(wire.ConvertRequest(model="perceptron", weights_file="../x", threads=1)),
            CODE.INVALID_ARGUMENT,
            "../x",
        ),
        (
            lambda: convert(
                wire.ConvertRequest(model="perceptron", weights_file="weights.bin", threads=1, opset=99)
            ),
            CODE.RESOURCE_EXHAUSTED,
            "disk is full",
        ),
    ):
        error = refusal(call)
        assert error.code() is code
        assert named in error.details()


def infer(client, **changed):
    request = {"model_name": "perceptron", "inputs": [tensor()], "raw_input_contents": [GOOD]}
    return client.infer.ModelInfer(inference_pb2.ModelInferRequest(**(request | changed)))


def tensor(name="input", datatype="FP32", shape=(4, 64), **contents) -> object:
    given = inference_pb2.InferTensorContents(**contents) if contents else None
    return inference_pb2.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=given
    )


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"model_name": "gpt"}, CODE.NOT_FOUND),
        ({"model_name": "tokens"}, CODE.NOT_FOUND),
        ({"model_version": "2"}, CODE.NOT_FOUND),
        ({"inputs": []}, CODE.INVALID_ARGUMENT),
        ({"raw_input_contents": [GOOD, GOOD]}, CODE.INVALID_ARGUMENT),
        ({"raw_input_contents": [GOOD[1:]]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(), tensor()], "raw_input_contents": [GOOD, GOOD]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(name="image")]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(shape=(64, 4))]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(shape=(-4, -64))]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(shape=[1] * 99 + [256])]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(shape=(2**62, 2**62))]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(datatype="BYTES")]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(datatype="INT32")]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(fp32_contents=[1.0])]}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(fp32_contents=[1.0])], "raw_input_contents": []}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(int64_contents=[1] * 256)], "raw_input_contents": []}, CODE.INVALID_ARGUMENT),
        ({"inputs": [tensor(datatype="FP16", fp32_contents=[1] * 256)], "raw_input_contents": []},
         CODE.INVALID_ARGUMENT),
        ({"outputs": [{"name": "logits"}]}, CODE.INVALID_ARGUMENT),
    ],
)  # fmt: skip
def test_an_inference_that_cannot_be(client, changed, code):
    client.load()
    assert refusal(lambda: infer(client, **changed)).code() is code


METHODS = {
    "/greenbench.v1.Benchmark/Describe": "unary_unary",
    "/greenbench.v1.Benchmark/Stage": "stream_unary",
    "/greenbench.v1.Benchmark/Run": "unary_stream",
    "/inference.GRPCInferenceService/ModelInfer": "unary_unary",
    "/grpc.health.v1.Health/Check": "unary_unary",
    "/grpc.health.v1.Health/Watch": "unary_stream",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "stream_stream",
}
NO_MESSAGE = b"\xff" * 50


def garbage(client, method):
    kind = METHODS[method]
    call = getattr(client.channel, kind)(method)
    answer = call(iter([NO_MESSAGE]) if kind.startswith("stream") else NO_MESSAGE)
    if kind.endswith("stream"):
        list(answer)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_message_is_refused_by_every_kind_of_call(client, method):
    client.load()
    error = refusal(lambda: garbage(client, method))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert "no message of this call (50 bytes)" in error.details()


def test_what_is_no_message_costs_the_server_no_memory(client, server):
    method = "/grpc.health.v1.Health/Check"
    process = psutil.Process(server.process.pid)
    for _ in range(500):
        refusal(lambda: garbage(client, method))
    before = process.memory_info().rss
    for _ in range(2000):
        refusal(lambda: garbage(client, method))
    # Left to gRPC's own deserializer they cost 19 KB each: 38 MB.
    assert process.memory_info().rss - before < 4e6


def test_an_inference_with_nothing_loaded(client):
    assert refusal(lambda: infer(client)).code() is CODE.FAILED_PRECONDITION
