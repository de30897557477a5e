"""A destination of one account's allowlist: signed by the pledgor, approved by a quorum, then cooled off."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from custody.domain.errors import DestinationNotUsable
from custody.domain.identifiers import Etag, etag_of
from signers.statements.allowlist import Destination
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, DestinationId, Digest, EntityId, Seconds


@final
class DestinationState(StrEnum):
    """Whether the destination can be paid to. `COOLING` and `USABLE` follow from the time."""

    PENDING_APPROVAL = "pending-approval"
    COOLING = "cooling"
    USABLE = "usable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedDestination:
    """One allowlist entry and how far its approval is."""

    account: AccountId
    destination_id: DestinationId
    destination: Destination
    envelope: Envelope
    """The entry with the signatures of the pledgor and of the approvers so far."""
    digest: Digest
    approved_by: tuple[EntityId, ...]
    missing_approvals: int
    usable_at: Seconds | None
    """What the entry says, or the cooling-off after the last approval if later; `None` before it."""
    created_at: Seconds
    updated_at: Seconds

    @property
    def asset(self) -> Asset:
        """What it takes."""
        return self.destination.asset

    @property
    def etag(self) -> Etag:
        """Covers the entry and whether it is approved."""
        return etag_of(self.digest, "approved" if self.usable_at is not None else "pending")

    def state(self, *, now: Seconds) -> DestinationState:
        """Where it stands at `now`."""
        if self.usable_at is None:
            return DestinationState.PENDING_APPROVAL
        return DestinationState.USABLE if now >= self.usable_at else DestinationState.COOLING

    def require_usable(self, *, now: Seconds) -> None:
        """Raise `DestinationNotUsable` unless it is approved and has cooled off."""
        state = self.state(now=now)
        if state is not DestinationState.USABLE:
            data = {"state": state.value}
            if self.usable_at is not None:
                data["usable_at"] = str(self.usable_at)
            raise DestinationNotUsable(f"{self.destination_id} is {state}", field="destination_id", data=data)
