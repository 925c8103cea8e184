"""Sends hostile requests to a real runtime process: random, mutated, truncated, oversized.

`python -m campaigns.fuzz --python ENVIRONMENT/bin/python --models FOLDER`: 10,000 requests for each
service. Each must end in a status of its own; the process must live, answer a fair client
afterwards and hold no more than before. Prints a line per broken promise; status 1 where there is one.
"""

import argparse
import contextlib
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import psutil
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from campaigns.flatness import Watch, growth_table, judge
from greenbench_wire import benchmark_pb2, inference_pb2

SERVICES = {
    "Benchmark": benchmark_pb2.DESCRIPTOR.services_by_name["Benchmark"],
    "GRPCInferenceService": inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    "Health": health_pb2.DESCRIPTOR.services_by_name["Health"],
    "ServerReflection": reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
}
OVERSIZED_BYTES = 257 * 1024 * 1024
"""Just beyond the largest message that a runtime takes."""

ENGINE = "onnxruntime"
DEADLINE_S = 20.0
ENDLESS_S = 1.0
"""Deadline of calls that may go on as long as the client stays, seconds."""

MOST_BROKEN = 20
"""Broken promises after which a campaign ends: a server that hangs would take a deadline for each request."""

MOST_ANSWERS = 3
"""Answers read of a stream before it is cancelled."""

KNOWN_SHARE = 0.15
"""Share of requests that are made from ones that a server takes, where there are such."""

STRINGS = (
    *("", "mobilenet_v2", "resnet50", "bert_base", "perceptron", "cpu", "cuda", "fp32", "default", "matched"),
    *("device", "input", "output", "FP32", "weights/none"),
    *("../../etc/passwd", "/etc/passwd", "..", "a/../.."),
    *("x" * 70_000, "\x00", "\u202e\u0000", "%s%n%x", "${jndi:ldap://x}", "{0.__class__}", "' OR 1=1 --"),
)
NUMBERS = (0, 1, -1, 2, 4, 128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
REALS = (0.0, -1.0, 0.01, 1e308, float("inf"), float("-inf"), float("nan"), 5e-324)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was sent and found.

    Attributes:
        sent: Requests by service.
        statuses: How calls ended, by service and status.
        broken: One sentence for each broken promise.
    """

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class RequestMaker:
    """Makes requests of a method, hostile in a way that a seed decides."""

    def __init__(self, seed: int, known: Mapping[str, Sequence[bytes]]) -> None:
        """Prepare.

        Args:
            seed: Of everything.
            known: Requests that a server takes, by method: sent now and then, whole and damaged, so that
                others meet a server that has something loaded.
        """
        self.random = random.Random(seed)  # noqa: S311 - requests, not secrets
        self._known = known

    def requests(self, method: MethodDescriptor) -> list[bytes]:
        """Return what one call sends: one message, or some where the client streams."""
        known = self._known.get(method.name)
        if known and self.random.random() < KNOWN_SHARE:
            whole = self.random.random() < 0.5  # noqa: PLR2004 - half
            return [data if whole else self._damaged(data) for data in known]
        count = self.random.randint(0, 4) if method.client_streaming else 1
        return [self._one(method.input_type) for _ in range(count)]

    def _one(self, kind: Descriptor) -> bytes:
        way = self.random.random()
        if way < 0.2:  # noqa: PLR2004 - a fifth is noise
            return self.random.randbytes(self.random.choice((0, 1, 7, 64, 4096)))
        whole = self.message(kind).SerializeToString()
        return self._damaged(whole) if way < 0.5 else whole  # noqa: PLR2004 - three tenths are damaged

    def _damaged(self, whole: bytes) -> bytes:
        data = bytearray(whole)
        for _ in range(self.random.randint(1, 4)):
            if data:
                data[self.random.randrange(len(data))] = self.random.randrange(256)
        return bytes(data[: self.random.randint(0, len(data))])

    def message(self, kind: Descriptor, depth: int = 0) -> Any:
        """Return a message that parses, its fields filled from lists of hostile values."""
        made = message_factory.GetMessageClass(kind)()
        for item in kind.fields:
            if depth < 4 and self.random.random() < 0.7:  # noqa: PLR2004 - most fields, few levels
                self._fill(made, item, depth)
        return made

    def _fill(self, made: Any, item: FieldDescriptor, depth: int) -> None:
        times = self.random.randint(1, 3) if item.is_repeated else 1
        if item.message_type is not None:
            if item.message_type.GetOptions().map_entry:
                return
            for _ in range(times):
                target = getattr(made, item.name).add() if item.is_repeated else getattr(made, item.name)
                target.CopyFrom(self.message(item.message_type, depth + 1))
            return
        values = [self._value(item) for _ in range(times)]
        if item.is_repeated:
            getattr(made, item.name).extend(values)
        else:
            setattr(made, item.name, values[0])

    def _value(self, item: FieldDescriptor) -> Any:
        kinds = FieldDescriptor
        if item.cpp_type == kinds.CPPTYPE_STRING:
            data = self.random.randbytes(self.random.choice((0, 1, 16, 1024)))
            return data if item.type == kinds.TYPE_BYTES else self.random.choice(STRINGS)
        if item.cpp_type in (kinds.CPPTYPE_DOUBLE, kinds.CPPTYPE_FLOAT):
            real = self.random.choice(REALS)
            return real if item.cpp_type == kinds.CPPTYPE_DOUBLE else max(min(real, 3e38), -3e38)
        if item.cpp_type == kinds.CPPTYPE_BOOL:
            return self.random.random() < 0.5  # noqa: PLR2004 - either
        bits = 32 if item.cpp_type in (kinds.CPPTYPE_INT32, kinds.CPPTYPE_UINT32) else 64
        low = 0 if item.cpp_type in (kinds.CPPTYPE_UINT32, kinds.CPPTYPE_UINT64) else -(2 ** (bits - 1))
        return max(min(self.random.choice(NUMBERS), 2 ** (bits - 1) - 1), low)


class Fuzzer:
    """Sends requests to one server process and keeps what came of them."""

    def __init__(
        self,
        address: str,
        process: psutil.Process,
        *,
        seed: int,
        known: Mapping[str, Sequence[bytes]] = MappingProxyType({}),
    ) -> None:
        """Prepare.

        Args:
            address: The server's.
            process: The server's.
            seed: Of the requests.
            known: As in `RequestMaker`.
        """
        self._process = process
        self._maker = RequestMaker(seed, known)
        options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.insecure_channel(address, options=options)
        self.tally = Tally()
        self.watches = {name: Watch(process) for name in SERVICES}

    def until(self, requests: int, *, oversized: int, looks: int = 60) -> Tally:
        """Send so many requests to each service, then ask as a fair client."""
        for name, service in SERVICES.items():
            for number in range(requests):
                self._send(name, self._maker.random.choice(service.methods), None)
                if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
                    self.tally.broken.append(f"the process died at request {number} to {name}")
                    return self.tally
                if len(self.tally.broken) > MOST_BROKEN:
                    return self.tally
                if number % max(requests // looks, 1) == 0:
                    self.watches[name].look(number)
            for _ in range(oversized):
                self._send(name, service.methods[0], [bytes(OVERSIZED_BYTES)])
            self._fair(name)
            self._leaks(name)
        return self.tally

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()

    def _send(self, name: str, method: MethodDescriptor, requests: list[bytes] | None) -> None:
        sent = self._maker.requests(method) if requests is None else requests
        call = self._call(method)
        payload: Any = iter(sent) if method.client_streaming else sent[0]
        self.tally.sent[name] += 1
        # Both go on until the client goes away, if asked to: that is no hang.
        endless = method.name in {"Watch", "Run"}
        deadline_s = ENDLESS_S if endless else DEADLINE_S
        status, said = self._outcome(call(payload, timeout=deadline_s), endless=method.name == "Watch")
        self.tally.statuses[name, status.name] += 1
        broken = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}
        broken |= set() if endless else {grpc.StatusCode.DEADLINE_EXCEEDED}
        if status in broken or status is grpc.StatusCode.INTERNAL:
            self.tally.broken.append(
                f"{method.name}: {status.name}: {said[:200]!r} for {b''.join(sent)[:80]!r}"
            )
        if requests and status is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            self.tally.broken.append(f"{method.name} took {len(sent[0])} bytes: {status.name}")

    def _call(self, method: MethodDescriptor) -> Any:
        path = f"/{method.containing_service.full_name}/{method.name}"
        make = self._channel.stream_stream if method.client_streaming else self._channel.unary_stream
        # Read as a stream whatever it is: on the wire one answer is a stream of one.
        return make(path, request_serializer=bytes, response_deserializer=bytes)

    def _outcome(self, call: Any, *, endless: bool) -> tuple[grpc.StatusCode, str]:
        try:
            for count, _ in enumerate(call, 1):
                if count == MOST_ANSWERS or endless:
                    call.cancel()
                    return grpc.StatusCode.CANCELLED, ""
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""

    def _fair(self, name: str) -> None:
        """Ask as a client that means well: the server must answer as if nothing had been."""
        asked = (
            (SERVICES["Health"].methods_by_name["Check"], health_pb2.HealthCheckResponse),
            (SERVICES["Benchmark"].methods_by_name["Unload"], benchmark_pb2.UnloadResponse),
            (SERVICES["Benchmark"].methods_by_name["Describe"], benchmark_pb2.DescribeResponse),
        )
        for method, answer in asked:
            try:
                (data,) = self._call(method)(b"", timeout=DEADLINE_S)
                answer.FromString(data)
            except (grpc.RpcError, ValueError) as error:
                self.tally.broken.append(f"after {name}, {method.name} of a fair client failed: {error}")

    def _leaks(self, name: str) -> None:
        for growth in judge(self.watches[name].samples):
            if not growth.flat:
                self.tally.broken.append(
                    f"{name}: {growth.name} grew by {growth.grown:.0f}, limit {growth.limit:.0f}"
                )


@contextlib.contextmanager
def runtime_process(python: Path, engine: str, models: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start ``python -m greenbench_runtime`` on a Unix socket; yields its address and process."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        address = f"unix:{folder}/grpc.sock"
        places = ("--address", address, "--models", str(models.absolute()), "--outbox", f"{folder}/outbox")
        environment = os.environ | {
            "PYTHONPATH": f"{root / 'runtimes'}:{root / 'protos'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [str(python.absolute()), "-m", "greenbench_runtime", "--engine", engine, *places]
        log = Path(folder) / "log"
        with (
            log.open("wb") as said,
            subprocess.Popen(command, env=environment, stderr=said, cwd=folder) as process,
        ):
            try:
                with grpc.insecure_channel(address) as channel:
                    grpc.channel_ready_future(channel).result(timeout=120)
                yield address, psutil.Process(process.pid)
            finally:
                process.terminate()


def converted_mobilenet(models: Path) -> str:
    """Return a converted MobileNetV2, relative to the models folder; ends the program where there is none."""
    converted = min((models / "onnx").glob("mobilenet_v2-*.onnx"), default=None)
    if converted is None:
        sys.exit(f"{models} holds no converted mobilenet_v2; run `greenbench up onnxruntime --launcher venv`")
    return str(converted.relative_to(models))


def mobilenet_requests(model_file: str) -> dict[str, tuple[bytes, ...]]:
    """Return requests that ONNX Runtime takes: MobileNetV2, batch 1, on the CPU."""
    image, shape = bytes(3 * 224 * 224 * 4), (1, 3, 224, 224)
    load = benchmark_pb2.LoadRequest(
        model="mobilenet_v2",
        model_file=model_file,
        batch_size=1,
        precision="fp32",
        mode="cpu",
        weights="matched",
        device="cpu",
        threads=1,
        io="device",
    )
    spec = benchmark_pb2.TensorSpec(name="input", datatype="FP32", shape=shape)
    chunk = benchmark_pb2.TensorChunk(spec=spec, data=image, last=True)
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=shape)
    infer = inference_pb2.ModelInferRequest(
        model_name="mobilenet_v2", inputs=[tensor], raw_input_contents=[image]
    )
    return {
        "Load": (load.SerializeToString(),),
        "Stage": (benchmark_pb2.StageRequest(chunk=chunk).SerializeToString(),),
        "Run": (benchmark_pb2.RunRequest(max_iterations=3, keep_every=1, keep_max=2).SerializeToString(),),
        "ModelInfer": (infer.SerializeToString(),),
    }


def report(fuzzer: Fuzzer, engine: str, command: str, *, seconds: float) -> str:
    """Return the campaign as Markdown."""
    tally = fuzzer.tally
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Hostile requests",
        "",
        f"`{command}`, engine {engine}. {datetime.now(UTC):%F}, {machine}, {seconds:.0f} s.",
        "",
        "| service | requests | how they ended |",
        "|---|---|---|",
    ]
    for name, sent in tally.sent.items():
        ended = sorted((status, count) for (of, status), count in tally.statuses.items() if of == name)
        lines.append(f"| {name} | {sent} | {', '.join(f'{count} {status}' for status, count in ended)} |")
    for name, watch in fuzzer.watches.items():
        if watch.samples:
            lines += ["", f"## What the process held during {name}", "", *growth_table(judge(watch.samples))]
    said = [f"- {sentence}" for sentence in tally.broken[:50]]
    return "\n".join([*lines, "", f"{len(tally.broken)} broken promises.", *said]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="for each service")
    parser.add_argument(
        "--oversized", type=int, default=2, help="messages beyond the limit, for each service"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python", type=Path, required=True, help="of the runtime's environment")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="Write the result here.")
    options = parser.parse_args(arguments)
    known = mobilenet_requests(converted_mobilenet(options.models))
    began = time.monotonic()
    with runtime_process(options.python, ENGINE, options.models) as (address, process):
        fuzzer = Fuzzer(address, process, seed=options.seed, known=known)
        tally = fuzzer.until(options.requests, oversized=options.oversized)
        fuzzer.close()
    command = f"python -m campaigns.fuzz --requests {options.requests} --seed {options.seed}"
    said = report(fuzzer, ENGINE, command, seconds=time.monotonic() - began)
    print(said)
    if options.table:
        options.table.write_text(said)
    return int(bool(tally.broken))


if __name__ == "__main__":
    sys.exit(main())
