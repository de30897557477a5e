"""The kinds of journal entry. Each says one thing that happened; none is ever changed or removed."""

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from signers.statements import canonical, schema
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    BlockHash,
    CompressedKey,
    DestinationId,
    Digest,
    Seconds,
    SignerId,
    Text,
)
from signers.statements.intent import OutpointAnchor
from signers.statements.refusals import Tag
from signers.statements.statement import payload_type

RECORD_TYPE: Final = payload_type("journal-record")


class Document(Text):
    """An envelope in its JSON form, as it arrived: the evidence, signatures included."""

    pattern = re.compile(r"[\x20-\x7e]{2,131072}", re.ASCII)

    @property
    def envelope(self) -> Envelope:
        """The envelope it says."""
        return Envelope.from_json(self.encode())


class Hex(Text):
    """Bytes in lower-case hexadecimal, at most 400 kB of them."""

    pattern = re.compile(r"(?:[0-9a-f]{2}){1,400000}", re.ASCII)


class Detail(Text):
    """What a rule saw, for a person: printable ASCII, cut to length."""

    pattern = re.compile(r"[\x20-\x7e]{0,300}", re.ASCII)

    @classmethod
    def of(cls, text: str) -> Self:
        """`text` with everything unprintable replaced."""
        return cls("".join(char if " " <= char <= "~" else "?" for char in text[:300]))


def document(envelope: Envelope) -> Document:
    """The envelope as the journal holds it."""
    return Document(envelope.to_json().decode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A block of this signer's own node."""

    height: int
    block_hash: BlockHash


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPinned:
    """The policy under which everything that follows was decided."""

    kind: Literal["policy-pinned"] = "policy-pinned"
    policy_digest: Digest
    policy: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKeyCreated:
    """A fresh key of one account, with the statement in which this signer vouches for it."""

    kind: Literal["account-key-created"] = "account-key-created"
    account: AccountId
    asset: Asset
    public_key: CompressedKey
    statement: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCosigned:
    """An account statement that this signer stands behind, with the parties' signatures."""

    kind: Literal["account-cosigned"] = "account-cosigned"
    account: AccountId
    account_digest: Digest
    statement: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipProven:
    """This signer's part of the proofs that the account's addresses can be spent from."""

    kind: Literal["ownership-proven"] = "ownership-proven"
    account: AccountId
    account_digest: Digest
    bitcoin: Hex
    """BIP-322: DER signature and the byte SIGHASH_ALL."""
    ethereum: Hex | None
    """EIP-191: r ‖ s ‖ v, of the holder only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowlistEntrySeen:
    """The first time this signer saw a completely signed allowlist entry: its cooling-off starts."""

    kind: Literal["allowlist-entry-seen"] = "allowlist-entry-seen"
    entry_digest: Digest
    account: AccountId
    destination_id: DestinationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An intent with everything that authorises it. Its timelock runs from this record."""

    kind: Literal["announced"] = "announced"
    intent: Document
    release: Document
    allowlist_entry: Document
    seen_at: Point
    """The tip of this signer's own node: the timelock's blocks count from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReceiptSeen:
    """A peer's announce receipt: what this signer can hold against a rolled-back journal of that peer."""

    kind: Literal["peer-receipt-seen"] = "peer-receipt-seen"
    signer: SignerId
    intent_digest: Digest
    sequence: int
    head: Digest
    receipt: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHeadSeen:
    """How far a peer's journal is, by its own signed word: to be held against it as a receipt of it is."""

    kind: Literal["peer-head-seen"] = "peer-head-seen"
    signer: SignerId
    sequence: int
    head: Digest
    statement: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """The exact transaction that is about to be signed. Written before any key is touched."""

    kind: Literal["attempted"] = "attempted"
    intent_digest: Digest
    transaction_digest: Digest
    """SHA-256 of `transaction`."""
    transaction: Hex
    """The unsigned transaction."""
    fee: Amount
    inputs: tuple[OutpointAnchor, ...]
    """BTC: the outputs it spends. ETH: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What came out, so that the same question gets the identical answer."""

    kind: Literal["signed"] = "signed"
    intent_digest: Digest
    transaction_digest: Digest
    signatures: tuple[Hex, ...]
    """BTC: one per input, DER and SIGHASH_ALL. ETH: the one signed transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A rule said no."""

    kind: Literal["refused"] = "refused"
    account: AccountId
    asset: Asset | None
    intent_digest: Digest
    tag: Tag
    detail: Detail
    inputs: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFinal:
    """The anchor is spent at finality on this signer's own node: the intent has ended."""

    kind: Literal["anchor-final"] = "anchor-final"
    intent_digest: Digest
    seen_at: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorReopened:
    """A reorganisation took the spend back: the intent is live again."""

    kind: Literal["anchor-reopened"] = "anchor-reopened"
    intent_digest: Digest
    seen_at: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSeen:
    """The wall clock stood here while it agreed with the chain: no later decision happens earlier."""

    kind: Literal["time-seen"] = "time-seen"


Entry = (
    PolicyPinned
    | AccountKeyCreated
    | AccountCosigned
    | OwnershipProven
    | AllowlistEntrySeen
    | Announced
    | PeerReceiptSeen
    | PeerHeadSeen
    | Attempted
    | Signed
    | Refused
    | AnchorFinal
    | AnchorReopened
    | TimeSeen
)


FORGETTABLE: Final = (PeerReceiptSeen, PeerHeadSeen, Refused, AnchorFinal, AnchorReopened, TimeSeen)
"""What was only looked at or refused. A journal that loses such records lets nothing happen twice, so peers
are not told of them: each would answer with one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry in its place."""

    sequence: int
    """1 for the first."""
    previous: Digest
    """Head before this record; `GENESIS` for the first."""
    at: Seconds
    entry: Entry

    def to_bytes(self) -> bytes:
        """The canonical bytes (RFC 8785) that are stored and hashed."""
        return canonical.encode(schema.to_json(self))

    @property
    def head(self) -> Digest:
        """SHA-256 of the PAE of type and bytes: the journal's head once this record is its last."""
        return head_of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read stored bytes.

        Raises:
            ValueError: they are not a record.
        """
        return schema.from_json(cls, json.loads(data))


def head_of(data: bytes) -> Digest:
    """The head that a record's bytes make."""
    return Envelope(RECORD_TYPE, data).digest
