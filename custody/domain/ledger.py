"""Double entry: what every unit of a pledge account is doing, and how it may move.

A posting moves an unsigned amount from one book (debit, gives) to another (credit, takes), so the books of an
account and asset sum to zero by construction. Postings are only ever added. `EXTERNAL` is the world's contra
book; it and `REORG_SHORTFALL` alone may be negative. Liens and withdrawals move units out of `AVAILABLE`, so
two of them can never hold the same unit.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, final

from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.identifiers import AccountId, Seconds


@final
class Book(StrEnum):
    """One ledger account within a pledge account and asset."""

    EXTERNAL = "external"
    """The world outside. Negative by what has come in and not left."""
    PENDING = "pending"
    """Seen and not yet credited; lent against at 0."""
    AVAILABLE = "available"
    """Credited, and held by nothing."""
    RESERVED = "reserved"
    """Under liens in their first phase."""
    POSTED = "posted"
    """Under posted liens."""
    WITHDRAWING = "withdrawing"
    """Held for open withdrawals: amount and fee cap, until the payout is final."""
    NETWORK_FEES = "network_fees"
    """Paid to the networks."""
    REORG_SHORTFALL = "reorg_shortfall"
    """Negative by what was lent against or paid out and then removed by a reorganisation."""


BOOKS: Final = tuple(Book)
_units_of: Final = operator.attrgetter(*BOOKS)
_PLACE: Final = {book: place for place, book in enumerate(BOOKS)}


class LedgerViolation(Exception):  # noqa: N818 - it says what was done
    """A movement that no rule allows: a fault in this program, never a caller's. The command is undone."""


@final
class CauseKind(StrEnum):
    """What changed an account."""

    ACCOUNT = "account"
    HALT = "halt"
    HALT_LIFTED = "halt-lifted"
    DESTINATION = "destination"
    DEPOSIT = "deposit"
    DEPOSIT_REVERSED = "deposit-reversed"
    LIEN = "lien"
    WITHDRAWAL = "withdrawal"
    WITHDRAWAL_REOPENED = "withdrawal-reopened"


@dataclass(frozen=True, slots=True)
class Cause:
    """What changed, and which resource: the id of the deposit, lien, withdrawal or destination.

    Of a halt, why; where a person lifted it, also which principal.
    """

    kind: CauseKind
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """A posting about to be made."""

    debit: Book
    """Gives."""
    credit: Book
    """Takes."""
    amount: Amount

    def __post_init__(self) -> None:
        if self.debit is self.credit or not self.amount.units:
            raise LedgerViolation(f"{self.amount} from {self.debit} to {self.credit} moves nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A movement on record. `sequence` is the account's; one entry of it can hold several postings."""

    account: AccountId
    sequence: int
    index: int
    """0, 1, … within the entry."""
    debit: Book
    credit: Book
    amount: Amount
    cause: Cause
    at: Seconds


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one account: why, when, and what it moved. A change can move nothing."""

    cause: Cause
    at: Seconds
    movements: tuple[Movement, ...] = ()
    retracts_from: int | None = None
    """The account's sequence from which on reports counted what this change takes back."""


@dataclass(frozen=True, slots=True)
class Balances:
    """The books of one account and asset, in smallest units.

    Raises:
        LedgerViolation: they do not sum to zero, a book is negative that may not be, or units are available
            while a shortfall stands.
    """

    asset: Asset
    external: int = 0
    pending: int = 0
    available: int = 0
    reserved: int = 0
    posted: int = 0
    withdrawing: int = 0
    network_fees: int = 0
    reorg_shortfall: int = 0

    def __post_init__(self) -> None:
        held = (self.pending, self.available, self.reserved, self.posted, self.withdrawing, self.network_fees)
        if self.external + self.reorg_shortfall + sum(held) != 0:
            raise LedgerViolation(f"books do not balance: {self}")
        if min(held) < 0 or self.reorg_shortfall > 0:
            raise LedgerViolation(f"a book is beyond its bound: {self}")
        if self.reorg_shortfall < 0 < self.available:
            raise LedgerViolation(f"units are available beside a shortfall: {self}")

    @property
    def confirmed(self) -> int:
        """Credited, and not finally left. Negative only by a shortfall.

        A payout that is in a block and not final is still in here, under `withdrawing`, and no longer at the
        address: `application.settlement.leaving`. Reports, and the comparison with the chain, count it out.
        """
        return self.available + self.reserved + self.posted + self.withdrawing + self.reorg_shortfall

    @property
    def shortfall(self) -> int:
        """How much is missing, as an unsigned number."""
        return -self.reorg_shortfall

    def after(self, movements: Iterable[Movement]) -> Self:
        """These books once the movements are posted.

        Raises:
            LedgerViolation: as the class, or a movement of another asset.
        """
        units = list(_units_of(self))
        for movement in movements:
            if movement.amount.asset is not self.asset:
                raise LedgerViolation(f"{movement.amount} in the books of {self.asset}")
            units[_PLACE[movement.debit]] -= movement.amount.units
            units[_PLACE[movement.credit]] += movement.amount.units
        return type(self)(self.asset, *units)


def free_quantity(balances: Balances, *, halted: bool) -> Amount:
    """What a new lien or withdrawal may take. The one function that both ask."""
    return amount_of(balances.asset, 0 if halted else balances.available)


def give(balances: Balances, source: Book, amount: Amount) -> tuple[Movement, ...]:
    """Give units of `source` back to the account: a shortfall is filled first, the rest is available."""
    owed = min(balances.shortfall, amount.units)
    parts = ((Book.REORG_SHORTFALL, owed), (Book.AVAILABLE, amount.units - owed))
    return _movements((source, book, units, amount.asset) for book, units in parts)


def take(balances: Balances, target: Book, amount: Amount) -> tuple[Movement, ...]:
    """Take units that a reorganisation removed: from what is available, the rest from a shortfall.

    What is encumbered stays encumbered: the secured party's claim is not undone by a chain's mishap, the
    shortfall says that it is no longer covered.
    """
    at_hand = min(balances.available, amount.units)
    parts = ((Book.AVAILABLE, at_hand), (Book.REORG_SHORTFALL, amount.units - at_hand))
    return _movements((book, target, units, amount.asset) for book, units in parts)


def _movements(parts: Iterable[tuple[Book, Book, int, Asset]]) -> tuple[Movement, ...]:
    return tuple(
        Movement(debit, credit, amount_of(asset, units)) for debit, credit, units, asset in parts if units
    )


def recompute(asset: Asset, postings: Iterable[Posting]) -> Balances:
    """The balances that postings add up to, from nothing: what the stored balances must equal.

    Raises:
        LedgerViolation: somewhere on the way a rule was broken.
    """
    balances = Balances(asset)
    entry: list[Posting] = []
    for posting in postings:
        if entry and entry[0].sequence != posting.sequence:
            balances = balances.after(Movement(p.debit, p.credit, p.amount) for p in entry)
            entry = []
        entry.append(posting)
    return balances.after(Movement(p.debit, p.credit, p.amount) for p in entry)
