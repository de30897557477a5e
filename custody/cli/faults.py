"""What ends a command, and with which exit code: 1 where something was refused, 2 where asked wrongly."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any, Final

from custody.client import BaileeError, VerificationError
from signers.statements.refusals import Refusal

REFUSED: Final = 1
USAGE: Final = 2


class UsageError(Exception):
    """The command was asked wrongly; the message says what is allowed."""


class NotConfirmedError(Exception):
    """The person who was asked said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error as it is printed."""

    exit_code: int
    reason: str
    message: str
    fields: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """The stable machine form, on standard error."""
        return {
            "error": {
                "reason": self.reason,
                "message": self.message,
                "fields": self.fields,
                "metadata": self.metadata,
                "hint": self.hint,
            }
        }


EXPECTED: Final = (
    BaileeError,
    VerificationError,
    Refusal,
    NotConfirmedError,
    UsageError,
    OSError,
    TimeoutError,
    ValueError,
    sqlite3.Error,
)
"""What a command may end with. Anything else is a fault of the program and shows its traceback."""

_HINTS: Final = {
    "CERTIFICATE_REQUIRED": "the profile's certificate and private_key decide who you are",
    "PRINCIPAL_NOT_ALLOWED": "this certificate may not call this service: use another profile",
    "RESOURCE_NOT_FOUND": "look at the list; what is outside of your accounts looks like what is not there",
    "FIELD_INVALID": "correct the fields named",
    "RESOURCE_ALREADY_EXISTS": "the id is taken: look at it with `show`, or choose another id",
    "ETAG_STALE": "it changed meanwhile: look at it again, then decide again",
    "STATEMENT_MISMATCH": "look at it again: it is not what you signed",
    "STATEMENT_SIGNATURE": "check entity and key_file of the profile, and that the policy names this key",
    "STATEMENT_STALE": "check this machine's clock; otherwise ask again",
    "STATE_CONFLICT": "look at its state with `show`",
    "ACCOUNT_NOT_ACTIVE": "all parties sign first: `bailee account show`",
    "ACCOUNT_HALTED": "`bailee account show` says why",
    "COLLATERAL_INSUFFICIENT": "`bailee report show` has the free quantity",
    "WITHDRAWAL_OPEN": "settle or cancel the open withdrawal of this asset first",
    "DESTINATION_NOT_USABLE": "`bailee destination show` says what is missing",
    "APPROVER_NOT_ELIGIBLE": "another entity has to approve",
    "POLICY_FORBIDS": "`bailee policy show` has the limits",
    "PRICES_STALE": "stale: wait for fresh prices, `bailee price list`; disputed: until the nodes agree",
    "DEPENDENCY_UNAVAILABLE": "ask again later",
    "OVERLOADED": "ask again later",
    "SEQUENCE_NOT_REACHED": "ask again later",
    "VERIFICATION_FAILED": "do not act on it; keep what you saw as evidence and ask the other parties",
    "UNAVAILABLE": "check server, server_name and authority of the profile, and that the service is up",
    "DEADLINE_EXCEEDED": "it may still have happened: look, then ask again",
}


_REASONS: Final[dict[type[Exception], str]] = {
    VerificationError: "VERIFICATION_FAILED",
    NotConfirmedError: "NOT_CONFIRMED",
}


def fault_of(error: Exception) -> Fault:
    """How an expected error is printed."""
    match error:
        case BaileeError():
            reason = error.reason or error.code.name
            return Fault(
                exit_code=REFUSED,
                reason=reason,
                message=error.message,
                fields=error.fields,
                metadata=error.metadata,
                hint=_HINTS.get(reason, ""),
            )
        case VerificationError() | NotConfirmedError():
            return _fault(REFUSED, _REASONS[type(error)], str(error))
        case Refusal():
            return _fault(REFUSED, error.tag.value, error.detail)
        case TimeoutError():
            return _fault(REFUSED, "TIMEOUT", str(error) or "it did not happen in time")
        case sqlite3.Error():
            return _fault(REFUSED, "RECORD_UNAVAILABLE", f"the record of what was signed: {error}")
    return _fault(USAGE, "USAGE", _plain(error))


def _fault(exit_code: int, reason: str, message: str) -> Fault:
    return Fault(exit_code=exit_code, reason=reason, message=message, hint=_HINTS.get(reason, ""))


def _plain(error: Exception) -> str:
    """What is wrong, without Python's own numbers."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
