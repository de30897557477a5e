"""Three signers in memory with the world's keys; their signatures are real."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bip322core import build_to_sign, build_to_spend
from bitcoin.core import (
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
)
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, SignatureHash
from coincurve import PrivateKey
from embit.script import Script
from embit.transaction import SIGHASH
from eth_account import Account as EthereumAccount
from eth_account.messages import encode_defunct

from custody.application.ports.signers import (
    PREVIOUS_BYTES_TOTAL_MAX,
    BitcoinAttempt,
    CreatedKey,
    EthereumAttempt,
    HeldBy,
    PreviousOutput,
    SignerRefused,
)
from custody.domain.account import OwnershipProof
from custody.domain.withdrawal import PartialSignatures
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.allowlist import BitcoinDestination, EthereumDestination
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    Digest,
    Seconds,
    SignerId,
)
from signers.statements.intent import Anchor, Intent, NonceAnchor, Release
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.factories import SignerParty, World


@dataclass
class FakeSigner:
    """One signer: announces once, signs what it announced, refuses what the test tells it to.

    Of the rules it has those that a payout can run into by itself: expiry, the anchor it is bound to, and
    what it takes of inputs.
    """

    party: SignerParty
    announced: dict[Digest, Envelope] = field(default_factory=dict)
    intents: dict[Digest, Intent] = field(default_factory=dict)
    ends_at: dict[Digest, Seconds] = field(default_factory=dict)
    """When its authority to sign an intent for the first time ends."""
    attempted: set[Digest] = field(default_factory=set)
    signed: dict[bytes, Intent] = field(default_factory=dict)
    """What each transaction (BTC: unsigned, ETH: signed) is an attempt of."""
    shown: list[tuple[SignerId, ...]] = field(default_factory=list)
    """Whose halves it was brought, each time it was asked to sign."""
    refuses: Tag | None = None
    corrupts: bool = False
    misstates: Callable[[Envelope], Envelope] | None = None
    """What it makes of each of its receipts."""

    def state(self, receipt: Envelope) -> Envelope:
        """The receipt as it leaves."""
        return receipt if self.misstates is None else self.misstates(receipt)


class FakeSigners:
    """Three signers with the world's keys. Implements `Signers`."""

    def __init__(
        self, world: World, clock: Callable[[], Seconds], *, is_final: Callable[[Anchor], bool]
    ) -> None:
        self.world = world
        self.clock = clock
        self.is_final = is_final
        """Whether an anchor is spent for good, on these signers' own nodes."""
        self.each = {party.signer: FakeSigner(party) for party in world.signers}

    async def create_account_key(
        self, signer: SignerId, *, account: AccountId, asset: Asset
    ) -> CreatedKey | HeldBy:
        party, holder = self.each[signer].party, self.world.account.ethereum.holder
        if asset is Asset.ETH and signer != holder:
            return HeldBy(holder)
        return CreatedKey(self.world.cosign(self.world.account_key(party, asset), party))

    async def cosign_account(
        self, signer: SignerId, *, account: Envelope, account_keys: Sequence[Envelope]
    ) -> Envelope:
        bare = Envelope(account.payload_type, account.payload)
        return self.world.cosign(bare, self.each[signer].party)

    async def prove_ownership(
        self, signer: SignerId, *, account: AccountId, account_digest: Digest
    ) -> OwnershipProof:
        found = self.each[signer]
        return ownership_part(self.proven, found.party, corrupt=found.corrupts)

    @property
    def proven(self) -> Account:
        """The statement that the parts prove; a test may set another."""
        return getattr(self, "_proven", self.world.account)

    @proven.setter
    def proven(self, account: Account) -> None:
        self._proven = account

    async def announce(
        self, signer: SignerId, *, intent: Envelope, release: Envelope, allowlist_entry: Envelope
    ) -> Envelope:
        said = Intent.read(intent, network=self.world.network)
        found = self._willing(signer, said)
        if intent.digest not in found.announced:
            if self.clock() >= said.expires_at:
                raise self._refusal(found, said, Tag.INTENT_EXPIRED)
            if any(self._binds(other, said) for other in found.intents.values()):
                raise self._refusal(found, said, Tag.ANCHOR_BUSY)
            released = Release.read(release, network=self.world.network)
            found.ends_at[intent.digest] = min(said.expires_at, released.expires_at)
            receipt = self.world.receipt(found.party, said, Act.ANNOUNCED, at=self.clock())
            found.announced[intent.digest] = self.world.cosign(receipt, found.party)
            found.intents[intent.digest] = said
        return found.state(found.announced[intent.digest])

    async def sign_bitcoin(
        self,
        signer: SignerId,
        *,
        intent_digest: Digest,
        fee: Sats,
        inputs: Sequence[PreviousOutput],
        announce_receipts: Sequence[Envelope],
        partials: Sequence[PartialSignatures] = (),
    ) -> BitcoinAttempt:
        intent = self.each[signer].intents[intent_digest]
        self.each[signer].shown.append(tuple(partial.signer for partial in partials))
        size = sum(len(each.transaction) for each in inputs)
        unfit = None if 0 < size <= PREVIOUS_BYTES_TOTAL_MAX else Tag.PREVOUT_LIE
        found = self._attempting(signer, intent, unfit=unfit if inputs else Tag.TRANSACTION_SHAPE)
        assert len(announce_receipts) == 3
        unsigned, signatures = sign_payout(
            account=self.world.account, intent=intent, fee=fee, inputs=inputs, key=found.party.bitcoin_key
        )
        if found.corrupts:
            signatures = tuple(each[:10] + bytes([each[10] ^ 1]) + each[11:] for each in signatures)
        found.signed[unsigned] = intent
        receipt = self.world.receipt(found.party, intent, Act.SIGNED, at=self.clock())
        return BitcoinAttempt(
            unsigned=unsigned,
            partial=PartialSignatures(signer=signer, signatures=signatures),
            receipt=found.state(self.world.cosign(receipt, found.party)),
        )

    async def sign_ethereum(
        self, signer: SignerId, *, intent_digest: Digest, fee: Wei, announce_receipts: Sequence[Envelope]
    ) -> EthereumAttempt:
        intent = self.each[signer].intents[intent_digest]
        found = self._attempting(signer, intent)
        raw = sign_transfer(intent=intent, fee=fee, key=found.party.ethereum_key)
        found.signed[raw] = intent
        receipt = self.world.receipt(found.party, intent, Act.SIGNED, at=self.clock())
        return EthereumAttempt(raw=raw, receipt=found.state(self.world.cosign(receipt, found.party)))

    def refuse(self, signer: SignerId, tag: Tag) -> None:
        """From now on this signer refuses, with a signed receipt."""
        self.each[signer].refuses = tag

    def _binds(self, announced: Intent, intent: Intent) -> bool:
        same = announced.asset is not intent.asset or announced.anchor == intent.anchor
        return not same and not self.is_final(announced.anchor)

    def _willing(self, signer: SignerId, intent: Intent) -> FakeSigner:
        found = self.each[signer]
        if found.refuses is not None:
            raise self._refusal(found, intent, found.refuses)
        return found

    def _attempting(self, signer: SignerId, intent: Intent, *, unfit: Tag | None = None) -> FakeSigner:
        found = self._willing(signer, intent)
        if intent.digest not in found.attempted and self.clock() >= found.ends_at[intent.digest]:
            raise self._refusal(found, intent, Tag.AUTHORITY_EXPIRED)
        if unfit is not None:
            raise self._refusal(found, intent, unfit)
        found.attempted.add(intent.digest)
        return found

    def _refusal(self, found: FakeSigner, intent: Intent, tag: Tag) -> SignerRefused:
        said = self.world.receipt(found.party, intent, Act.REFUSED, tags=(tag,), at=self.clock())
        return SignerRefused(found.party.signer, tag, "by rule", self.world.cosign(said, found.party))


def sign_payout(
    *, account: Account, intent: Intent, fee: Sats, inputs: Sequence[PreviousOutput], key: PrivateKey
) -> tuple[bytes, tuple[bytes, ...]]:
    """The unsigned payout in BIP-69 order, and one key's signatures over it."""
    coins = []
    for each in inputs:
        previous = CTransaction.deserialize(each.transaction)
        coins.append((COutPoint(previous.GetTxid(), each.index), previous.vout[each.index].nValue))
    coins.sort(key=lambda coin: (bytes(coin[0].hash)[::-1], coin[0].n))
    assert isinstance(intent.destination, BitcoinDestination)
    outputs = [(intent.amount.units, intent.destination.script_pubkey.raw)]
    change = sum(value for _, value in coins) - intent.amount.units - fee.units
    if change:
        outputs.append((change, account.bitcoin.script_pubkey.raw))
    made = CMutableTransaction(
        [CMutableTxIn(prevout, nSequence=0xFFFFFFFD) for prevout, _ in coins],
        [CMutableTxOut(value, CScript(script)) for value, script in sorted(outputs)],
        nVersion=2,
    )
    script = CScript(multisig.witness_script(account.bitcoin.keys))
    signatures = tuple(
        key.sign(_digest(script, made, index, value), hasher=None) + bytes([SIGHASH_ALL])
        for index, (_, value) in enumerate(coins)
    )
    return bytes(made.serialize({"include_witness": False})), signatures


def sign_transfer(*, intent: Intent, fee: Wei, key: PrivateKey, **changes: Any) -> bytes:
    """A signed type 2 transfer."""
    assert isinstance(intent.destination, EthereumDestination)
    assert isinstance(intent.anchor, NonceAnchor)
    fields = {
        "type": 2,
        "chainId": intent.network.chain_id,
        "nonce": intent.anchor.nonce,
        "to": intent.destination.address.raw,
        "value": intent.amount.units,
        "gas": 21_000,
        "maxFeePerGas": fee.units // 21_000,
        "maxPriorityFeePerGas": fee.units // 21_000 // 8,
        "data": b"",
    }
    signed = EthereumAccount.sign_transaction({**fields, **changes}, key.secret)
    return bytes(signed.raw_transaction)


def ownership_part(account: Account, party: SignerParty, *, corrupt: bool = False) -> OwnershipProof:
    """A signer's part of the proofs over an account statement."""
    message = account.bitcoin_ownership_message.encode()
    to_spend = build_to_spend(message, account.bitcoin.script_pubkey.raw)
    to_sign = build_to_sign(to_spend.txid())
    script = Script(multisig.witness_script(account.bitcoin.keys))
    digest = bytearray(to_sign.sighash_segwit(0, script, 0, SIGHASH.ALL))
    if corrupt:
        digest[0] ^= 1
    ethereum = None
    if party.signer == account.ethereum.holder:
        signable = encode_defunct(text=account.ethereum_ownership_message)
        ethereum = bytes(EthereumAccount.sign_message(signable, party.ethereum_key.secret).signature)
    signature = party.bitcoin_key.sign(bytes(digest), hasher=None) + bytes([SIGHASH_ALL])
    return OwnershipProof(signer=party.signer, bitcoin=signature, ethereum=ethereum)


def _digest(script: CScript, made: CMutableTransaction, index: int, value: int) -> bytes:
    digest = SignatureHash(script, made, index, SIGHASH_ALL, amount=value, sigversion=SIGVERSION_WITNESS_V0)
    return bytes(digest)
