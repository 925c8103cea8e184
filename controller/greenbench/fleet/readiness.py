"""Waiting until a started runtime serves."""

import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenbench.fleet.channel import CallErrors, open_channel
from greenbench.fleet.launcher import Instance, died

READY_DEADLINE_S = 120.0
_POLL_S = 0.05
_ASK_S = 2.0


def wait_ready(instance: Instance, *, deadline_s: float = READY_DEADLINE_S) -> float:
    """Wait until a runtime's health is SERVING.

    Args:
        instance: Started by a launcher.
        deadline_s: Longest wait, seconds.

    Returns:
        How long it took from this call, seconds.

    Raises:
        RuntimeDiedError: It ended instead; with its last log lines.
        RuntimeTimeoutError: It was not ready in time; with its last log lines.
    """
    begun_s = time.monotonic()
    with open_channel(instance.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while not _serves(health):
            state = instance.exit_state()
            if state is not None:
                raise died(instance, state, during="starting")
            if time.monotonic() - begun_s > deadline_s:
                raise CallErrors(instance.runtime, instance).timeout("its start", deadline_s)
            time.sleep(_POLL_S)
    return time.monotonic() - begun_s


def _serves(health: health_pb2_grpc.HealthStub) -> bool:
    try:
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=_ASK_S)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
