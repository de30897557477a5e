"""Liens: the secured party's claim on units, reserved, then posted or given back; resolved at most once."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from custody.domain.errors import StateConflict
from custody.domain.ledger import Book
from signers.statements.amounts import Amount
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, LienId, Seconds


@final
class LienState(StrEnum):
    """Where a lien stands."""

    RESERVED = "reserved"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


HELD_IN: Final = {LienState.RESERVED: Book.RESERVED, LienState.POSTED: Book.POSTED}
"""The book that holds a lien's units while it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lien:
    """One lien. Its terms come from the secured party's statements and from nowhere else."""

    account: AccountId
    lien: LienId
    amount: Amount
    """What it holds; after the end, what it last held."""
    state: LienState
    envelope: Envelope
    """The latest encumbrance statement of this lien."""
    digest: Digest
    encumbrance_sequence: int
    account_sequence: int
    expires_at: Seconds
    """When a reservation lapses. Says nothing any more once posted."""
    posted_at: Seconds | None = None
    ended_at: Seconds | None = None
    created_at: Seconds
    updated_at: Seconds

    def require(self, kind: EncumbranceKind, *, now: Seconds) -> None:
        """Raise `StateConflict` unless this change is open to it.

        A reservation that has lapsed but was not swept yet cannot be posted; voiding it is harmless.
        """
        open_to = {
            LienState.RESERVED: {EncumbranceKind.POST, EncumbranceKind.VOID},
            LienState.POSTED: {EncumbranceKind.VOID},
        }
        if kind not in open_to.get(self.state, ()):
            raise StateConflict(f"{self.lien} is {self.state}", data={"state": self.state.value})
        if kind is EncumbranceKind.POST and now >= self.expires_at:
            raise StateConflict(
                f"{self.lien} lapsed at {self.expires_at}", data={"state": LienState.EXPIRED.value}
            )
