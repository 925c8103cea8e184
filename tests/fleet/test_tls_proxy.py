"""Mutual TLS, tried by clients that hold the certificates, hold none, or hold somebody else's."""

import gc
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenbench.bench.serve import check_address
from greenbench.core.errors import ConfigurationError
from greenbench.fleet.certificates import make_certificates, server_context
from greenbench.fleet.proxy import split_endpoint
from greenbench.fleet.tls_proxy import TlsProxy
from greenbench_wire import inference_pb2, inference_pb2_grpc


def certificates(folder: Path, now: datetime | None = None) -> Path:
    make_certificates(folder, ("localhost", "127.0.0.1"), days=1, now=now or datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("tls") / "certs")


@pytest.fixture
def door(standing, certs) -> Iterator[TlsProxy]:
    target = Path(standing.address.removeprefix("unix:"))
    with TlsProxy("127.0.0.1:0", target, server_context(certs)) as proxy:
        yield proxy


def channel(address: str, trusts: Path, shows: Path | None) -> grpc.Channel:
    key = (shows / "client-key.pem").read_bytes() if shows else None
    chain = (shows / "client.pem").read_bytes() if shows else None
    return grpc.secure_channel(
        address, grpc.ssl_channel_credentials((trusts / "ca.pem").read_bytes(), key, chain)
    )


def asked(opened: grpc.Channel, timeout_s: float = 3) -> grpc.StatusCode:
    """Status of one health check: OK only where the runtime itself answered SERVING."""
    with opened:
        try:
            answer = health_pb2_grpc.HealthStub(opened).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
        except grpc.RpcError as error:
            return error.code()
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    return grpc.StatusCode.OK


def test_a_client_with_its_certificate_is_served(door, certs):
    for _ in range(3):
        assert asked(channel(door.address, certs, certs)) is grpc.StatusCode.OK


def test_a_client_without_a_certificate_is_refused(door, certs):
    assert asked(channel(door.address, certs, None)) is grpc.StatusCode.UNAVAILABLE


def test_a_client_of_another_authority_is_refused(door, certs, tmp_path):
    other = certificates(tmp_path / "other")
    assert asked(channel(door.address, certs, other)) is grpc.StatusCode.UNAVAILABLE


def test_a_server_certificate_is_none_of_a_client(door, certs, tmp_path):
    for name in ("client.pem", "client-key.pem"):
        (tmp_path / name).write_bytes((certs / name.replace("client", "server")).read_bytes())
    assert asked(channel(door.address, certs, tmp_path)) is grpc.StatusCode.UNAVAILABLE


def test_an_ended_certificate_is_refused(standing, tmp_path):
    ended = certificates(tmp_path / "ended", datetime.now(UTC) - timedelta(days=3))
    target = Path(standing.address.removeprefix("unix:"))
    with TlsProxy("127.0.0.1:0", target, server_context(ended)) as proxy:
        assert asked(channel(proxy.address, ended, ended)) is grpc.StatusCode.UNAVAILABLE


def test_a_client_without_tls_is_refused(door):
    assert asked(grpc.insecure_channel(door.address)) is grpc.StatusCode.UNAVAILABLE


def test_a_client_does_not_take_another_server_for_this_one(door, certs, tmp_path):
    other = certificates(tmp_path / "other")
    assert asked(channel(door.address, other, certs)) is grpc.StatusCode.UNAVAILABLE


def test_tls_1_2_is_refused(door, certs):
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.load_cert_chain(certs / "client.pem", certs / "client-key.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(split_endpoint(door.address), timeout=10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_who_has_no_certificate_gets_not_one_byte_of_the_runtime(door, certs):
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(split_endpoint(door.address), timeout=10) as plain,
        # In TLS 1.3 a client believes the handshake done before the server has refused it.
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        try:
            got = wrapped.recv(1)
        except (ssl.SSLError, ConnectionError):
            got = b""
    assert got == b""


def test_large_messages_pass_both_ways(door, certs):
    with channel(door.address, certs, certs) as opened:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(opened)
        request = inference_pb2.ModelInferRequest(model_name="none")
        request.raw_input_contents.append(np.zeros(1 << 19, dtype=np.float32).tobytes())
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request, timeout=20)
    # The runtime's own answer: the message came through whole.
    assert raised.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED)


def test_closing_leaves_no_thread_and_no_descriptor(standing, certs):
    target, process = Path(standing.address.removeprefix("unix:")), psutil.Process()
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certs / "client.pem", certs / "client-key.pem")
    held: list[tuple[int, int]] = []
    for _ in range(6):
        with ExitStack() as client, TlsProxy("127.0.0.1:0", target, server_context(certs)) as proxy:
            plain = client.enter_context(socket.create_connection(split_endpoint(proxy.address), timeout=10))
            secret = client.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            secret.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            assert secret.recv(9)  # the runtime's own settings: the way is open until the proxy closes it
        held.append((process.num_fds(), threading.active_count()))
    assert held[-1] == held[1], held


def test_who_comes_while_it_closes_is_closed_too(standing, certs):
    """At any moment between the call and the handshake; what were left would be warned of when collected."""
    target = Path(standing.address.removeprefix("unix:"))
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certs / "client.pem", certs / "client-key.pem")
    ended: list[bool] = []

    def call(address: str) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            plain = socket.create_connection(split_endpoint(address), timeout=5)
            with plain, context.wrap_socket(plain, server_hostname="localhost") as secret:
                secret.recv(1)
        ended.append(True)

    for turn in range(20):
        with TlsProxy("127.0.0.1:0", target, server_context(certs)) as proxy:
            callers = [threading.Thread(target=call, args=(proxy.address,)) for _ in range(3)]
            for caller in callers:
                caller.start()
            time.sleep(turn * 0.0005)
        for caller in callers:
            caller.join()
    gc.collect()
    assert len(ended) == 20 * 3  # none was left hanging until its own limit


def test_a_context_that_lets_everybody_in_is_not_served(certs):
    lax = server_context(certs)
    lax.verify_mode = ssl.CERT_OPTIONAL
    with pytest.raises(ConfigurationError, match="require clients' certificates"):
        TlsProxy("127.0.0.1:0", certs, lax)


def test_a_port_that_is_taken_is_one_line(certs):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        proxy = TlsProxy(f"127.0.0.1:{holder.getsockname()[1]}", certs, server_context(certs))
        with pytest.raises(ConfigurationError, match="cannot listen on"), proxy:
            pass


@pytest.mark.parametrize("address", ["0.0.0.0:8001", "192.0.2.7:8001", "gpu.example.org:8001", "[::]:8001"])
def test_serve_off_the_host_asks_for_certificates_first(address, certs):
    with pytest.raises(ConfigurationError, match=r"not on loopback.*--certs DIR"):
        check_address(address, None)
    check_address(address, certs)


def test_serve_refuses_certificates_it_would_not_use(certs):
    with pytest.raises(ConfigurationError, match="--certs goes with --address HOST:PORT"):
        check_address("unix:/run/x.sock", certs)
