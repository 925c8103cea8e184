"""A TCP door with mutual TLS to a sealed container's Unix socket, for `serve` off the host."""

import asyncio
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from greenbench.core.errors import ConfigurationError
from greenbench.fleet.proxy import split_endpoint, written_endpoint

_BLOCK_BYTES = 1 << 18
_HANDSHAKE_S = 10.0
"""Longest handshake, seconds: who connects and says nothing holds a descriptor no longer."""

_LAST_CALLS_S = 0.05
"""For what asyncio still has to close of clients that were refused, seconds."""

_GOODBYE_S = 0.5
"""Longest wait for a peer's end of a connection that closes, seconds."""


class TlsProxy:
    """Listens while entered; only who shows a certificate of the same authority reaches the socket.

    One event loop in one thread: a TLS connection may not be read and written from two.
    """

    def __init__(self, address: str, target: Path, context: ssl.SSLContext) -> None:
        """Prepare a proxy; it listens once entered.

        Args:
            address: ``HOST:PORT``, any host; port 0 takes a free one.
            target: The Unix socket.
            context: A server's, which asks clients for a certificate.

        Raises:
            ConfigurationError: `address` is malformed, or `context` lets clients in without a certificate.
        """
        if context.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigurationError("a server off the host must require clients' certificates")
        self._endpoint = split_endpoint(address)
        self._target = target
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Future[None]] = set()
        self._closing = False

    @property
    def address(self) -> str:
        """Where it listens, with the port that was taken."""
        place = self._server.sockets[0].getsockname()[:2] if self._server else self._endpoint
        return written_endpoint(*place)

    def __enter__(self) -> Self:
        host, port = self._endpoint
        self._thread.start()
        listening = asyncio.start_server(
            self._carry,
            host,
            port,
            ssl=self._context,
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=_GOODBYE_S,
        )
        try:
            self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        except OSError as error:
            self._end_loop()
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; name another address with --address"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._closing = True
        if self._server is not None:
            # Asyncio loses whom it has accepted and not yet given a transport when the server closes.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            await asyncio.sleep(_LAST_CALLS_S)
            self._server.close()
        for way in self._ways:
            way.cancel()
        # What carries a connection sees its ways end, closes both sides and ends by itself. A client that was
        # accepted at the last moment, or is done with its handshake only now, brings one more of them.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(_LAST_CALLS_S)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either side closes."""
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            await _closed(writer)
            return
        if self._closing:
            await _closed(writer, inner_writer)
            return
        ways = {
            asyncio.ensure_future(_pump(reader, inner_writer)),
            asyncio.ensure_future(_pump(inner_reader, writer)),
        }
        self._ways |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self._ways -= ways
        await _closed(writer, inner_writer)


async def _closed(*sides: asyncio.StreamWriter) -> None:
    for side in sides:
        side.close()
    for side in sides:
        with suppress(OSError, TimeoutError):  # a peer that says no goodbye
            await asyncio.wait_for(side.wait_closed(), 2 * _GOODBYE_S)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while block := await source.read(_BLOCK_BYTES):
            sink.write(block)
            await sink.drain()
    except OSError:
        return  # a side that vanished ends the pair, as a side that closed does
