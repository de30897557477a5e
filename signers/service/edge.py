"""What every call passes before its method: who calls, by when, and whether the request is well formed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import grpc
import protovalidate
from google.protobuf.message import Message

from signers.journal import JournalUnusable
from signers.service.errors import Fault, fault_of, invalid, to_status

DEADLINE_SECONDS_MAX: Final = 120.0
CALLS_PER_CALLER_MAX: Final = 32
"""Under way at once. Who fills them, by calls that wait or never say what they want, keeps out no other."""
CHECKS_PER_CERTIFICATE_MAX: Final = 8
"""Of health, which whoever has a certificate may ask for."""
HEALTH: Final = "grpc.health.v1.Health"

caller: ContextVar[str] = ContextVar("caller")
"""The DNS name in the calling client's certificate."""

_log = logging.getLogger(__name__)
_Method = Callable[[Any, Any], Awaitable[Any]]


class Edge(grpc.aio.ServerInterceptor):
    """Authorises, bounds and validates each call, and turns what goes wrong into a status.

    Methods of one message are served as if they took a stream of them, which is the same on the wire: so a
    caller is looked at before its message has come, and not only after.
    """

    def __init__(
        self, *, callers: Mapping[str, frozenset[str]], on_fatal: Callable[[Exception], None]
    ) -> None:
        """One per server.

        Args:
            callers: the certificate names that may call a service; a service that is not listed, or has an
                empty list, answers nobody. Health answers every certificate of our authority.
            on_fatal: called when the journal can no longer be written; the process then ends.
        """
        self._callers = callers
        self._on_fatal = on_fatal
        self._calls: Counter[str] = Counter()
        self._checks: Counter[str] = Counter()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method, where there is one. No stream is served: health's `Watch` would have no end."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return None
        service, method = handler_call_details.method.strip("/").split("/")
        return grpc.stream_unary_rpc_method_handler(
            self._guarded(service, method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guarded(self, service: str, method: str, call: _Method) -> _Method:
        async def guarded(
            messages: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]
        ) -> Any:
            try:
                name = self._authorised(service, context)
                caller.set(name)
                _require_deadline(context)
                with self._slot(service, name):
                    request = await _only(messages)
                    _require_valid(request)
                    return await call(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                if isinstance(error, JournalUnusable):
                    self._on_fatal(error)
                fault = fault_of(error)
                # Peers ask for receipts until there is one: no news.
                level = logging.DEBUG if fault.code is grpc.StatusCode.NOT_FOUND else logging.INFO
                _log.log(level, "%s refused: %s %s", method, fault.code.name, fault.reason)
                await context.abort_with_status(to_status(fault))
                raise

        return guarded

    @contextmanager
    def _slot(self, service: str, name: str) -> Iterator[None]:
        slots, limit = self._calls, CALLS_PER_CALLER_MAX
        if service == HEALTH:
            slots, limit = self._checks, CHECKS_PER_CERTIFICATE_MAX
        if slots[name] >= limit:
            raise Fault(
                code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                reason="too-many-calls",
                message=f"{limit} calls are under way already",
            )
        slots[name] += 1
        try:
            yield
        finally:
            slots[name] -= 1

    def _authorised(self, service: str, context: grpc.aio.ServicerContext[Any, Any]) -> str:
        told = context.auth_context()
        names = tuple(told.get("x509_subject_alternative_name", ()))
        if len(names) != 1 or names != tuple(told.get("peer_dns", ())):
            raise Fault(
                code=grpc.StatusCode.UNAUTHENTICATED,
                reason="certificate-name",
                message="a client certificate carries exactly one name, a DNS name",
            )
        name = names[0].decode("ascii", "replace")
        if service != HEALTH and name not in self._callers.get(service, frozenset()):
            raise Fault(
                code=grpc.StatusCode.PERMISSION_DENIED,
                reason="caller-not-allowed",
                message=f"{name} may not call {service}",
            )
        return name


def _require_deadline(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    remaining: float | None = context.time_remaining()  # None where the client set no deadline
    if remaining is None or remaining > DEADLINE_SECONDS_MAX:
        raise Fault(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="deadline-required",
            message=f"a call carries a deadline of at most {DEADLINE_SECONDS_MAX:.0f} s",
        )


async def _only(messages: AsyncIterator[Message]) -> Message:
    async for message in messages:
        return message
    raise Fault(
        code=grpc.StatusCode.INVALID_ARGUMENT, reason="request-invalid", message="a call carries one message"
    )


def _require_valid(request: Message) -> None:
    try:
        protovalidate.validate(request)
    except protovalidate.ValidationError as error:
        raise invalid(error) from error
