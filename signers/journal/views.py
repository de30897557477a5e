"""What follows from the journal's records, and which entries would contradict it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from signers.journal.entries import (
    AccountCosigned,
    AccountKeyCreated,
    AllowlistEntrySeen,
    AnchorFinal,
    AnchorReopened,
    Announced,
    Attempted,
    Entry,
    OwnershipProven,
    PeerHeadSeen,
    PeerReceiptSeen,
    Point,
    PolicyPinned,
    Record,
    Refused,
    Signed,
    TimeSeen,
)
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, Digest, IntentId, Seconds, SignerId
from signers.statements.intent import Intent, OutpointAnchor
from signers.statements.refusals import Tag

REFUSALS_PER_HOUR_MAX: Final = 1000
"""More are still refused, without a receipt: who asks without end fills some 7 GB of the disk in a year."""
REFUSALS_KEPT_MAX: Final = 10_000
"""In memory, the latest. What was refused before them is judged anew, and written down anew."""

_FINAL: Final = frozenset({Tag.INTENT_EXPIRED, Tag.AUTHORITY_EXPIRED})
"""What was refused as over stays over, however the clock is set: others count on that word."""

RefusalKey = tuple[AccountId, Digest, Tag, tuple[Digest, ...]]
K = TypeVar("K")


class Conflict(ValueError):  # noqa: N818 - the tag's word: journal-conflict
    """An entry contradicts the journal. The rules refuse earlier; this is the last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHead:
    """A place in a signer's journal, as others know it; 0 and `GENESIS` before its first record."""

    sequence: int
    head: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One transaction of an intent."""

    entry: Attempted
    signed: Record | None = None
    """The record of its `Signed`; `None` if the process ended in between."""

    @property
    def signatures(self) -> tuple[bytes, ...] | None:
        """What was signed, or `None`."""
        if self.signed is None or not isinstance(self.signed.entry, Signed):
            return None
        return tuple(signature.raw for signature in self.signed.entry.signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentHistory:
    """Everything this signer did under one intent."""

    record: Record
    """Of the announcement."""
    entry: Announced
    intent: Intent
    digest: Digest
    attempts: tuple[Attempt, ...] = ()
    final: Point | None = None
    """The tip at which the anchor was seen spent at finality; the intent has ended."""

    @property
    def live(self) -> bool:
        """Whether a payout of it could still confirm."""
        return self.final is None

    @property
    def fees_units(self) -> int:
        """What all distinct attempts together may have paid, in smallest units."""
        return sum(attempt.entry.fee.units for attempt in self.attempts)

    def attempt(self, transaction_digest: Digest) -> Attempt | None:
        """The attempt with exactly this transaction."""
        for attempt in self.attempts:
            if attempt.entry.transaction_digest == transaction_digest:
                return attempt
        return None

    @property
    def last_signed(self) -> Record | None:
        """The latest signature's record."""
        records = [attempt.signed for attempt in self.attempts if attempt.signed is not None]
        return max(records, key=lambda record: record.sequence, default=None)


class Views:
    """What the records say, folded in order. Only `apply` changes it."""

    def __init__(self) -> None:
        self.policy: PolicyPinned | None = None
        self.account_keys: dict[tuple[AccountId, Asset], AccountKeyCreated] = {}
        self.accounts: dict[AccountId, AccountCosigned] = {}
        self.ownership: dict[AccountId, OwnershipProven] = {}
        self.allowlist_first_seen: dict[Digest, Seconds] = {}
        self.intents: dict[Digest, IntentHistory] = {}
        self.digest_of: dict[IntentId, Digest] = {}
        self.peer_heads: dict[SignerId, PeerHead] = {}
        """The highest seen of each peer's journal."""
        self.peer_receipts: dict[tuple[SignerId, Digest], PeerReceiptSeen] = {}
        self.refusals: dict[RefusalKey, Record] = {}
        self.last_refusal: dict[Digest, Record] = {}
        self.high_water: Seconds = Seconds(0)
        """The latest time at which this signer decided something while its clock agreed with the chain."""
        self.refused_at: deque[Seconds] = deque(maxlen=REFUSALS_PER_HOUR_MAX)
        """When the latest refusals were written: what bounds how fast a caller can fill the disk."""

    def of_account(self, account: AccountId, asset: Asset) -> Iterator[IntentHistory]:
        """The intents of one account and asset, oldest first."""
        for history in self.intents.values():
            if history.intent.account == account and history.intent.asset is asset:
                yield history

    def announced_units(self, account: AccountId, asset: Asset, *, since: Seconds) -> int:
        """Amounts plus fee caps announced after `since`, in smallest units."""
        return sum(
            history.intent.amount.units + history.intent.fee_cap.units
            for history in self.of_account(account, asset)
            if history.record.at > since
        )

    def live(self) -> list[IntentHistory]:
        """Every intent whose anchor is not spent at finality."""
        return [history for history in self.intents.values() if history.live]

    def check(self, entry: Entry) -> None:  # noqa: C901 - one line for each kind of entry
        """Refuse an entry that contradicts what is written.

        Raises:
            Conflict: it does.
        """
        match entry:
            case PolicyPinned():
                _require(self.policy is None, "a policy is pinned already")
            case AccountKeyCreated():
                _require((entry.account, entry.asset) not in self.account_keys, "the account has that key")
            case AccountCosigned():
                _require(entry.account not in self.accounts, "the account is co-signed already")
            case OwnershipProven():
                _require(entry.account in self.accounts, "the account is not co-signed")
            case AllowlistEntrySeen():
                _require(entry.entry_digest not in self.allowlist_first_seen, "the entry was seen before")
            case Announced():
                self._check_announced(entry)
            case Attempted():
                self._check_attempted(entry)
            case Signed():
                self._check_signed(entry)
            case AnchorFinal() | AnchorReopened():
                _require(entry.intent_digest in self.intents, "the intent was not announced")
            case PeerReceiptSeen() | PeerHeadSeen():
                seen = self.peer_heads.get(entry.signer)
                forked = seen is not None and seen.sequence == entry.sequence and seen.head != entry.head
                _require(not forked, f"the journal of {entry.signer} has two histories")
            case Refused() | TimeSeen():
                pass

    def _check_announced(self, entry: Announced) -> None:
        envelope = entry.intent.envelope
        intent = Intent.parse(envelope.payload)
        _require(intent.intent not in self.digest_of, "that intent id was announced before")
        for other in self.of_account(intent.account, intent.asset):
            _require(
                not other.live or other.intent.anchor == intent.anchor,
                "another intent of the account is live on another anchor",
            )

    def _check_attempted(self, entry: Attempted) -> None:
        history = self._history(entry.intent_digest)
        _require(history.attempt(entry.transaction_digest) is None, "that attempt is written already")
        fees = history.fees_units + entry.fee.units
        _require(fees <= history.intent.fee_cap.units, "the attempts together exceed the fee cap")
        anchor = history.intent.anchor
        if isinstance(anchor, OutpointAnchor):
            _require(anchor in entry.inputs, "the attempt does not spend its anchor")

    def _check_signed(self, entry: Signed) -> None:
        attempt = self._history(entry.intent_digest).attempt(entry.transaction_digest)
        _require(attempt is not None, "a signature without its attempt")
        _require(attempt is None or attempt.signed is None, "that attempt is signed already")

    def _history(self, digest: Digest) -> IntentHistory:
        try:
            return self.intents[digest]
        except KeyError:
            raise Conflict(f"intent {digest} was not announced") from None

    def apply(self, record: Record) -> None:
        """Take in the next record, which `check` has passed."""
        match entry := record.entry:
            case PolicyPinned():
                self.policy = entry
            case AccountKeyCreated():
                self.account_keys[entry.account, entry.asset] = entry
            case AccountCosigned():
                self.accounts[entry.account] = entry
            case OwnershipProven():
                self.ownership[entry.account] = entry
            case AllowlistEntrySeen():
                self.allowlist_first_seen[entry.entry_digest] = record.at
            case PeerReceiptSeen() | PeerHeadSeen():
                self._apply_peer(entry)
            case Refused():
                key = (entry.account, entry.intent_digest, entry.tag, entry.inputs)
                _keep(self.refusals, key, record)
                _keep(self.last_refusal, entry.intent_digest, record)
                self.refused_at.append(record.at)
                if entry.tag in _FINAL:
                    self.high_water = max(self.high_water, record.at)
            case TimeSeen():
                self.high_water = max(self.high_water, record.at)
            case _:
                self._apply_to_intent(record)

    def _apply_peer(self, entry: PeerReceiptSeen | PeerHeadSeen) -> None:
        if isinstance(entry, PeerReceiptSeen):
            self.peer_receipts[entry.signer, entry.intent_digest] = entry
        seen = self.peer_heads.get(entry.signer)
        if seen is None or entry.sequence > seen.sequence:
            self.peer_heads[entry.signer] = PeerHead(sequence=entry.sequence, head=entry.head)

    def _apply_to_intent(self, record: Record) -> None:
        match entry := record.entry:
            case Announced():
                envelope = entry.intent.envelope
                history = IntentHistory(
                    record=record,
                    entry=entry,
                    intent=Intent.parse(envelope.payload),
                    digest=envelope.digest,
                )
                self.intents[envelope.digest] = history
                self.digest_of[history.intent.intent] = envelope.digest
                self.high_water = max(self.high_water, record.at)
            case Attempted():
                history = self.intents[entry.intent_digest]
                attempts = (*history.attempts, Attempt(entry=entry))
                self.intents[entry.intent_digest] = replace(history, attempts=attempts)
                self.high_water = max(self.high_water, record.at)
            case Signed():
                history = self.intents[entry.intent_digest]
                attempts = tuple(
                    replace(a, signed=record) if a.entry.transaction_digest == entry.transaction_digest else a
                    for a in history.attempts
                )
                self.intents[entry.intent_digest] = replace(history, attempts=attempts)
            case AnchorFinal():
                self.intents[entry.intent_digest] = replace(
                    self.intents[entry.intent_digest], final=entry.seen_at
                )
            case AnchorReopened():
                self.intents[entry.intent_digest] = replace(self.intents[entry.intent_digest], final=None)


def _keep(refusals: dict[K, Record], key: K, record: Record) -> None:
    """Beside the latest others."""
    refusals.pop(key, None)
    refusals[key] = record
    if len(refusals) > REFUSALS_KEPT_MAX:
        del refusals[next(iter(refusals))]


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise Conflict(what)
