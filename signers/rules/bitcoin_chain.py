"""Bitcoin as the rules see it: own node, builder, judge and key behind one face."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from signers.bitcoin import bip322
from signers.bitcoin.coins import (
    SIGHASH_ALL,
    ConfirmedOutput,
    Outpoint,
    account_script,
    anchor_outpoint,
    require_confirmed,
)
from signers.bitcoin.construct import UnsignedPayout, build_payout
from signers.bitcoin.sign import (
    ImplementationsDisagree,
    PartialSignatures,
    combine,
    sign_payout,
    verify_partial,
    witness_signature,
)
from signers.bitcoin.verify import VerifiedPayout, verify_payout
from signers.journal import Point
from signers.keys.port import AccountKeys, SigningFailed
from signers.rules.chains import (
    AnchorSeen,
    AnchorState,
    AttemptNotSigned,
    Draft,
    Order,
    PeerSignatures,
    Tip,
    key_ref,
)
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import (
    BlockHash,
    CompressedKey,
    Digest,
    EcdsaSignature,
    SignerId,
)
from signers.statements.intent import Intent, OutpointAnchor
from signers.statements.refusals import Refusal, Tag, refuse_unless


class BitcoinNode(Protocol):
    """This signer's own bitcoind. Each call raises `NodeUnavailable` where it does not answer."""

    async def tip(self) -> Tip:
        """The best block."""

    async def block_hash(self, height: int) -> BlockHash | None:
        """The block of the best chain at that height; `None` above the tip."""

    async def confirmed_output(self, outpoint: Outpoint) -> ConfirmedOutput | None:
        """An unspent output of the best chain; `None` where it is spent, unconfirmed or was never there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinDraft:
    """A payout that embit built and python-bitcoinlib accepted."""

    payout: UnsignedPayout
    verified: VerifiedPayout
    account: Account
    peers: tuple[PartialSignatures, ...]

    @property
    def transaction(self) -> bytes:
        """Without witnesses."""
        return self.payout.transaction

    @property
    def digest(self) -> Digest:
        """SHA-256 of `transaction`."""
        return Digest(hashlib.sha256(self.transaction).hexdigest())

    @property
    def inputs(self) -> tuple[OutpointAnchor, ...]:
        """What it spends."""
        return tuple(
            OutpointAnchor(txid=each.outpoint.txid, index=each.outpoint.index) for each in self.payout.spent
        )


class BitcoinChain:
    """`Chain` for bitcoin."""

    def __init__(self, *, own_id: SignerId, node: BitcoinNode, keys: AccountKeys) -> None:
        """One per signer.

        Args:
            own_id: which cosigner this is.
            node: its own.
            keys: where its account keys are.
        """
        self._own_id = own_id
        self._node = node
        self._keys = keys

    async def tip(self) -> Tip:
        """See `Chain`."""
        return await self._node.tip()

    async def require_anchor(self, intent: Intent, account: Account) -> Point:
        """The anchor is an unspent, confirmed output of the account."""
        if not isinstance(intent.anchor, OutpointAnchor):
            raise Refusal(Tag.ANCHOR_MISMATCH, "a payout of bitcoin is anchored at an outpoint")
        outpoint = anchor_outpoint(intent.anchor)
        output = await self._node.confirmed_output(outpoint)
        if output is None:
            raise Refusal(Tag.ANCHOR_SPENT, f"{outpoint} is not an unspent output of the own node")
        refuse_unless(
            output.script == account_script(account), Tag.ANCHOR_MISMATCH, f"{outpoint} is not the account's"
        )
        return await self._at(output.height)

    async def see_anchor(
        self,
        intent: Intent,
        account: Account,  # noqa: ARG002 - of the port: on Ethereum the account's nonce is the anchor
        *,
        made_in: Point,
    ) -> AnchorSeen:
        """See `Chain`. An absent output is spent only while the block that made it stands."""
        assert isinstance(intent.anchor, OutpointAnchor)  # noqa: S101 - it was announced as a payout of bitcoin
        output = await self._node.confirmed_output(anchor_outpoint(intent.anchor))
        if output is not None:
            return AnchorSeen(state=AnchorState.OPEN, at=await self._at(output.height))
        tip = (await self._node.tip()).point
        stands = await self.holds(made_in)
        return AnchorSeen(state=AnchorState.SPENT if stands else AnchorState.UNKNOWN, at=tip)

    async def holds(self, point: Point) -> bool:
        """See `Chain`."""
        return await self._node.block_hash(point.height) == point.block_hash

    async def _at(self, height: int) -> Point:
        block_hash = await self._node.block_hash(height)
        if block_hash is None:
            raise Refusal(Tag.ANCHOR_SPENT, f"a reorganisation is under way at block {height}")
        return Point(height=height, block_hash=block_hash)

    def require_ownership(self, entry: AllowlistEntry) -> None:
        """BIP-322."""
        bip322.verify_destination_proof(entry)

    def require_address(self, account: Account) -> None:
        """The script is that of the keys; the account statement's own type checks it too."""
        refuse_unless(
            multisig.script_pubkey(account.bitcoin.keys) == account.bitcoin.script_pubkey,
            Tag.ACCOUNT_KEYS,
            "the script is not that of the keys",
        )

    def build(self, order: Order) -> BitcoinDraft:
        """See `Chain`. Signatures of peers are checked here, before this signer adds its own."""
        assert isinstance(order.fee, Sats)  # noqa: S101 - made of the intent's own asset
        payout = build_payout(intent=order.intent, account=order.account, coins=order.coins, fee=order.fee)
        verified = verify_payout(
            payout.transaction, intent=order.intent, account=order.account, coins=order.coins, fee=order.fee
        )
        peers = tuple(_partial(order.account, each) for each in order.peers)
        for partial in peers:
            verify_partial(partial, verified)
        return BitcoinDraft(payout=payout, verified=verified, account=order.account, peers=peers)

    async def require_coins(self, draft: Draft) -> None:
        """Every input is unspent and confirmed on the own node, with the value the fee was computed from."""
        assert isinstance(draft, BitcoinDraft)  # noqa: S101 - made by `build`
        for spent in draft.payout.spent:
            require_confirmed(spent, await self._node.confirmed_output(spent.outpoint))

    async def sign(self, draft: Draft) -> tuple[bytes, ...]:
        """Sign every input; with a peer's signatures at hand, let Bitcoin Core's rules judge the whole."""
        assert isinstance(draft, BitcoinDraft)  # noqa: S101 - made by `build`
        key = self._own_key(draft.account)
        try:
            own = await sign_payout(
                payout=draft.payout,
                verified=draft.verified,
                key=key,
                sign=lambda digest: self._sign_digest(draft.account, digest),
            )
        except (ImplementationsDisagree, SigningFailed) as error:
            raise AttemptNotSigned(str(error)) from error
        for peer in draft.peers:
            if peer.public_key != key:
                combine(draft.verified, own, peer)
        return tuple(witness_signature(signature) for signature in own.signatures)

    async def prove_ownership(self, account: Account) -> bytes | None:
        """BIP-322, over the account's own message."""
        try:
            partial = await bip322.sign_ownership(
                account,
                key=self._own_key(account),
                sign=lambda digest: self._sign_digest(account, digest),
            )
        except (ImplementationsDisagree, SigningFailed) as error:
            raise AttemptNotSigned(str(error)) from error
        return witness_signature(partial.signatures[0])

    def _own_key(self, account: Account) -> CompressedKey:
        return _key_of(account, self._own_id)

    async def _sign_digest(self, account: Account, digest: bytes) -> EcdsaSignature:
        signature = await self._keys.sign(key_ref(account.account, Asset.BTC), digest)
        return EcdsaSignature(signature.compact().hex())


def _key_of(account: Account, signer: SignerId) -> CompressedKey:
    for cosigner in account.bitcoin.cosigners:
        if cosigner.signer == signer:
            return cosigner.public_key
    raise Refusal(Tag.ACCOUNT_KEYS, f"{signer} holds no key of {account.account}")


def _partial(account: Account, peer: PeerSignatures) -> PartialSignatures:
    signatures = tuple(_compact(signature) for signature in peer.signatures)
    return PartialSignatures(public_key=_key_of(account, peer.signer), signatures=signatures)


def _compact(signature: bytes) -> EcdsaSignature:
    """From a witness's DER and hash type to r ‖ s.

    Raises:
        Refusal: `signature-invalid`.
    """
    try:
        r, s = decode_dss_signature(signature[:-1])
        compact = EcdsaSignature((r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex())
    except (ValueError, OverflowError) as error:
        raise Refusal(Tag.SIGNATURE_INVALID, "a peer's signature is not DER") from error
    refuse_unless(signature[-1:] == bytes([SIGHASH_ALL]), Tag.SIGNATURE_INVALID, "not SIGHASH_ALL")
    return compact
