"""The server as a process: addresses, signals, clients that vanish, engines that can't start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenbench_wire import benchmark_pb2 as wire

KILLED_CLIENT = """
import os, sys
import grpc
from greenbench_wire import benchmark_pb2 as wire, benchmark_pb2_grpc
stub = benchmark_pb2_grpc.BenchmarkStub(grpc.insecure_channel(sys.argv[1]))
stream = stub.Run(wire.RunRequest())
next(stream)
print("running", flush=True)
list(stream)
"""


def unix_socket(tmp_path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "grpc.sock"))
    return listener


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_the_server(start, connect, number):
    server = start().wait_ready()
    client = connect(server.address)
    client.loaded()
    stream = client.bench.Run(wire.RunRequest())
    next(stream)
    server.process.send_signal(number)
    assert list(stream)[-1].finished.reason == "stopped"
    assert server.wait_end() == 0
    assert server.lines == [f"serving perceptron at {server.address}"]


def test_a_signal_ends_a_server_whose_engine_hangs(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    client.loaded("hanging")
    next(client.bench.Run(wire.RunRequest()))
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_end(20) == 0


def test_health_says_not_serving_while_it_ends(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    watch = health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    server.process.send_signal(signal.SIGTERM)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()
    assert server.wait_end() == 0


@pytest.mark.parametrize("address", [None, "127.0.0.1:0"])
def test_the_next_client_is_served_when_one_is_killed_in_a_run(start, connect, eventually, address):
    server = start(address).wait_ready()
    client = connect(server.address)
    client.loaded()
    killed = subprocess.Popen([sys.executable, "-c", KILLED_CLIENT, server.address], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"running\n"
    with pytest.raises(grpc.RpcError, match="a run is in progress"):
        client.load()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert eventually(lambda: loads(client))
    assert server.stop() == 0


def loads(client) -> bool:
    try:
        client.load()
    except grpc.RpcError:
        return False
    return True


def test_a_stale_socket_is_taken_over(start, tmp_path):
    unix_socket(tmp_path).close()
    assert start().wait_ready().stop() == 0


def test_a_socket_that_answers_is_left_alone(start, tmp_path, connect):
    first = start().wait_ready()
    second = start()
    assert second.wait_end() == 2
    assert second.lines == [
        f"something already answers at socket {tmp_path}/grpc.sock; stop it or choose another address"
    ]
    assert connect(first.address).bench.Describe(wire.DescribeRequest()).runtime == "perceptron"


def test_a_port_that_is_taken_is_named(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start(f"127.0.0.1:{port}")
        assert server.wait_end() == 2
    (line,) = server.lines
    assert str(port) in line


def test_a_second_server_on_a_port_is_refused(start):
    first = start("127.0.0.1:0").wait_ready()
    second = start(first.address)
    assert second.wait_end() == 2
    assert len(second.lines) == 1


@pytest.mark.parametrize(
    "address",
    [
        "nowhere",
        "127.0.0.1:",
        ":5000",
        "127.0.0.1:70000",
        "::1:5000",
        "unix:/no/such/folder/x.sock",
        "unix:" + "/x" * 99,
    ],
)
def test_an_address_that_cannot_be_is_one_line(start, address):
    server = start(address)
    assert server.wait_end() == 2
    (line,) = server.lines
    assert line


def test_a_file_in_the_sockets_place_is_not_removed(start, tmp_path):
    (tmp_path / "grpc.sock").write_text("precious")
    server = start()
    assert server.wait_end() == 2
    assert "not a socket" in server.lines[0]
    assert (tmp_path / "grpc.sock").read_text() == "precious"


def test_a_framework_that_is_missing_is_named(start):
    server = start(engine="needy")
    assert server.wait_end() == 3
    (line,) = server.lines
    assert "framework_that_is_not_installed" in line


@pytest.mark.parametrize("engine", ["nobody", "..", "a.b"])
def test_an_engine_that_is_not_there(start, engine):
    server = start(engine=engine)
    assert server.wait_end() == 3
    assert server.lines == [f"there is no engine {engine!r} in this runtime"]


def test_an_outbox_that_cannot_be_made(start, tmp_path):
    (tmp_path / "outbox").write_text("a file")
    server = start()
    assert server.wait_end() == 2
    assert str(tmp_path / "outbox") in server.lines[0]


def test_a_lost_gpu_context_ends_the_process_and_a_new_one_serves(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    client.loaded("lost")
    with pytest.raises(grpc.RpcError) as raised:
        list(client.bench.Run(wire.RunRequest()))
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "an illegal memory access was encountered" in raised.value.details()
    assert raised.value.details().endswith("this runtime ends, start it again")
    assert server.wait_end(20) == 4
    assert any("illegal memory access" in line for line in server.lines)
    again = connect(start().wait_ready().address)
    again.loaded()
    assert list(again.bench.Check(wire.CheckRequest()))


def test_a_full_gpu_memory_fails_the_run_and_the_process_serves_on(start, connect):
    server = start().wait_ready()
    client = connect(server.address)
    client.loaded("starved")
    with pytest.raises(grpc.RpcError) as raised:
        list(client.bench.Run(wire.RunRequest()))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "Tried to allocate 20.00 MiB" in raised.value.details()
    client.loaded()
    assert list(client.bench.Check(wire.CheckRequest()))
    assert server.stop() == 0
