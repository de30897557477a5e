"""The one table from what can go wrong to a gRPC status."""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import protovalidate
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import (
    code_pb2,
    error_details_pb2,
    status_pb2,
)
from grpc_status import rpc_status

from signers.rules.chains import NodeUnavailable
from signers.rules.decision import Declined
from signers.rules.onboarding import CapacityReached
from signers.statements.refusals import Refusal
from signers.vault import VaultUnavailable

DOMAIN: Final = "bailee.signer"

_log = logging.getLogger(__name__)
_VIOLATIONS_MAX: Final = 16


@dataclass(kw_only=True, eq=False)
class Fault(Exception):  # noqa: N818 - the call's, not this process's
    """Something of the call itself is wrong, before any rule was asked."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()
    """Field and what is wrong with it."""


def invalid(error: protovalidate.ValidationError) -> Fault:
    """A request that breaks the rules of its fields."""
    violations = tuple(
        (_field_path(violation.proto), violation.proto.message)
        for violation in error.violations[:_VIOLATIONS_MAX]
    )
    return Fault(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="request-invalid",
        message="the request breaks the rules of its fields",
        violations=violations,
    )


def fault_of(error: Exception) -> Fault:  # noqa: PLR0911 - one case for each kind of error
    """How an error leaves. What nobody foresaw leaves as a number that stands in the log, no more."""
    match error:
        case Fault():
            return error
        case Declined():
            return _refused(error.refusal, None if error.receipt is None else error.receipt.to_json())
        case Refusal():
            return _refused(error, None)
        case DecodeError():
            return Fault(
                code=grpc.StatusCode.INVALID_ARGUMENT,
                reason="request-invalid",
                message="the request is no message of its method",
            )
        case CapacityReached():
            return Fault(
                code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="capacity-reached", message=str(error)
            )
        case NodeUnavailable():
            return _unavailable("node-unavailable", "this signer's own node does not answer")
        case VaultUnavailable():
            return _unavailable("vault-unavailable", "this signer's Vault is sealed or does not answer")
    correlation_id = secrets.token_hex(8)
    _log.error("call failed, correlation id %s", correlation_id, exc_info=error)
    return Fault(
        code=grpc.StatusCode.INTERNAL,
        reason="internal",
        message=f"internal error {correlation_id}",
        metadata={"correlation_id": correlation_id},
    )


def _refused(refusal: Refusal, receipt: bytes | None) -> Fault:
    metadata = {} if receipt is None else {"receipt": base64.b64encode(receipt).decode()}
    return Fault(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=refusal.tag.value,
        message=str(refusal),
        metadata=metadata,
    )


def _unavailable(reason: str, message: str) -> Fault:
    return Fault(code=grpc.StatusCode.UNAVAILABLE, reason=reason, message=message)


def to_status(fault: Fault) -> grpc.Status:
    """As google.rpc.Status with one ErrorInfo, and a BadRequest where fields are at fault."""
    info = error_details_pb2.ErrorInfo(reason=fault.reason, domain=DOMAIN, metadata=dict(fault.metadata))
    details: list[Message] = [info]
    if fault.violations:
        described = [
            error_details_pb2.BadRequest.FieldViolation(field=name, description=what)
            for name, what in fault.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=described))
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(
            code=code_pb2.Code.Value(fault.code.name),
            message=fault.message,
            details=[_packed(detail) for detail in details],
        )
    )
    return status


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _field_path(violation: protovalidate.ViolationPb) -> str:
    elements: Any = violation.field.elements if violation.field is not None else ()
    return ".".join(
        element.field_name + ("" if element.subscript is None else f"[{element.subscript.value}]")
        for element in elements
    )
