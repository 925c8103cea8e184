"""One gRPC channel to one runtime, and what its refusals mean in greenbench's own errors."""

import time

import grpc
from grpc.experimental import ChannelOptions

from greenbench.core.errors import EngineUnavailableError, FleetError, RuntimeCallError, RuntimeTimeoutError
from greenbench.fleet.launcher import ExitState, Instance, died

MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024
_DEATH_WAIT_S = 2.0
_POLL_S = 0.05
# Codes under which gRPC reports that the other side vanished in the middle of a call.
_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


def open_channel(address: str) -> grpc.Channel:
    """Return a channel to ``unix:PATH`` or ``HOST:PORT`` on this host; nothing is sent yet."""
    options = [
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.enable_http_proxy", 0),
        # No ping may wake the runtime inside a window, and none after each of its messages.
        ("grpc.keepalive_time_ms", 2**31 - 1),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 200),
        # Channels to one address share connections, broken ones included, unless told not to.
        ("grpc.use_local_subchannel_pool", 1),
        # One thread reads a stream of events and wakes five times a second; by default two wake 15 times.
        (ChannelOptions.SingleThreadedUnaryStream, 1),
    ]
    return grpc.insecure_channel(address, options=options)


class CallErrors:
    """Turns the gRPC errors of one runtime into greenbench's."""

    def __init__(self, name: str, instance: Instance | None) -> None:
        """Remember whose calls these are.

        Args:
            name: What the messages call the runtime.
            instance: Asked whether it lives; None where the server isn't ours to watch.
        """
        self._name = name
        self._instance = instance

    def translate(self, error: grpc.RpcError, *, call: str, deadline_s: float | None) -> FleetError:
        """Return the error to raise for `error`.

        Args:
            error: What a stub raised.
            call: Name of the call: ``Load``, ``Run`` ...
            deadline_s: Its deadline, seconds; None where it has none.
        """
        code, said = _code(error), _details(error)
        try:
            state = self._death() if code in _BROKEN else None
        except EngineUnavailableError as lost:
            return lost
        if state is not None and self._instance is not None:
            return died(self._instance, state, during=call)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return self.timeout(call, deadline_s)
        return RuntimeCallError(f"{self._name} refused {call}: {said} ({code.name})", code=code.name)

    def timeout(self, call: str, deadline_s: float | None) -> FleetError:
        """Return the error of a call that did not answer in time, or of the death that explains it."""
        try:
            state = self._instance.exit_state() if self._instance else None
        except EngineUnavailableError as lost:
            return lost
        if state is not None and self._instance is not None:
            return died(self._instance, state, during=call)
        tail = self._instance.log_tail(3) if self._instance else ()
        said = f"; it said last: {' | '.join(line.strip() for line in tail)}" if tail else ""
        allowed = f"{deadline_s:g} s" if deadline_s is not None else "its deadline"
        return RuntimeTimeoutError(f"{self._name} did not answer {call} within {allowed}{said}")

    def _death(self) -> ExitState | None:
        """How the instance ended; a broken connection may be seen a moment before the exit."""
        if self._instance is None:
            return None
        give_up_s = time.monotonic() + _DEATH_WAIT_S
        while (state := self._instance.exit_state()) is None and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)
        return state


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code = error.code() if isinstance(error, grpc.Call) else None
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def _details(error: grpc.RpcError) -> str:
    details = error.details() if isinstance(error, grpc.Call) else None
    return " ".join((details or "no details").split())
