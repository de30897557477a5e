"""The one table from a refusal to a google.rpc.Status. Nothing else in custody names a status code.

Every error carries exactly one ErrorInfo. What is not a `CustodyError` is unexpected: the caller gets a bare
INTERNAL with a correlation id, and the details stand in the log only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from custody.domain.errors import CustodyError

DOMAIN: Final = "bailee"
INTERNAL: Final = "INTERNAL"
_STATUS_DETAILS: Final = "grpc-status-details-bin"
_METADATA_VALUE_CHARS_MAX: Final = 256
_MESSAGE_CHARS_MAX: Final = 512
_VIOLATIONS_MAX: Final = 20
"""An error travels in HTTP/2 headers, which peers bound: beyond that a client sees INTERNAL and no reason."""


class Detail(Enum):
    """What stands in a status beside its ErrorInfo."""

    NONE = auto()
    FIELD = auto()
    """BadRequest, where the refusal names a field."""
    PRECONDITION = auto()
    """PreconditionFailure, and BadRequest where the refusal names a field."""
    RETRY = auto()
    """RetryInfo."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one reason reads on the wire."""

    code: StatusCode
    detail: Detail = Detail.NONE
    retry_after_ms: int = 0


_PRECONDITION = Row(StatusCode.FAILED_PRECONDITION, Detail.PRECONDITION)
_ARGUMENT = Row(StatusCode.INVALID_ARGUMENT, Detail.FIELD)

TABLE: Final[Mapping[str, Row]] = {
    "CERTIFICATE_REQUIRED": Row(StatusCode.UNAUTHENTICATED),
    "PRINCIPAL_NOT_ALLOWED": Row(StatusCode.PERMISSION_DENIED),
    "RESOURCE_NOT_FOUND": Row(StatusCode.NOT_FOUND),
    "FIELD_INVALID": _ARGUMENT,
    "DEADLINE_REQUIRED": Row(StatusCode.INVALID_ARGUMENT),
    "PAGE_TOKEN_INVALID": _ARGUMENT,
    "REQUEST_ID_REUSED": _ARGUMENT,
    "RESOURCE_ALREADY_EXISTS": Row(StatusCode.ALREADY_EXISTS, Detail.FIELD),
    "ETAG_STALE": Row(StatusCode.ABORTED),
    "STATEMENT_MALFORMED": _ARGUMENT,
    "STATEMENT_MISMATCH": _ARGUMENT,
    "STATEMENT_SIGNATURE": _PRECONDITION,
    "STATEMENT_STALE": _PRECONDITION,
    "STATE_CONFLICT": _PRECONDITION,
    "ACCOUNT_NOT_ACTIVE": _PRECONDITION,
    "ACCOUNT_HALTED": _PRECONDITION,
    "COLLATERAL_INSUFFICIENT": _PRECONDITION,
    "WITHDRAWAL_OPEN": _PRECONDITION,
    "DESTINATION_NOT_USABLE": _PRECONDITION,
    "APPROVER_NOT_ELIGIBLE": _PRECONDITION,
    "POLICY_FORBIDS": _PRECONDITION,
    "PRICES_STALE": _PRECONDITION,
    "ASSET_NOT_ELIGIBLE": _PRECONDITION,
    "SEQUENCE_NOT_REACHED": Row(StatusCode.UNAVAILABLE, Detail.RETRY, retry_after_ms=200),
    "DEPENDENCY_UNAVAILABLE": Row(StatusCode.UNAVAILABLE, Detail.RETRY, retry_after_ms=1_000),
    "OVERLOADED": Row(StatusCode.RESOURCE_EXHAUSTED, Detail.RETRY, retry_after_ms=1_000),
    "STOPPING": Row(StatusCode.UNAVAILABLE, Detail.RETRY, retry_after_ms=1_000),
    INTERNAL: Row(StatusCode.INTERNAL),
}
"""Keyed by ErrorInfo.reason; a test holds it in bijection with the ErrorReason of the proto."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that breaks one rule."""

    path: str
    """Such as `withdrawal.amount.units`; empty for a rule of the whole request."""
    description: str
    rule: str = ""
    """The id of the rule, such as `string.pattern`."""


@dataclass(frozen=True, slots=True)
class WireError:
    """A refusal ready to be sent."""

    code: StatusCode
    reason: str
    message: str
    details: tuple[Message, ...]

    @property
    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """The google.rpc.Status, as clients read it."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = Any()
            packed.Pack(detail)
            status.details.append(packed)
        return ((_STATUS_DETAILS, status.SerializeToString()),)

    async def abort(self, context: "grpc.aio.ServicerContext[object, object]") -> NoReturn:
        """End the call with it.

        Raises:
            grpc.aio.AbortError: always.
        """
        await context.abort(self.code, self.message, self.trailing_metadata)


def refusal(error: CustodyError, *, violations: Sequence[Violation]) -> WireError | None:
    """A refusal as it travels; `None` where it is a fault of our own, which callers see as `unexpected`.

    Args:
        error: what a use case or the edge refused.
        violations: the fields of the request that it is about.
    """
    row = TABLE.get(error.reason)
    if row is None or row.code is StatusCode.INTERNAL:
        return None
    message = error.message[:_MESSAGE_CHARS_MAX]
    data = error.data if error.tag is None else {**error.data, "tag": error.tag.value}
    details = (_error_info(error.reason, data), *_details(row, error, violations))
    return WireError(row.code, error.reason, message, details)


def unexpected(correlation_id: str) -> WireError:
    """What a caller learns of a fault in this program: which log line to ask for."""
    info = _error_info(INTERNAL, {"correlation_id": correlation_id})
    return WireError(TABLE[INTERNAL].code, INTERNAL, "internal error", (info,))


def _error_info(reason: str, data: Mapping[str, str]) -> Message:
    metadata = {key: value[:_METADATA_VALUE_CHARS_MAX] for key, value in data.items()}
    info: Message = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    return info


def _details(row: Row, error: CustodyError, violations: Sequence[Violation]) -> list[Message]:
    if row.detail is Detail.RETRY:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(row.retry_after_ms)
        return [retry]
    details: list[Message] = []
    if row.detail is Detail.PRECONDITION:
        failure = error_details_pb2.PreconditionFailure()
        subject = error.field or next(iter(error.data.values()), "")
        failure.violations.add(
            type=error.reason, subject=subject, description=error.message[:_MESSAGE_CHARS_MAX]
        )
        details.append(failure)
    if row.detail is not Detail.NONE and violations:
        bad = error_details_pb2.BadRequest()
        for violation in violations[:_VIOLATIONS_MAX]:
            bad.field_violations.add(
                field=violation.path,
                description=violation.description[:_METADATA_VALUE_CHARS_MAX],
                reason=violation.rule,
            )
        details.append(bad)
    return details
