"""A custody that is an enemy: it asks every signer anything, keeps every signature and publishes at will.

It may own one signer with its OpenBao: then that signer announces whatever it is told in receipts of its own,
and its key signs any payout, with no rule asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from bitcoin.core import CTransaction, b2lx

from signers.rules.announce import announce
from signers.rules.chains import Order
from signers.rules.decision import Declined
from signers.rules.sign import SigningRequest, sign
from signers.statements.amounts import Asset, amount_of
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, SignerId
from signers.statements.intent import Anchor, Intent, NonceAnchor, OutpointAnchor
from signers.statements.receipt import Act
from signers.statements.refusals import Refusal
from tests.signers.stage import Stage

SIGNATURES = {Asset.BTC: 2, Asset.ETH: 1}
"""How many signers make a payout spendable: two of three, or the one that holds the key."""


@dataclass(frozen=True)
class Spendable:
    """A payout that enough signers signed: custody can publish it whenever it likes."""

    intent: Intent
    transaction: bytes
    """BTC: without witnesses. ETH: what was signed."""

    @property
    def uses(self) -> frozenset[Anchor]:
        """What only one transaction can ever use: outputs, or the account's nonce."""
        if isinstance(self.intent.anchor, NonceAnchor):
            return frozenset({self.intent.anchor})
        inputs = CTransaction.deserialize(self.transaction).vin
        return frozenset(OutpointAnchor(txid=b2lx(i.prevout.hash), index=i.prevout.n) for i in inputs)


@dataclass
class Enemy:
    """What custody has collected."""

    stage: Stage
    owned: int | None = None
    """Index of the signer that it owns."""
    receipts: dict[Digest, dict[SignerId, Envelope]] = field(default_factory=dict)
    intents: dict[Digest, Intent] = field(default_factory=dict)
    signed: dict[tuple[Digest, bytes], dict[SignerId, tuple[bytes, ...]]] = field(default_factory=dict)

    async def announce(self, index: int, intent: Intent) -> bool:
        """Get one signer to announce, with every signature that an approved intent has."""
        signer = self.stage[index]
        try:
            if index == self.owned:
                party = self.stage.world.signers[index]
                receipt = self.stage.world.cosign(
                    self.stage.world.receipt(party, intent, Act.ANNOUNCED), party
                )
            else:
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
            if index == self.owned:
                transaction, signatures = await self._sign_as_owner(index, request)
            else:
                attempt = await sign(signer, request)
                transaction, signatures = attempt.transaction, attempt.signatures
        except (Declined, Refusal):
            return False
        key = (request.intent_digest, transaction)
        known = self.signed.setdefault(key, {}).setdefault(signer.id, signatures)
        assert known == signatures, "the same attempt got another signature"
        return True

    async def _sign_as_owner(self, index: int, request: SigningRequest) -> tuple[bytes, tuple[bytes, ...]]:
        """With the signer's key and none of its rules; only what an honest one could sign too is of use."""
        intent = self.intents[request.intent_digest]
        chain = self.stage[index].chains[intent.asset]
        order = Order(
            intent=intent,
            account=self.stage.world.account,
            fee=amount_of(intent.asset, request.fee_units),
            coins=request.coins,
        )
        draft = chain.build(order)
        return draft.transaction, await chain.sign(draft)

    def relayed(self, intent: Intent, *, forged: bool = False) -> tuple[Envelope, ...]:
        """The announce receipts it has; those of the others forged with the key that it owns."""
        known = self.receipts.get(intent.digest, {})
        if self.owned is None or not forged:
            return tuple(known.values())
        world = self.stage.world
        lies = (
            world.cosign(world.receipt(party, intent, Act.ANNOUNCED), world.signers[self.owned])
            for party in world.signers
            if party.signer not in known
        )
        return (*known.values(), *lies)

    def spendable(self) -> list[Spendable]:
        """Every transaction that enough signers have signed."""
        return [
            Spendable(self.intents[digest], transaction)
            for (digest, transaction), by in self.signed.items()
            if len(by) >= SIGNATURES[self.intents[digest].asset]
        ]

    def pairs_that_could_both_confirm(self) -> Iterator[tuple[Spendable, Spendable]]:
        """Two transactions of one intent id that use nothing in common."""
        for first, second in combinations(self.spendable(), 2):
            if first.intent.intent == second.intent.intent and not first.uses & second.uses:
                yield first, second
