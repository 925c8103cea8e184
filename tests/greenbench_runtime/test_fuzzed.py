"""The short form of `make fuzz-campaign`, against a server process with the small engine."""

import numpy as np
import psutil
import pytest
from campaigns.flatness import judge
from campaigns.fuzz import SERVICES, Fuzzer, RequestMaker
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import inference_pb2

REQUESTS = 600


def known_requests() -> dict[str, tuple[bytes, ...]]:
    data = np.zeros((4, 64), dtype=np.float32).tobytes()
    load = wire.LoadRequest(
        model="perceptron",
        batch_size=4,
        precision="fp32",
        mode="default",
        weights="matched",
        device="cpu",
        threads=1,
        io="device",
    )
    spec = wire.TensorSpec(name="input", datatype="FP32", shape=(4, 64))
    stage = wire.StageRequest(chunk=wire.TensorChunk(spec=spec, data=data, last=True))
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=(4, 64))
    infer = inference_pb2.ModelInferRequest(
        model_name="perceptron", inputs=[tensor], raw_input_contents=[data]
    )
    run = wire.RunRequest(max_iterations=3, keep_every=1, keep_max=2)
    named = {"Load": load, "Stage": stage, "Run": run, "ModelInfer": infer}
    return {name: (message.SerializeToString(),) for name, message in named.items()}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    from tests.greenbench_runtime.conftest import ServerProcess  # noqa: PLC0415 - as a program, once

    folder = tmp_path_factory.mktemp("fuzzed")
    server = ServerProcess(folder, f"unix:{folder}/grpc.sock").wait_ready()
    fuzzer = Fuzzer(server.address, psutil.Process(server.process.pid), seed=1, known=known_requests())
    fuzzer.until(REQUESTS, oversized=1)
    yield fuzzer
    fuzzer.close()
    assert server.stop() == 0


def test_no_hostile_request_breaks_a_promise(fuzzed):
    assert fuzzed.tally.broken == []
    assert fuzzed.tally.sent == dict.fromkeys(SERVICES, REQUESTS + 1)


def test_the_requests_reached_every_kind_of_answer(fuzzed):
    ended = {status for service, status in fuzzed.tally.statuses if service == "Benchmark"}
    assert ended >= {"OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}


def test_no_hostile_request_meets_an_error_that_nobody_expected(fuzzed):
    assert "INTERNAL" not in {status for _, status in fuzzed.tally.statuses}


def test_nothing_of_the_process_grew(fuzzed):
    for watch in fuzzed.watches.values():
        assert all(growth.flat for growth in judge(watch.samples))


def test_a_server_that_dies_is_told(start):
    server = start().wait_ready()
    fuzzer = Fuzzer(server.address, psutil.Process(server.process.pid), seed=1)
    server.process.kill()
    server.wait_end()
    fuzzer.until(30, oversized=0, looks=1)
    fuzzer.close()
    assert any("UNAVAILABLE" in line or "died" in line for line in fuzzer.tally.broken)


def test_a_seed_makes_the_same_requests_again():
    methods = SERVICES["Benchmark"].methods
    first, again = (
        [maker.requests(method) for method in methods for _ in range(20)]
        for maker in (RequestMaker(5, {}), RequestMaker(5, {}))
    )
    assert first == again


def test_watches_that_are_broken_off_at_any_moment_do_not_stop_the_server(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    stub = health_pb2_grpc.HealthStub(client.channel)
    for number in range(4000):
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        if number % 2:
            next(watch)
        watch.cancel()
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status
    assert server.stop() == 0


def test_many_watchers_keep_nobody_else_from_being_answered(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    stub = health_pb2_grpc.HealthStub(client.channel)
    watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(40)]
    assert client.bench.Describe(wire.DescribeRequest(), timeout=20).runtime == "perceptron"
    for watch in watches:
        watch.cancel()
    assert server.stop() == 0
