"""Bitcoin as the rules see it: own node, builder, judge and key behind one face."""

from __future__ import annotations

from dataclasses import dataclass

from signers.bitcoin import bip322
from signers.bitcoin.coins import (
    Outpoint,
    account_script,
    anchor_outpoint,
    require_confirmed,
)
from signers.bitcoin.construct import UnsignedPayout, build_payout
from signers.bitcoin.node import BitcoinView, NodeUnfit
from signers.bitcoin.sign import (
    ImplementationsDisagree,
    PartialSignatures,
    combine,
    read_witness_signature,
    sign_payout,
    verify_partial,
    witness_signature,
)
from signers.bitcoin.verify import VerifiedPayout, verify_payout
from signers.journal import Point
from signers.keys.port import AccountKeys, SigningFailed
from signers.rules.chains import (
    AttemptNotSigned,
    Draft,
    Order,
    PeerSignatures,
    Tip,
    answered,
    key_ref,
)
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import (
    CompressedKey,
    Digest,
    EcdsaSignature,
    SignerId,
)
from signers.statements.intent import Intent, OutpointAnchor
from signers.statements.refusals import Refusal, Tag, refuse_unless


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
        return Digest.of(self.transaction)

    @property
    def inputs(self) -> tuple[OutpointAnchor, ...]:
        """What it spends."""
        return tuple(
            OutpointAnchor(txid=each.outpoint.txid, index=each.outpoint.index) for each in self.payout.spent
        )


class BitcoinChain:
    """`Chain` for bitcoin."""

    def __init__(self, *, own_id: SignerId, node: BitcoinView, keys: AccountKeys) -> None:
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
        """See `Chain`. Of a node that is, at this moment, of the right chain and fit for a signer."""
        try:
            await answered(self._node.check())
        except NodeUnfit as error:
            raise Refusal(Tag.CHAIN_ID, str(error)) from error
        tip = await answered(self._node.tip())
        return Tip(
            point=Point(height=tip.height, block_hash=tip.block_hash),
            time=tip.time,
            median_time_past=tip.median_time_past,
        )

    async def require_anchor(self, intent: Intent, account: Account) -> None:
        """The anchor is an unspent, confirmed output of the account."""
        outpoint = _anchor(intent)
        output = await answered(self._node.confirmed_output(outpoint))
        if output is None:
            raise Refusal(Tag.ANCHOR_SPENT, f"{outpoint} is not an unspent output of the own node")
        refuse_unless(
            output.script == account_script(account), Tag.ANCHOR_MISMATCH, f"{outpoint} is not the account's"
        )

    async def anchor_is_final(
        self,
        intent: Intent,
        account: Account,  # noqa: ARG002 - of the port: on Ethereum the account's nonce is the anchor
        *,
        depth: int,
        since_height: int,
    ) -> bool:
        """See `Chain`."""
        return await answered(
            self._node.anchor_spent_at_finality(_anchor(intent), depth=depth, since_height=since_height)
        )

    async def anchor_is_open(
        self,
        intent: Intent,
        account: Account,  # noqa: ARG002 - as above
    ) -> bool:
        """See `Chain`."""
        return await answered(self._node.confirmed_output(_anchor(intent))) is not None

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
        """See `Chain`. Of what peers have signed only what is valid counts: rubbish of one stops no other."""
        assert isinstance(order.fee, Sats)  # noqa: S101 - made of the intent's own asset
        payout = build_payout(intent=order.intent, account=order.account, coins=order.coins, fee=order.fee)
        verified = verify_payout(
            payout.transaction, intent=order.intent, account=order.account, coins=order.coins, fee=order.fee
        )
        halves = (_half(each, order.account, verified) for each in order.peers)
        peers = tuple(half for half in halves if half is not None)
        return BitcoinDraft(payout=payout, verified=verified, account=order.account, peers=peers)

    async def require_coins(self, draft: Draft) -> None:
        """Every input is unspent and confirmed on the own node, with the value the fee was computed from."""
        assert isinstance(draft, BitcoinDraft)  # noqa: S101 - made by `build`
        for spent in draft.payout.spent:
            require_confirmed(spent, await answered(self._node.confirmed_output(spent.outpoint)))

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
    try:
        return account.bitcoin.key_of(signer)
    except LookupError as error:
        raise Refusal(Tag.ACCOUNT_KEYS, f"{account.account}: {error}") from error


def _half(peer: PeerSignatures, account: Account, verified: VerifiedPayout) -> PartialSignatures | None:
    """What a peer has signed of this payout; `None` where it has not."""
    try:
        signatures = tuple(read_witness_signature(signature) for signature in peer.signatures)
        half = PartialSignatures(public_key=_key_of(account, peer.signer), signatures=signatures)
        verify_partial(half, verified)
    except Refusal:
        return None
    return half


def _anchor(intent: Intent) -> Outpoint:
    if not isinstance(intent.anchor, OutpointAnchor):
        raise Refusal(Tag.ANCHOR_MISMATCH, "a payout of bitcoin is anchored at an outpoint")
    return anchor_outpoint(intent.anchor)
