"""greenbench.v1.Benchmark over real sockets, with an engine that computes."""

import hashlib
import itertools
import time

import grpc
import numpy as np
import perceptron
import pytest

from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import schema_fingerprint


def tensor(chunks) -> np.ndarray:
    received = list(chunks)
    assert received[-1].last
    data = b"".join(chunk.data for chunk in received)
    return np.frombuffer(data, "<f4").reshape(tuple(received[0].spec.shape))


def ends(events) -> list[int]:
    return [end for event in events for end in (*event.progress.end_ns, *event.finished.end_ns)]


def test_describe_says_what_the_engine_is(client):
    answer = client.bench.Describe(wire.DescribeRequest())
    assert answer.runtime == "perceptron"
    assert answer.versions["perceptron"] == np.__version__
    assert [device.kind for device in answer.devices] == ["cpu"]
    assert answer.schema_fingerprint == schema_fingerprint()
    assert answer.physical_cores >= 1
    assert answer.python.startswith("3.")
    assert answer.converts
    assert answer.prepares


def test_load_reports_specification_facts_and_seconds(client):
    answer = client.load()
    assert [(spec.name, spec.datatype, list(spec.shape)) for spec in answer.inputs] == [
        ("input", "FP32", [4, 64])
    ]
    assert [(spec.name, list(spec.shape)) for spec in answer.outputs] == [("output", [4, 10])]
    assert answer.parameters == 64 * 128 + 128 * 10
    assert dict(answer.flags) == {"tf32": "off"}
    assert answer.load_s > 0
    assert answer.build_s > 0


def test_check_computes_what_the_host_computes(client):
    batch = client.loaded()
    expected = perceptron.forward("perceptron", {"input": batch}, perceptron.weights("perceptron"))
    output = tensor(client.bench.Check(wire.CheckRequest()))
    np.testing.assert_allclose(output, expected, rtol=1e-5)
    assert np.abs(expected).max() > 1


def test_stage_echoes_the_sha256_of_each_input(client):
    client.load("tokens", sequence_length=16)
    ids = np.arange(64, dtype=np.int64).reshape(4, 16)
    mask = np.ones((4, 16), dtype=np.int64)
    answer = client.stage(attention_mask=mask, input_ids=ids)
    assert answer.sha256["input_ids"] == hashlib.sha256(ids.tobytes()).hexdigest()
    assert answer.sha256["attention_mask"] == hashlib.sha256(mask.tobytes()).hexdigest()
    assert answer.bytes == ids.nbytes + mask.nbytes
    expected = perceptron.forward(
        "tokens", {"input_ids": ids, "attention_mask": mask}, perceptron.weights("tokens")
    )
    np.testing.assert_allclose(tensor(client.bench.Check(wire.CheckRequest())), expected, rtol=1e-5)


def test_a_batch_of_64_images_is_staged(client):
    client.load("images", batch_size=64)
    images = np.random.default_rng(1).standard_normal((64, 3, 224, 224), dtype=np.float32)
    assert client.stage(input=images).sha256["input"] == hashlib.sha256(images.tobytes()).hexdigest()
    expected = perceptron.forward("images", {"input": images}, perceptron.weights("images"))
    np.testing.assert_allclose(
        tensor(client.bench.Check(wire.CheckRequest())), expected, rtol=1e-3, atol=1e-4
    )


def test_a_run_tells_every_end_inside_the_clients_own_bracket(client):
    client.loaded()
    before_ns = time.monotonic_ns()
    stream = client.bench.Run(wire.RunRequest(progress_s=0.05))
    events = [next(stream) for _ in range(4)]
    assert client.bench.Stop(wire.StopRequest()).running
    events += list(stream)
    after_ns = time.monotonic_ns()
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert set(kinds[1:-1]) == {"progress"}
    stamps = [
        before_ns,
        events[0].started.monotonic_ns,
        *ends(events),
        events[-1].finished.monotonic_ns,
        after_ns,
    ]
    assert all(first <= second for first, second in itertools.pairwise(stamps))
    assert np.all(np.diff(ends(events)) > 0)
    assert events[-1].finished.iterations == len(ends(events)) > 10
    assert events[-1].finished.reason == "stopped"


def test_a_run_ends_at_its_iterations(client):
    client.loaded()
    events = list(client.bench.Run(wire.RunRequest(max_iterations=25)))
    assert events[-1].finished.iterations == len(ends(events)) == 25
    assert events[-1].finished.reason == "cap"


def test_a_run_ends_at_its_seconds(client):
    client.loaded()
    events = list(client.bench.Run(wire.RunRequest(cap_s=0.2)))
    assert events[-1].finished.reason == "cap"
    assert events[-1].finished.monotonic_ns - events[0].started.monotonic_ns >= 0.2e9


def test_the_newest_outputs_are_kept_at_every_kth_iteration(client):
    batch = client.loaded()
    list(client.bench.Run(wire.RunRequest(max_iterations=25, keep_every=4, keep_max=3)))
    kept = list(client.bench.Kept(wire.KeptRequest()))
    assert [part.iteration for part in kept] == [15, 19, 23]
    expected = perceptron.forward("perceptron", {"input": batch}, perceptron.weights("perceptron"))
    for part in kept:
        np.testing.assert_allclose(tensor([part.chunk]), expected, rtol=1e-5)


def test_a_run_that_keeps_nothing_has_nothing_kept(client):
    client.loaded()
    list(client.bench.Run(wire.RunRequest(max_iterations=3, keep_every=1, keep_max=2)))
    list(client.bench.Run(wire.RunRequest(max_iterations=3)))
    assert not list(client.bench.Kept(wire.KeptRequest()))


def test_cancelling_ends_the_loop(client, eventually):
    client.loaded()
    stream = client.bench.Run(wire.RunRequest())
    next(stream)
    stream.cancel()

    def idle() -> bool:
        # A load is refused while the run is on; Stop would end it by itself.
        try:
            client.loaded()
        except grpc.RpcError:
            return False
        return True

    assert eventually(idle)
    assert list(client.bench.Run(wire.RunRequest(max_iterations=1)))[-1].finished.iterations == 1


def test_a_run_follows_at_once_on_one_that_was_cancelled(client):
    client.loaded()
    for _ in range(20):
        stream = client.bench.Run(wire.RunRequest())
        next(stream)
        assert client.bench.Stop(wire.StopRequest()).running
        assert list(client.bench.Run(wire.RunRequest(max_iterations=2)))[-1].finished.iterations == 2
        assert list(stream)[-1].finished.reason == "stopped"


def test_what_would_disturb_a_run_is_refused_and_what_asks_is_answered(client):
    client.loaded()
    stream = client.bench.Run(wire.RunRequest())
    next(stream)
    for disturb in (
        client.load,
        lambda: list(client.bench.Check(wire.CheckRequest())),
        lambda: list(client.bench.Run(wire.RunRequest())),
        lambda: client.stage(input=np.zeros((4, 64), np.float32)),
        lambda: client.bench.Unload(wire.UnloadRequest()),
        lambda: list(client.bench.Kept(wire.KeptRequest())),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            disturb()
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "Stop" in raised.value.details() or "no run" in raised.value.details()
    assert client.bench.Describe(wire.DescribeRequest()).runtime == "perceptron"
    client.bench.Stop(wire.StopRequest())
    assert list(stream)[-1].finished.reason == "stopped"


def test_stop_says_whether_anything_ran(client):
    assert not client.bench.Stop(wire.StopRequest()).running


def test_unload_frees_and_says_whether_there_was_anything(client):
    client.loaded()
    assert client.bench.Unload(wire.UnloadRequest()).unloaded
    assert not client.bench.Unload(wire.UnloadRequest()).unloaded
    with pytest.raises(grpc.RpcError) as raised:
        list(client.bench.Check(wire.CheckRequest()))
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_prepare_and_convert_write_into_the_outbox(client, server):
    (server.models / "canonical").mkdir(exist_ok=True)
    (server.models / "canonical" / "weights.bin").write_bytes(b"weights")
    np.savez(server.models / "photographs.npz", input=np.ones(3))
    made = client.bench.Prepare(
        wire.PrepareRequest(model="perceptron", seed=0, calibration_file="photographs.npz", threads=2)
    )
    written = (server.outbox / made.path).read_bytes()
    assert made.sha256 == hashlib.sha256(written).hexdigest()
    assert b'"seed": 0, "from": "None", "calibration": ["input"], "threads": 2' in written
    assert made.parameters == 12
    converted = client.bench.Convert(
        wire.ConvertRequest(model="perceptron", weights_file="canonical/weights.bin", threads=1)
    )
    assert converted.path == "deep/perceptron.onnx"
    assert (server.outbox / converted.path).read_bytes() == b"weightsweights"
    assert converted.sha256 == hashlib.sha256(b"weightsweights").hexdigest()
    assert (converted.opset, converted.size_bytes, converted.exporter) == (17, 14, "double")
