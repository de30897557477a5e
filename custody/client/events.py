"""Events of the collateral stream, their reports verified."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from bailee.custody.v1 import cause_pb2, collateral_service_pb2

from custody.client.errors import VerificationError
from custody.client.trust import TrustRoot, VerifiedReport
from signers.statements.identifiers import SECONDS_MAX, Seconds
from signers.statements.report import Report


@final
class EventKind(StrEnum):
    """What an event is."""

    SNAPSHOT = "snapshot"
    """An account as it stood when the stream began."""
    CHANGE = "change"
    """A committed change."""
    HEARTBEAT = "heartbeat"
    """Nothing changed. The first one ends the snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralEvent:
    """One event of the stream."""

    kind: EventKind
    account: str
    """Its id; empty on a heartbeat."""
    cause: str
    """Of a change: `deposit`, `deposit_reversed`, `lien`, …; the names of the API's `Cause` in lower case."""
    resource: str
    """Of a change: name of what changed."""
    report: Report | None
    """Verified; absent while the account has none."""
    account_sequence: int
    """Never falls. The report covers the change where its own sequence is no lower."""
    skipped: int
    """How many earlier changes of the account this one stands for."""
    retracted: tuple[int, int] | None
    """Of a change that took something back: first and last account sequence whose reports counted it."""
    position: str
    """Opaque."""
    at: Seconds
    """The service's clock; 0 on a snapshot."""


def read_event(
    message: collateral_service_pb2.WatchCollateralResponse, trust: TrustRoot
) -> tuple[CollateralEvent, VerifiedReport | None]:
    """Read one message of the stream.

    Raises:
        VerificationError: its report does not verify or is of another account than the event, its time is
            none, or it retracts what was not before it.
    """
    match message.WhichOneof("event"):
        case "snapshot":
            body = message.snapshot
            name, cause, resource, skipped, at = body.account.name, "", "", 0, 0
            carried = body.report if body.HasField("report") else None
        case "change":
            change = message.change
            name, resource, skipped = change.account, change.resource, change.skipped
            cause, at = _cause(change.cause), change.commit_time.seconds
            carried = change.report if change.HasField("report") else None
        case "heartbeat":
            name, cause, resource, skipped, carried = "", "", "", 0, None
            at = message.heartbeat.server_time.seconds
        case _:
            raise VerificationError("an event of no known kind")
    if not 0 <= at <= SECONDS_MAX:
        raise VerificationError(f"an event at {at}, which is no time")
    account = name.removeprefix("accounts/")
    verified = None if carried is None else trust.verify_report(carried, account=account)
    event = CollateralEvent(
        kind=EventKind(message.WhichOneof("event") or ""),
        account=account,
        cause=cause,
        resource=resource,
        report=None if verified is None else verified.report,
        account_sequence=message.account_sequence,
        skipped=skipped,
        retracted=_retracted(message),
        position=message.position,
        at=Seconds(at),
    )
    return event, verified


def _retracted(message: collateral_service_pb2.WatchCollateralResponse) -> tuple[int, int] | None:
    if not message.change.HasField("retraction"):
        return None
    said = message.change.retraction
    first, last = said.first_account_sequence, said.last_account_sequence
    if not 0 < first <= last < message.account_sequence:
        raise VerificationError(f"change {message.account_sequence} retracts {first} to {last}")
    return first, last


def _cause(value: int) -> str:
    try:
        return cause_pb2.Cause.Name(value).removeprefix("CAUSE_").lower()
    except ValueError:
        return f"cause_{value}"  # of a newer service: still a change
