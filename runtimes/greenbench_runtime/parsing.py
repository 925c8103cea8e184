"""Requests are parsed where a call is handled, never where gRPC receives it.

A request that its deserializer rejects leaves some 20 KB in a grpcio server for good (1.85.1: the call is
answered, its state is never let go); one that a handler refuses leaves nothing. So gRPC hands on bytes, and
what is no message is refused here.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from greenbench_runtime.engine import InvalidRequestError

_Behaviour = Callable[[Any, grpc.ServicerContext], Any]
_Parse = Callable[[bytes], Any]


class ParsingInterceptor(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Answers ``INVALID_ARGUMENT`` to what is no message; of every service, so it goes first."""

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Wrap a call's handler so that it parses its requests itself."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        kind = "_".join("stream" if streams else "unary" for streams in _streaming(handler))
        wrapped = _parsing(getattr(handler, kind), handler.request_deserializer, many=_streaming(handler))
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(wrapped, response_serializer=handler.response_serializer)


def _streaming(handler: Any) -> tuple[bool, bool]:
    return handler.request_streaming, handler.response_streaming


def _parsing(behaviour: _Behaviour, parse: _Parse, *, many: tuple[bool, bool]) -> _Behaviour:
    requests_stream, responses_stream = many

    def read(raw: Any) -> Any:
        return (_parsed(one, parse) for one in raw) if requests_stream else _parsed(raw, parse)

    # gRPC reads off the behaviour itself which threads serve it: a health watch must not take a handler's.
    @wraps(behaviour)
    def answer(raw: Any, context: grpc.ServicerContext) -> Any:
        try:
            return behaviour(read(raw), context)
        except InvalidRequestError as err:
            refused = str(err)
        return context.abort(grpc.StatusCode.INVALID_ARGUMENT, refused)

    @wraps(behaviour)
    def answers(raw: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from behaviour(read(raw), context)
        except InvalidRequestError as err:
            refused = str(err)
        else:
            return
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, refused)

    return answers if responses_stream else answer


def _parsed(raw: bytes, parse: _Parse) -> Any:
    try:
        return parse(raw)
    except (DecodeError, ValueError) as err:
        raise InvalidRequestError(f"the request is no message of this call ({len(raw)} bytes)") from err
