"""A custody that is an enemy: it asks every signer anything, keeps every signature and publishes at will."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from bitcoin.core import CTransaction, b2lx

from signers.rules.announce import announce
from signers.rules.decision import Declined
from signers.rules.sign import SigningRequest, sign
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, SignerId
from signers.statements.intent import Intent, OutpointAnchor
from tests.signers.stage import Stage

Outpoint = tuple[str, int]


@dataclass(frozen=True)
class Spendable:
    """A transaction that two signers signed: custody can publish it whenever it likes."""

    intent: Intent
    transaction: CTransaction

    @property
    def inputs(self) -> frozenset[Outpoint]:
        return frozenset((b2lx(txin.prevout.hash), txin.prevout.n) for txin in self.transaction.vin)

    @property
    def anchor(self) -> Outpoint:
        assert isinstance(self.intent.anchor, OutpointAnchor)
        return str(self.intent.anchor.txid), self.intent.anchor.index


@dataclass
class Enemy:
    """What custody has collected."""

    stage: Stage
    receipts: dict[Digest, dict[SignerId, Envelope]] = field(default_factory=dict)
    intents: dict[Digest, Intent] = field(default_factory=dict)
    signed: dict[tuple[Digest, bytes], dict[SignerId, tuple[bytes, ...]]] = field(default_factory=dict)

    async def announce(self, index: int, intent: Intent) -> bool:
        """Get one signer to announce, with every signature that an approved intent has."""
        signer = self.stage[index]
        try:
            receipt = await announce(signer, self.stage.announcement(intent))
        except Declined:
            return False
        self.intents[intent.digest] = intent
        known = self.receipts.setdefault(intent.digest, {}).setdefault(signer.id, receipt)
        assert known.to_json() == receipt.to_json(), "the same announcement got another receipt"
        return True

    async def sign(self, index: int, request: SigningRequest) -> bool:
        """Get one signer to sign an attempt, and keep what it signed."""
        signer = self.stage[index]
        try:
            attempt = await sign(signer, request)
        except Declined:
            return False
        key = (request.intent_digest, attempt.transaction)
        known = self.signed.setdefault(key, {}).setdefault(signer.id, attempt.signatures)
        assert known == attempt.signatures, "the same attempt got another signature"
        return True

    def relayed(self, intent: Intent) -> tuple[Envelope, ...]:
        return tuple(self.receipts.get(intent.digest, {}).values())

    def spendable(self) -> list[Spendable]:
        """Every transaction that any two signers have signed."""
        return [
            Spendable(self.intents[digest], CTransaction.deserialize(transaction))
            for (digest, transaction), by in self.signed.items()
            if len(by) >= 2
        ]

    def pairs_that_could_both_confirm(self) -> Iterator[tuple[Spendable, Spendable]]:
        """Two transactions of one intent id that share no input."""
        for first, second in combinations(self.spendable(), 2):
            if first.intent.intent == second.intent.intent and not first.inputs & second.inputs:
                yield first, second
