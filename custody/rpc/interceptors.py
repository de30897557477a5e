"""What every call goes through before a service sees it, and every answer after.

In this order: correlation id; who calls (`CERTIFICATE_REQUIRED`); may it use this service
(`PRINCIPAL_NOT_ALLOWED`); until when (`DEADLINE_REQUIRED`); does it hold too much already (`OVERLOADED`); is
the request well-formed (`FIELD_INVALID`); the service; a refusal becomes a status (`custody.rpc.errors`); one
line in the access log, without any content.

gRPC hands a unary request over once it is there: a call that never sends one would hold a place and belong to
nobody. So every method is served as one that reads a stream of requests, of which it takes the first.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

import grpc
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from custody.domain.errors import CustodyError
from custody.rpc import errors, fields
from custody.rpc.calls import Call, Outcome
from custody.rpc.errors import Violation
from custody.rpc.occupancy import Occupancy
from custody.rpc.principals import Directory
from custody.rpc.refusals import DeadlineRequired
from custody.rpc.validation import RequestInvalid, parse

OURS: Final = "bailee.custody.v1."
"""Services that validate and demand a deadline. The others are gRPC's own health and reflection."""

HEALTH_CHECK: Final = "grpc.health.v1.Health/Check"
CHECKS_PER_CERTIFICATE_MAX: Final = 8
"""Of health by whoever TLS let in. A check answers at once, unless its caller keeps it open."""

T = TypeVar("T")
_Context = aio.ServicerContext[Any, Any]
_log = structlog.get_logger("custody.rpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineLimits:
    """How far in the future a call's deadline may be."""

    unary_seconds_max: float
    stream_seconds_max: float


class Edge(aio.ServerInterceptor):
    """The one interceptor of the server."""

    def __init__(self, directory: Directory, deadlines: DeadlineLimits, *, calls_per_caller_max: int) -> None:
        """Hold who may call what, for how long, and how much at once."""
        self._directory = directory
        self._deadlines = deadlines
        self._calls_per_caller_max = calls_per_caller_max
        self._calls = Occupancy("calls")
        self._checks = Occupancy("health checks")
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, wrapped once and kept. `None` for a method that does not exist."""
        path = handler_call_details.method
        known = self._handlers.get(path)
        if known is None:
            inner = await continuation(handler_call_details)
            if inner is None:
                return None
            known = self._handlers[path] = self._wrap(path.removeprefix("/"), inner)
        return known

    def _wrap(self, method: str, inner: Any) -> Any:
        service = method.partition("/")[0]
        if not service.startswith(OURS):
            return self._wrap_foreign(method, inner)
        request = _request_of(method)
        if inner.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streamed(method, service, request, inner.unary_stream), None, None
            )
        return grpc.stream_unary_rpc_method_handler(
            self._unary(method, service, request, inner.unary_unary), None, None
        )

    def _unary(
        self,
        method: str,
        service: str,
        request: Descriptor,
        handle: Callable[[Any, Call], Awaitable[Message]],
    ) -> Callable[[AsyncIterator[bytes], _Context], Awaitable[bytes]]:
        limit, kind = self._deadlines.unary_seconds_max, GetMessageClass(request)

        async def unary(requests: AsyncIterator[bytes], context: _Context) -> bytes:
            outcome = _begin(method)
            try:
                with self._admitted(service, limit, outcome, context) as call:
                    response = await handle(parse(kind, await _one(requests)), call)
                    return bytes(response.SerializeToString())
            except BaseException as error:  # noqa: BLE001 - the process edge: whatever it is, the caller gets a status
                await _refuse(error, outcome, context, request)
            finally:
                _finish(outcome)

        return unary

    def _streamed(
        self,
        method: str,
        service: str,
        request: Descriptor,
        handle: Callable[[Any, Call], AsyncGenerator[Message, None]],
    ) -> Callable[[AsyncIterator[bytes], _Context], Awaitable[None]]:
        limit, kind = self._deadlines.stream_seconds_max, GetMessageClass(request)

        async def streamed(requests: AsyncIterator[bytes], context: _Context) -> None:
            outcome = _begin(method)
            try:
                with self._admitted(service, limit, outcome, context) as call:
                    asked = parse(kind, await _one(requests))
                    async with aclosing(handle(asked, call)) as messages:
                        async for message in messages:
                            await context.write(message.SerializeToString())
                            outcome.messages += 1
            except BaseException as error:  # noqa: BLE001 - the process edge: whatever it is, the caller gets a status
                await _refuse(error, outcome, context, request)
            finally:
                _finish(outcome)

        return streamed

    @contextmanager
    def _admitted(self, service: str, limit: float, outcome: Outcome, context: _Context) -> Iterator[Call]:
        principal = self._directory.authenticate(context.auth_context())
        outcome.principal = principal.name
        self._directory.authorise(principal, service)
        remaining: float | None = context.time_remaining()
        if remaining is None or remaining > limit:
            raise DeadlineRequired(
                f"a deadline of at most {limit:g} seconds is required",
                data={"deadline_max_seconds": f"{limit:g}"},
            )
        with self._calls.one_of(principal.name, most=self._calls_per_caller_max):
            yield Call(
                principal=principal,
                method=outcome.method,
                deadline=outcome.started + remaining,
            )

    def _wrap_foreign(self, method: str, inner: Any) -> Any:
        """Reflection and health's stream are for every principal; health's check for whoever TLS let in."""

        async def admit(context: _Context, held: ExitStack) -> None:
            outcome = _begin(method)
            try:
                held.enter_context(self._admitted_foreign(outcome, context))
            except BaseException as error:  # noqa: BLE001 - the process edge, as above
                await _refuse(error, outcome, context, None)
            finally:
                _finish(outcome)

        async def unary(requests: AsyncIterator[Any], context: _Context) -> Any:
            with ExitStack() as held:
                await admit(context, held)
                return await inner.unary_unary(await _one(requests), context)

        async def streamed(requests: AsyncIterator[Any], context: _Context) -> None:
            with ExitStack() as held:
                await admit(context, held)
                await inner.unary_stream(await _one(requests), context)

        async def conversed(requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
            with ExitStack() as held:
                await admit(context, held)
                async for answer in inner.stream_stream(requests, context):
                    yield answer

        codecs = (inner.request_deserializer, inner.response_serializer)
        if inner.request_streaming:
            return grpc.stream_stream_rpc_method_handler(conversed, *codecs)
        if inner.response_streaming:
            return grpc.stream_stream_rpc_method_handler(streamed, *codecs)
        return grpc.stream_unary_rpc_method_handler(unary, *codecs)

    def _admitted_foreign(self, outcome: Outcome, context: _Context) -> AbstractContextManager[None]:
        connection = context.auth_context()
        if outcome.method == HEALTH_CHECK:
            certificate = self._directory.certificate(connection)
            return self._checks.one_of(certificate, most=CHECKS_PER_CERTIFICATE_MAX)
        outcome.principal = self._directory.authenticate(connection).name
        return self._calls.one_of(outcome.principal, most=self._calls_per_caller_max)


async def _one(requests: AsyncIterator[T]) -> T:
    """The one message of a call that has one.

    Raises:
        RequestInvalid: the caller sent none.
    """
    async for request in requests:
        return request
    raise RequestInvalid([Violation("", "no message")])


def _request_of(method: str) -> Descriptor:
    service, _, name = method.partition("/")
    found: Descriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].input_type
    return found


def _begin(method: str) -> Outcome:
    return Outcome(
        method=method, correlation_id=secrets.token_hex(8), started=asyncio.get_running_loop().time()
    )


async def _refuse(
    error: BaseException, outcome: Outcome, context: _Context, request: Descriptor | None
) -> NoReturn:
    """End the call with what its error means.

    Raises:
        aio.AbortError: for every refusal and fault.
        BaseException: the error itself where it is the end of the call or of the process.
    """
    if not isinstance(error, Exception):
        outcome.code = "CANCELLED"
        raise error
    wire = None
    if isinstance(error, CustodyError):
        wire = errors.refusal(error, violations=fields.violations(error, request) if request else ())
    if wire is None:
        _log.error("unexpected", method=outcome.method, correlation_id=outcome.correlation_id, exc_info=error)
        wire = errors.unexpected(outcome.correlation_id)
    outcome.code, outcome.reason = wire.code.name, wire.reason
    await wire.abort(context)


def _finish(outcome: Outcome) -> None:
    """One line for each call: who, what, how it ended, how long it took. Never what was in it."""
    seconds = asyncio.get_running_loop().time() - outcome.started
    _log.info(
        "call",
        method=outcome.method,
        principal=outcome.principal,
        code=outcome.code,
        reason=outcome.reason,
        messages=outcome.messages,
        milliseconds=round(seconds * 1000, 3),
        correlation_id=outcome.correlation_id,
    )
