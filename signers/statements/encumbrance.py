"""What the secured party has a claim on: liens in units, hash-chained per account, signed by it alone."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from signers.statements.amounts import Amount
from signers.statements.identifiers import AccountId, Digest, LienId, Seconds
from signers.statements.statement import Statement, payload_type


@final
class EncumbranceKind(StrEnum):
    """The two phases of a lien: reserved, then resolved at most once."""

    RESERVE = "reserve"
    POST = "post"
    VOID = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encumbrance(Statement):
    """One change of one lien.

    Raises:
        ValueError: an expiry where none belongs or none where one does, or a reserve or post of nothing.
    """

    TYPE: ClassVar[str] = payload_type("encumbrance")

    account: AccountId
    sequence: int
    """1 for the account's first encumbrance, then one more each."""
    previous: Digest
    """Digest of the encumbrance before; `GENESIS` for the first."""
    kind: EncumbranceKind
    lien: LienId
    amount: Amount
    """Reserve: what is reserved. Post: how much of it stays; the rest is freed. Void: what still stands."""
    expires_at: Seconds | None
    """Only of a reserve: when it lapses by itself if neither posted nor voided."""

    def __post_init__(self) -> None:
        if self.sequence < 1:
            raise ValueError("sequence starts at 1")
        if (self.sequence == 1) is not (int(self.previous, 16) == 0):
            raise ValueError("only the first encumbrance has no predecessor")
        if not self.amount:
            raise ValueError("amount is more than nothing")
        if (self.kind is EncumbranceKind.RESERVE) is (self.expires_at is None):
            raise ValueError("exactly a reserve expires")
