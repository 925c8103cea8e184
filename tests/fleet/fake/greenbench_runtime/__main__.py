"""A runtime that computes nothing and misbehaves on request.

At its start by the engine's name, in a call by the name of the model that was loaded.
"""

# ruff: noqa: T201 - gRPC names the methods, and what it prints is its log

import argparse
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from greenbench_wire import benchmark_pb2 as wire
from greenbench_wire import benchmark_pb2_grpc
from greenbench_wire.fingerprint import schema_fingerprint

HOLD = 0.002


def seen_from_inside() -> dict[str, str]:
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    return {
        "uid": str(os.getuid()),
        "CapEff": status["CapEff"].strip(),
        "NoNewPrivs": status["NoNewPrivs"].strip(),
        "interfaces": ",".join(sorted(name for _, name in socket.if_nameindex())),
        "root": str(os.access("/", os.W_OK) and writable("/probe")),
        "models": str(writable("/models/probe")),
        "outbox": str(writable("/run/greenbench/outbox/probe")),
        "scratch_runs": str(runs("/tmp/probe.sh")),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "unset"),
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
    }


def writable(path: str) -> bool:
    try:
        Path(path).write_text("x")
    except OSError:
        return False
    Path(path).unlink()
    return True


def runs(path: str) -> bool:
    try:
        Path(path).write_text("#!/bin/sh\nexit 0\n")
        Path(path).chmod(0o700)
        return subprocess.run([path], check=False).returncode == 0
    except OSError:
        return False


class Fake(benchmark_pb2_grpc.BenchmarkServicer):
    def __init__(self, engine: str) -> None:
        self.engine, self.model = engine, ""
        self.inputs: dict[str, tuple[wire.TensorSpec, bytes]] = {}
        self.stop = threading.Event()

    def Describe(self, request, context):
        fingerprint = "of another time" if self.engine == "old" else schema_fingerprint()
        return wire.DescribeResponse(
            runtime=self.engine,
            versions=seen_from_inside(),
            devices=[wire.Device(kind="cpu", name="a cpu", memory_bytes=7)],
            modes=["plain"],
            precisions=["fp32"],
            models=["tiny"],
            schema_fingerprint=fingerprint,
            physical_cores=2,
            python=sys.version.split()[0],
            prepares=True,
        )

    def Prepare(self, request, context):
        origin = request.weights_file or f"seed-{request.seed}"
        return wire.PrepareResponse(
            path=f"{request.model}-{origin}", sha256="aa", elapsed_s=0.5, parameters=3
        )

    def Convert(self, request, context):
        return wire.ConvertResponse(
            path="m.onnx", sha256="bb", opset=18, elapsed_s=1.5, size_bytes=9, exporter="fake 1"
        )

    def Load(self, request, context):
        self.model = request.model
        if request.model == "die":
            print("about to die", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if request.model == "hang":
            print("about to hang", flush=True)
            time.sleep(600)
        if request.model == "eat":
            held = []
            while True:
                held.append(np.ones(1 << 22))
        if request.model == "refuse":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown model 'refuse'; this runtime knows tiny")
        shape = wire.TensorSpec(name="input", datatype="FP32", shape=[request.batch_size, 3])
        return wire.LoadResponse(
            inputs=[shape],
            outputs=[shape],
            parameters=3,
            load_s=0.1,
            flags={"tf32": "off"},
            nodes_per_provider={"cpu": 4},
        )

    def Stage(self, requests, context):
        spec, parts, self.inputs = None, b"", {}
        for request in requests:
            spec, parts = (request.chunk.spec, b"") if request.chunk.HasField("spec") else (spec, parts)
            parts += request.chunk.data
            if request.chunk.last:
                self.inputs[spec.name] = (spec, parts)
        spoilt = b"!" if self.model == "spoil" else b""
        hashes = {name: hashlib.sha256(data + spoilt).hexdigest() for name, (_, data) in self.inputs.items()}
        return wire.StageResponse(sha256=hashes, bytes=sum(len(data) for _, data in self.inputs.values()))

    def Check(self, request, context):
        for name, (spec, data) in self.inputs.items():
            # An input named as the protocol names it is answered as the network's output.
            answer = "output" if name == "input" and self.model != "nameless" else f"echo_{name}"
            named = wire.TensorSpec(name=answer, datatype=spec.datatype, shape=spec.shape)
            half = len(data) // 2
            yield wire.TensorChunk(spec=named, data=data[:half])
            if self.model != "half":
                yield wire.TensorChunk(data=data[half:], last=True)

    def Run(self, request, context):
        self.stop.clear()
        began, told, count = time.monotonic_ns(), 0, 0
        yield wire.RunEvent(started=wire.RunStarted(monotonic_ns=began))
        ends: list[int] = []
        last = time.monotonic()
        while not self.stop.is_set() and (not request.max_iterations or count < request.max_iterations):
            time.sleep(HOLD)
            ends.append(time.monotonic_ns())
            count += 1
            if self.model == "die-running" and count == 20:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.model == "cut" and count == 20:
                return
            if self.model == "hang-running":
                time.sleep(600)
            if time.monotonic() - last > request.progress_s:
                yield wire.RunEvent(progress=wire.RunProgress(end_ns=ends[told:]))
                told, last = len(ends), time.monotonic()
        left = ends[told:-1] if self.model == "lose" else ends[told:]
        reason = "stopped" if self.stop.is_set() else "cap"
        yield wire.RunEvent(
            finished=wire.RunFinished(
                monotonic_ns=time.monotonic_ns(), iterations=count, end_ns=left, reason=reason
            )
        )

    def Stop(self, request, context):
        self.stop.set()
        return wire.StopResponse(running=True)

    def Kept(self, request, context):
        for iteration in (4, 9):
            data = np.full(3, iteration, dtype="<f4").tobytes()
            spec = wire.TensorSpec(name="output", datatype="FP32", shape=[3])
            yield wire.KeptChunk(iteration=iteration, chunk=wire.TensorChunk(spec=spec, data=data[:4]))
            yield wire.KeptChunk(iteration=iteration, chunk=wire.TensorChunk(data=data[4:], last=True))

    def Unload(self, request, context):
        return wire.UnloadResponse(unloaded=bool(self.model))


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--engine", "--address", "--models", "--outbox", "--device"):
        parser.add_argument(option)
    options = parser.parse_args()
    if options.engine == "broken":
        print("ImportError: the framework is not there", file=sys.stderr)
        return 3
    server = grpc.server(futures.ThreadPoolExecutor(8))
    checks = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    benchmark_pb2_grpc.add_BenchmarkServicer_to_server(Fake(options.engine), server)
    server.add_insecure_port(options.address)
    serving = (
        health_pb2.HealthCheckResponse.NOT_SERVING
        if options.engine == "mute"
        else health_pb2.HealthCheckResponse.SERVING
    )
    checks.set("", serving)
    server.start()
    print("listening", flush=True)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    over.wait()
    server.stop(0.1)
    os._exit(0)  # a call that hangs keeps its thread


sys.exit(main())
