import socket
from pathlib import Path

import pytest

from greenbench.core.errors import ConfigurationError
from greenbench.fleet.client import RuntimeClient
from greenbench.fleet.proxy import TcpProxy, parse_endpoint


def test_calls_pass_through_both_ways(standing):
    with TcpProxy("127.0.0.1:0", Path(standing.address.removeprefix("unix:"))) as proxy:
        assert not proxy.address.endswith(":0")
        for _ in range(2):
            with RuntimeClient(proxy.address) as client:
                assert client.describe().runtime == "fake"


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=rf"cannot listen on 127.0.0.1:{port}: .*another port"),
            TcpProxy(f"127.0.0.1:{port}", tmp_path),
        ):
            pass


@pytest.mark.parametrize("address", ["0.0.0.0:80", "example.org:80", "[::]:80", "10.0.0.1:9"])
def test_a_host_that_others_reach_is_refused(address):
    with pytest.raises(ConfigurationError, match="not on loopback"):
        parse_endpoint(address)


@pytest.mark.parametrize("address", ["8001", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":80"])
def test_another_form_is_refused(address):
    with pytest.raises(ConfigurationError, match="is not HOST:PORT"):
        parse_endpoint(address)


def test_loopback_has_three_spellings():
    assert parse_endpoint("localhost:1") == ("127.0.0.1", 1)
    assert parse_endpoint("127.0.0.2:1") == ("127.0.0.2", 1)
    assert parse_endpoint("[::1]:1") == ("::1", 1)


def test_a_socket_that_nobody_serves_closes_the_connection(tmp_path):
    with TcpProxy("127.0.0.1:0", tmp_path / "none.sock") as proxy:
        host, port = parse_endpoint(proxy.address)
        with socket.create_connection((host, port), timeout=10) as connection:
            assert connection.recv(1) == b""
