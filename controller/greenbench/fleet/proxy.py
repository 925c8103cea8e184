"""A TCP door on loopback to a sealed container's Unix socket, for `serve`."""

import ipaddress
import socket
import socketserver
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from greenbench.core.errors import ConfigurationError

_BLOCK_BYTES = 1 << 18


def parse_endpoint(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, where the host is on loopback.

    Raises:
        ConfigurationError: Another form, a port out of range, or a host that others could reach.
    """
    host, port = split_endpoint(address)
    if not _is_loopback(host):
        raise ConfigurationError(
            f"address {address!r} is not on loopback; a runtime has no authentication, so serve on "
            "127.0.0.1 and forward the port by ssh, or add --certs DIR (made by `greenbench certs DIR`)"
        )
    return host, port


def split_endpoint(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, wherever the host is.

    Raises:
        ConfigurationError: Another form, or a port out of range.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ConfigurationError(f"address {address!r} is not HOST:PORT; an example is 127.0.0.1:8001")
    return "127.0.0.1" if host == "localhost" else host.strip("[]"), int(port)


def written_endpoint(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Bridge(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        """Carry bytes both ways until either side closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inner:
            try:
                inner.connect(str(self.server.target))
            except OSError:
                return
            back = threading.Thread(target=_pump, args=(inner, self.request), daemon=True)
            back.start()
            _pump(self.request, inner)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(_BLOCK_BYTES):
            sink.sendall(block)
    except OSError:
        pass  # a side that vanished ends the pair, as a side that closed does
    finally:
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, endpoint: tuple[str, int], target: Path) -> None:
        self.target = target
        if ":" in endpoint[0]:
            self.address_family = socket.AF_INET6
        super().__init__(endpoint, _Bridge)


class TcpProxy:
    """Listens on a loopback endpoint while entered; every connection reaches one Unix socket."""

    def __init__(self, address: str, target: Path) -> None:
        """Prepare a proxy; it listens once entered.

        Args:
            address: ``HOST:PORT`` on loopback; port 0 takes a free one.
            target: The Unix socket.

        Raises:
            ConfigurationError: `address` is malformed or not on loopback.
        """
        self._endpoint = parse_endpoint(address)
        self._target = target
        self._server: _Server | None = None

    @property
    def address(self) -> str:
        """Where it listens, with the port that was taken."""
        host, port = self._server.server_address[:2] if self._server else self._endpoint
        return written_endpoint(str(host), port)

    def __enter__(self) -> Self:
        try:
            self._server = _Server(self._endpoint, self._target)
        except OSError as error:
            host, port = self._endpoint
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; name another port with --address"
            ) from error
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
