"""The gRPC server of one runtime: both services, health, reflection, one address."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from greenbench_runtime.folders import ModelsFolder
from greenbench_runtime.inference import InferenceServicer
from greenbench_runtime.parsing import ParsingInterceptor
from greenbench_runtime.servicer import BenchmarkServicer
from greenbench_runtime.session import Session
from greenbench_runtime.statuses import StatusInterceptor
from greenbench_wire import benchmark_pb2, benchmark_pb2_grpc, inference_pb2, inference_pb2_grpc

MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024
"""Largest message either way; a batch of 64 images is 38.5 MB."""

DRAIN_S = 2.0
"""How long calls in progress may go on once the server ends, seconds."""

LONGEST_SOCKET_PATH = 107
"""Bytes that Linux allows for the path of a Unix socket."""

# Threads come when needed. A run holds one, calls that wait for the engine hold one each.
_HANDLER_THREADS = 16
# Each health watch holds one; more of them wait and keep nobody else from being answered.
_WATCHER_THREADS = 4
_UNIX = "unix:"
_SERVICES = (
    benchmark_pb2.DESCRIPTOR.services_by_name["Benchmark"].full_name,
    inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name,
)


class AddressError(Exception):
    """An address that can't be served; one line that names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a server listens, reads and writes.

    Attributes:
        address: ``unix:PATH`` or ``HOST:PORT``; port 0 takes a free one.
        models: Folder that requests' files are in.
        outbox: Folder that made files are written to.
    """

    address: str
    models: Path
    outbox: Path


@contextmanager
def serving(session: Session, places: Places, *, on_lost_context: Callable[[], None]) -> Iterator[str]:
    """Serve a session while the context is open.

    Args:
        session: Does the work.
        places: Where to listen, read and write.
        on_lost_context: Called from a handler's thread once the GPU is lost to this process.

    Yields:
        The address, with the port that was taken.

    Raises:
        AddressError: Address or outbox can't be had.
    """
    _make_outbox(places.outbox)
    server = _server(on_lost_context)
    watchers = ThreadPoolExecutor(max_workers=_WATCHER_THREADS, thread_name_prefix="watcher")
    # The library's other way sends under a lock that the end of a call takes in gRPC's only polling thread:
    # a client that goes away in the wrong moment then stops the whole server.
    states = health.HealthServicer(experimental_non_blocking=False, experimental_thread_pool=watchers)
    _add_services(server, session, places, states)
    address = _listen(server, places.address)
    server.start()
    try:
        for service in ("", *_SERVICES):
            states.set(service, health_pb2.HealthCheckResponse.SERVING)
        yield address
    finally:
        states.enter_graceful_shutdown()
        session.stop_run()
        server.stop(DRAIN_S).wait()
        watchers.shutdown(wait=False)


def _server(on_lost_context: Callable[[], None]) -> grpc.Server:
    return grpc.server(
        ThreadPoolExecutor(max_workers=_HANDLER_THREADS, thread_name_prefix="handler"),
        interceptors=[ParsingInterceptor(), StatusInterceptor(on_lost_context)],
        options=[
            ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
            ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
            # Two servers on one port would share its clients without a word.
            ("grpc.so_reuseport", 0),
            # A ping after each message would wake both sides beside a measured loop.
            ("grpc.http2.bdp_probe", 0),
        ],
    )


def _add_services(
    server: grpc.Server, session: Session, places: Places, states: health.HealthServicer
) -> None:
    benchmark = BenchmarkServicer(session, models=ModelsFolder(places.models), outbox=places.outbox)
    benchmark_pb2_grpc.add_BenchmarkServicer_to_server(benchmark, server)
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(InferenceServicer(session), server)
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)


def _listen(server: grpc.Server, address: str) -> str:
    if address.startswith(_UNIX):
        _require_free_socket(Path(address.removeprefix(_UNIX)))
        _bind(server, address)
        return address
    host, _ = _host_and_port(address)
    _require_free_port(address)
    return f"{host}:{_bind(server, address)}"


def _bind(server: grpc.Server, address: str) -> int:
    try:
        port = int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise AddressError(f"cannot listen at {address}: {error}") from error
    if not port:
        raise AddressError(f"cannot listen at {address}; choose another address")
    return port


def _require_free_socket(path: Path) -> None:
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise AddressError(
            f"socket path {path} is longer than {LONGEST_SOCKET_PATH} bytes; choose a shorter one"
        )
    if not path.parent.is_dir():
        raise AddressError(f"folder {path.parent} of the socket does not exist; make it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise AddressError(f"folder {path.parent} of the socket may not be written; check its owner")
    if path.exists() or path.is_symlink():
        _remove_stale_socket(path)


def _remove_stale_socket(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise AddressError(f"{path} is not a socket; choose another address")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise AddressError(f"socket {path} cannot be probed: {error.strerror}; remove it") from error
    raise AddressError(f"something already answers at socket {path}; stop it or choose another address")


def _require_free_port(address: str) -> None:
    host, port = _host_and_port(address)
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a connection that has just ended is no reason to refuse.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise AddressError(
            f"port {port} at {host} cannot be had: {error.strerror}; choose another"
        ) from error


def _host_and_port(address: str) -> tuple[str, int]:
    host, separator, port = address.rpartition(":")
    bare = host.startswith("[") == host.endswith("]") and (":" not in host or host.startswith("["))
    if not (separator and host and bare and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise AddressError(f"address {address!r} is neither unix:PATH nor HOST:PORT")
    return host, int(port)


def _make_outbox(outbox: Path) -> None:
    try:
        outbox.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AddressError(
            f"outbox {outbox} cannot be made: {error.strerror}; choose another folder"
        ) from error
