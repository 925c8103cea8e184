"""What an error means in gRPC: one table, and one interceptor that applies it to every call."""

import errno
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import grpc

from greenbench_runtime.device_errors import full_memory, lost_context
from greenbench_runtime.engine import (
    InvalidRequestError,
    NothingLoadedError,
    OutOfMemoryError,
    UnavailableError,
    UnknownModelError,
    UnsupportedError,
)
from greenbench_runtime.folders import MissingFileError

LONGEST_MESSAGE = 1000
"""Characters of a status message; gRPC carries it in a header of limited size."""

STATUS_OF_ERROR: Mapping[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    MissingFileError: grpc.StatusCode.NOT_FOUND,
    NothingLoadedError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.FAILED_PRECONDITION,
    UnsupportedError: grpc.StatusCode.UNIMPLEMENTED,
    OutOfMemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    MemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

# Health and reflection say their own statuses.
_OWN_SERVICES = ("/greenbench.v1.", "/inference.")
_LOG = logging.getLogger(__name__)


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """Return the status and the one-line message that a client sees for an error."""
    lost = lost_context(error)
    if lost is not None:
        # Whatever the engine made of it: no later call can succeed, so it is no fault of this request's.
        said = lost[:LONGEST_MESSAGE]
        return (
            grpc.StatusCode.INTERNAL,
            f"the GPU's context is lost: {said}; this runtime ends, start it again",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"the disk is full: {_line(error)}; free space and try again",
        )
    for kind in type(error).__mro__:
        if kind in STATUS_OF_ERROR:
            return STATUS_OF_ERROR[kind], _line(error) or "too little memory; try a smaller batch"
    full = full_memory(error)
    if full is not None:
        return grpc.StatusCode.RESOURCE_EXHAUSTED, f"{full[:LONGEST_MESSAGE]}; take a smaller batch_size"
    message = f"{type(error).__name__}: {_line(error)}; the runtime's log has the traceback"
    return grpc.StatusCode.INTERNAL, message


class StatusInterceptor(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Turns what a handler raises into a gRPC status."""

    def __init__(self, on_lost_context: Callable[[], None]) -> None:
        """Remember what to call once the GPU's context is lost: nothing in this process can use it again."""
        self._on_lost_context = on_lost_context

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Wrap the handler of one of greenbench's own calls."""
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OWN_SERVICES):
            return handler
        if handler.response_streaming:
            # No call of greenbench's streams in both directions.
            return grpc.unary_stream_rpc_method_handler(
                _guarded_stream(handler.unary_stream, self._abort), **_serializers(handler)
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                _guarded(handler.stream_unary, self._abort), **_serializers(handler)
            )
        return grpc.unary_unary_rpc_method_handler(
            _guarded(handler.unary_unary, self._abort), **_serializers(handler)
        )

    def _abort(self, context: grpc.ServicerContext, error: Exception) -> NoReturn:
        if isinstance(error, grpc.RpcError):
            raise error  # The client is gone, there is nobody to tell.
        code, message = status_of(error)
        if code is grpc.StatusCode.INTERNAL:
            _LOG.error("a call failed: %s", message, exc_info=error)
        if lost_context(error) is not None:
            self._on_lost_context()
        context.abort(code, message)
        raise AssertionError  # pragma: no cover - abort always raises


_Abort = Callable[[grpc.ServicerContext, Exception], NoReturn]


def _guarded(
    behaviour: Callable[[Any, Any], Any], abort: _Abort
) -> Callable[[Any, grpc.ServicerContext], Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return behaviour(request, context)
        except Exception as raised:  # noqa: BLE001 - the boundary: every error becomes a status
            error = raised
        return abort(context, error)

    return answer


def _guarded_stream(
    behaviour: Callable[[Any, Any], Any], abort: _Abort
) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
    def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from behaviour(request, context)
        except Exception as raised:  # noqa: BLE001 - the boundary: every error becomes a status
            error = raised
        else:
            return
        abort(context, error)

    return answers


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST_MESSAGE]


def _serializers(handler: Any) -> dict[str, Any]:
    return {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
