"""A Docker Engine that goes away while it is asked: a server of a few lines on a Unix socket stands in."""

import gc
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import docker
import grpc
import pytest

from greenbench.core.errors import EngineUnavailableError
from greenbench.fleet import docker_engine
from greenbench.fleet.channel import CallErrors
from greenbench.fleet.container import ContainerInstance
from greenbench.fleet.launcher import Build

# The SDK leaves a socket open where it cannot connect; the collector closes it, with this warning.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONTAINER = {"Id": "c" * 12, "State": {"Pid": 7, "Running": True}, "Config": {"Tty": False}}


class Answers(BaseHTTPRequestHandler):
    """Says what a running engine with one container says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200, {"ApiVersion": "1.44"} if self.path.endswith("/version") else CONTAINER)

    def do_POST(self) -> None:
        self._say(204, None)

    def _say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode() if content else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Stopping(grpc.RpcError, grpc.Call):
    """The wire as it breaks when a runtime is gone; the abstract rest of a call is never asked."""

    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def details(self):
        return "Socket closed"


Stopping.__abstractmethods__ = frozenset()


@pytest.fixture
def place(state) -> Path:
    state.create()
    return state.root / "docker.sock"


@pytest.fixture
def server(place) -> Iterator[Server]:
    with Server(str(place), Answers) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


@pytest.fixture
def client(server, place) -> Iterator[docker.DockerClient]:
    asking = docker_engine._client(f"unix://{place}")
    yield asking
    asking.close()


@pytest.fixture
def instance(client) -> Iterator[ContainerInstance]:
    build = Build(
        runtime="fake", device="cpu", launcher="docker", identity="x", requirements_sha256="0",
        python="3.11", packages={}, log_path=None, reused=True, elapsed_s=0.0,
    )  # fmt: skip
    yield ContainerInstance(client.containers.get("c"), address="unix:/none", build=build)
    gc.collect()


def test_a_living_engine_is_asked_as_ever(instance):
    assert instance.pid == 7
    assert instance.exit_state() is None


def test_an_engine_that_went_away_is_one_line_with_the_remedy(instance, place):
    place.unlink()
    for ask in (instance.exit_state, instance.stop):
        with pytest.raises(EngineUnavailableError, match=r"went away.*goes on with --resume") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert instance.log_tail() == ()


def test_a_wire_that_broke_with_the_engine_is_no_fault_of_the_runtime(instance, place):
    place.unlink()
    errors = CallErrors("fake", instance)
    told = errors.translate(Stopping(), call="Run", deadline_s=None)
    assert isinstance(told, EngineUnavailableError)
    assert isinstance(errors.timeout("Stop", 1.0), EngineUnavailableError)
