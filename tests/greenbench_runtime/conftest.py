import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import grpc
import numpy as np
import pytest

DOUBLES = Path(__file__).parent / "doubles"
sys.path.insert(0, str(DOUBLES))

from greenbench_wire import benchmark_pb2 as wire  # noqa: E402
from greenbench_wire import benchmark_pb2_grpc, inference_pb2_grpc  # noqa: E402

LIMIT_BYTES = 256 * 1024 * 1024


class ServerProcess:
    """A runtime in a process of its own, over a real socket."""

    def __init__(
        self, folder: Path, address: str, *, engine: str = "perceptron", device: str = "cpu"
    ) -> None:
        self.models, self.outbox = folder / "models", folder / "outbox"
        self.models.mkdir(exist_ok=True)
        places = ("--models", str(self.models), "--outbox", str(self.outbox))
        served = ("--engine", engine, "--address", address, "--device", device)
        self.process = subprocess.Popen(
            [sys.executable, str(DOUBLES / "serve.py"), *served, *places], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self.address = address
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("serving "):
                self.address = line.split(" at ")[1].strip()
                self._ready.set()
        self._ready.set()

    def wait_ready(self) -> Self:
        assert self._ready.wait(30)
        assert self.lines[-1].startswith("serving "), self.lines
        return self

    def wait_end(self, seconds: float = 30) -> int:
        status = self.process.wait(seconds)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_end()


class Client:
    """Raw stubs to one server."""

    def __init__(self, address: str) -> None:
        options = [
            ("grpc.max_send_message_length", LIMIT_BYTES),
            ("grpc.max_receive_message_length", LIMIT_BYTES),
        ]
        options.append(("grpc.use_local_subchannel_pool", 1))
        self.channel = grpc.insecure_channel(address, options=options)
        self.bench = benchmark_pb2_grpc.BenchmarkStub(self.channel)
        self.infer = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def load(self, model: str = "perceptron", **changed: object) -> wire.LoadResponse:
        request = {
            "model": model, "batch_size": 4, "precision": "fp32", "mode": "default", "weights": "matched",
            "device": "cpu", "threads": 1, "io": "device",
        }  # fmt: skip
        return self.bench.Load(wire.LoadRequest(**(request | changed)))

    def stage(self, **inputs: np.ndarray) -> wire.StageResponse:
        return self.bench.Stage(iter(list(stage_requests(inputs))))

    def loaded(self, model: str = "perceptron") -> np.ndarray:
        """Load and stage a batch of 4; return it."""
        self.load(model)
        batch = np.random.default_rng(3).standard_normal((4, 64), dtype=np.float32)
        self.stage(input=batch)
        return batch


DATATYPES = {"float32": "FP32", "int64": "INT64", "int32": "INT32", "float16": "FP16", "float64": "FP64"}


def stage_requests(inputs: dict[str, np.ndarray], size: int = 4 * 1024 * 1024) -> Iterator[wire.StageRequest]:
    for name, array in inputs.items():
        spec = wire.TensorSpec(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
        data = array.tobytes()
        for start in range(0, len(data), size):
            chunk = wire.TensorChunk(
                spec=None if start else spec, data=data[start : start + size], last=start + size >= len(data)
            )
            yield wire.StageRequest(chunk=chunk)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers, on a Unix socket unless told otherwise, and ends them after the test."""
    started: list[ServerProcess] = []

    def begin(address: str | None = None, **options: str) -> ServerProcess:
        started.append(ServerProcess(tmp_path, address or f"unix:{tmp_path}/grpc.sock", **options))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            os.kill(server.process.pid, signal.SIGKILL)
            server.wait_end()


@pytest.fixture(scope="module", params=["unix", "tcp"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """One server for a module's tests, over each kind of address."""
    folder = tmp_path_factory.mktemp("server")
    address = f"unix:{folder}/grpc.sock" if request.param == "unix" else "127.0.0.1:0"
    process = ServerProcess(folder, address).wait_ready()
    yield process
    assert process.stop() == 0


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    """A client of the module's server; leaves nothing loaded."""
    client = Client(server.address)
    yield client
    client.bench.Stop(wire.StopRequest())
    client.bench.Unload(wire.UnloadRequest())
    client.channel.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    """Makes clients and closes them."""
    clients: list[Client] = []

    def to(address: str) -> Client:
        clients.append(Client(address))
        return clients[-1]

    yield to
    for client in clients:
        client.channel.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Asks again and again until something is so."""

    def ask(question: Callable[[], bool]) -> bool:
        give_up_s = time.monotonic() + 20
        while not (answer := question()) and time.monotonic() < give_up_s:
            time.sleep(0.01)
        return answer

    return ask
