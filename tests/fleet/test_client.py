import time

import numpy as np
import pytest

from greenbench.core.errors import ConfigurationError, RuntimeCallError, RuntimeDiedError, RuntimeTimeoutError
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.readiness import wait_ready


def load(client: RuntimeClient, model: str = "tiny", **more: float) -> object:
    return client.load(model=model, batch_size=2, mode="plain", device="cpu", threads=1, **more)


def test_describe_and_load_return_plain_types(client):
    description = client.describe()
    assert (description.runtime, description.modes, description.physical_cores) == ("fake", ("plain",), 2)
    assert description.devices[0].memory_bytes == 7
    facts = load(client)
    assert facts.inputs[0].shape == (2, 3)
    assert facts.flags == {"tf32": "off"}
    assert facts.nodes_per_provider == {"cpu": 4}


def test_prepare_names_seed_or_file(client):
    assert client.prepare(model="tiny", seed=0, threads=1).path == "tiny-seed-0"
    assert client.prepare(model="tiny", weights_file="w", threads=1).path == "tiny-w"
    assert client.convert(model="tiny", weights_file="w", threads=1).opset == 18


def test_inputs_of_a_large_batch_come_back_bit_by_bit(client):
    load(client)
    images = np.random.default_rng(1).standard_normal((64, 3, 224, 224), dtype=np.float32)
    tokens = np.arange(12, dtype=np.int64).reshape(3, 4).T
    client.stage({"images": images, "tokens": tokens})
    outputs = client.check()
    np.testing.assert_array_equal(outputs["echo_images"], images)
    np.testing.assert_array_equal(outputs["echo_tokens"], tokens)


def test_inputs_that_arrive_changed_are_refused(client):
    load(client, "spoil")
    with pytest.raises(RuntimeCallError, match="received other bytes of input 'x'"):
        client.stage({"x": np.zeros(3, np.float32)})


def test_a_type_that_the_wire_does_not_know_is_named(client):
    with pytest.raises(ConfigurationError, match="input 'x' has type float64"):
        client.stage({"x": np.zeros(3)})


def test_half_a_tensor_is_an_error(client):
    load(client, "half")
    client.stage({"x": np.zeros(4, np.float32)})
    with pytest.raises(RuntimeCallError, match="only a part of tensor 'echo_x'"):
        client.check()


def test_a_refusal_carries_code_and_sentence(client):
    with pytest.raises(
        RuntimeCallError, match=r"fake refused Load: unknown model 'refuse'.*INVALID_ARGUMENT"
    ) as caught:
        load(client, "refuse")
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_death_while_loading_is_told_with_status_and_last_lines(mortal):
    with pytest.raises(
        RuntimeDiedError, match=r"died during Load with exit status 137.*about to die"
    ) as caught:
        load(mortal, "die")
    assert caught.value.exit_status_of_runtime == 137
    assert caught.value.log_tail[-1] == "about to die"


def test_a_hang_while_loading_is_told_with_the_deadline(mortal):
    with pytest.raises(RuntimeTimeoutError, match=r"did not answer Load within 0.5 s.*about to hang"):
        load(mortal, "hang", deadline_s=0.5)


def test_another_schema_is_one_clear_line(start):
    old = start("old")
    wait_ready(old, deadline_s=30)
    with (
        RuntimeClient(old.address, instance=old) as client,
        pytest.raises(RuntimeCallError, match=r"another version.*greenbench up"),
    ):
        client.describe()


def test_a_run_goes_on_until_stopped_and_tells_every_iteration(client):
    load(client)
    with client.run(progress_s=0.05) as stream:
        before_ns = time.monotonic_ns()
        assert stream.wait(0.4)
        early = stream.ends_ns()
        summary = stream.stop()
    assert stream.started_ns < before_ns + 1e9
    assert 0 < len(early) < summary.iterations == len(summary.ends_ns)
    assert (np.diff(summary.ends_ns) > 0).all()
    assert summary.started_ns < summary.ends_ns[0]
    assert summary.ends_ns[-1] <= summary.finished_ns
    assert summary.reason == "stopped"


def test_a_capped_run_ends_by_itself(client):
    with client.run(max_iterations=5) as stream:
        assert not stream.wait(30)
        assert stream.stop().reason == "cap"
    assert len(stream.ends_ns()) == 5


def test_leaving_a_run_by_an_error_cancels_it(client):
    def interrupted() -> None:
        with client.run() as stream:
            assert stream.started_ns
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert client.unload()


def test_lost_end_stamps_are_an_error(client):
    load(client, "lose")
    with client.run() as stream:
        stream.wait(0.1)
        with pytest.raises(RuntimeCallError, match="end stamps for"):
            stream.stop()


def test_a_death_while_running_reaches_who_waits(mortal):
    load(mortal, "die-running")
    with (
        mortal.run() as stream,
        pytest.raises(RuntimeDiedError, match="died during Run with exit status 137"),
    ):
        stream.wait(30)


def test_a_hang_while_running_reaches_who_waits_and_who_stops(mortal):
    load(mortal, "hang-running")
    with mortal.run(stall_s=0.2) as stream:
        with pytest.raises(RuntimeTimeoutError, match=r"progress of Run within 0.2 s"):
            stream.wait(0.5)
        with pytest.raises(RuntimeTimeoutError, match=r"Stop within 0.3 s"):
            stream.stop(deadline_s=0.3)


def test_kept_outputs_come_by_iteration(client):
    kept = client.kept()
    assert [one.iteration for one in kept] == [4, 9]
    np.testing.assert_array_equal(kept[1].outputs["output"], [9, 9, 9])


def test_nobody_at_the_address_is_a_call_error(tmp_path):
    with (
        RuntimeClient(f"unix:{tmp_path}/none.sock") as client,
        pytest.raises(RuntimeCallError, match="UNAVAILABLE"),
    ):
        client.describe(deadline_s=5)
