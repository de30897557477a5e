"""Ethereum as the rules see it: own node, builder, judge and the joint key behind one face."""

from __future__ import annotations

from dataclasses import dataclass

from signers.ethereum import eip191
from signers.ethereum.address import require_address
from signers.ethereum.construct import UnsignedPayout, build_payout
from signers.ethereum.node import EthereumView, NodeUnfit
from signers.ethereum.sign import ImplementationsDisagree, sign_payout
from signers.ethereum.verify import VerifiedPayout, verify_payout
from signers.journal import Point
from signers.keys.port import JointKeys, NotHolder, SigningFailed
from signers.rules.chains import (
    AttemptNotSigned,
    Draft,
    Order,
    Tip,
    answered,
    key_ref,
)
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import Digest, SignerId
from signers.statements.intent import Intent, NonceAnchor, OutpointAnchor
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumDraft:
    """A payout that was built here and that eth-account accepted."""

    payout: UnsignedPayout
    verified: VerifiedPayout
    intent: Intent
    account: Account
    fee: Wei

    @property
    def transaction(self) -> bytes:
        """The payload that is hashed for the signature (EIP-1559)."""
        return self.payout.payload

    @property
    def digest(self) -> Digest:
        """SHA-256 of `transaction`."""
        return Digest.of(self.transaction)

    @property
    def inputs(self) -> tuple[OutpointAnchor, ...]:
        """An account has none."""
        return ()


class EthereumChain:
    """`Chain` for ether."""

    def __init__(
        self,
        *,
        own_id: SignerId,
        network: Network,
        node: EthereumView,
        joint: JointKeys,
        participants: tuple[SignerId, ...],
    ) -> None:
        """One per signer.

        Args:
            own_id: which signer this is.
            network: whose chain id the node must have.
            node: its own.
            joint: where the account's key is, as far as it is here.
            participants: all signers of the policy.
        """
        self._own_id = own_id
        self._network = network
        self._node = node
        self._joint = joint
        self._participants = participants

    async def tip(self) -> Tip:
        """See `Chain`. Of a node that is, at this moment, of the right chain."""
        try:
            await answered(self._node.check())
        except NodeUnfit as error:
            raise Refusal(Tag.CHAIN_ID, str(error)) from error
        block = await answered(self._node.tip())
        return Tip(
            point=Point(height=block.height, block_hash=block.block_hash),
            time=block.time,
            median_time_past=block.time,
        )

    async def require_anchor(self, intent: Intent, account: Account) -> None:
        """The anchor is the account's next nonce on this very chain."""
        anchor = _anchor(intent)
        refuse_unless(
            anchor.chain_id == self._network.chain_id,
            Tag.CHAIN_ID,
            f"an intent for chain {anchor.chain_id}, not {self._network.chain_id}",
        )
        nonce = await answered(self._node.next_nonce(account.ethereum.address))
        refuse_unless(
            anchor.nonce == nonce, Tag.NONCE, f"the intent uses nonce {anchor.nonce}, next is {nonce}"
        )

    async def anchor_is_final(
        self,
        intent: Intent,
        account: Account,
        *,
        depth: int,  # noqa: ARG002 - of the port: this chain says itself what is final
        since_height: int,  # noqa: ARG002 - of the port: no search is needed
    ) -> bool:
        """A nonce is spent at finality once the finalised state counts past it."""
        return await answered(
            self._node.anchor_spent_at_finality(account.ethereum.address, nonce=_anchor(intent).nonce)
        )

    async def anchor_is_open(self, intent: Intent, account: Account) -> bool:
        """See `Chain`."""
        next_nonce = await answered(self._node.next_nonce(account.ethereum.address))
        return next_nonce <= _anchor(intent).nonce

    def require_ownership(self, entry: AllowlistEntry) -> None:
        """EIP-191."""
        eip191.verify_destination_proof(entry)

    def require_address(self, account: Account) -> None:
        """The address is that of the key: Keccak is more than the statement's own type can check."""
        require_address(account)

    def build(self, order: Order) -> EthereumDraft:
        """See `Chain`. Coins and peers' signatures have no place here, nor has a signer without the key."""
        refuse_unless(
            self._joint.holder in {None, self._own_id},
            Tag.ACCOUNT_MODE,
            f"{self._joint.holder} holds the key, not {self._own_id}",
        )
        refuse_unless(
            not order.coins and not order.peers,
            Tag.TRANSACTION_SHAPE,
            "a payout of ether has neither inputs nor partial signatures",
        )
        assert isinstance(order.fee, Wei)  # noqa: S101 - made of the intent's own asset
        payout = build_payout(intent=order.intent, account=order.account, fee=order.fee)
        verified = verify_payout(payout.payload, intent=order.intent, account=order.account, fee=order.fee)
        return EthereumDraft(
            payout=payout, verified=verified, intent=order.intent, account=order.account, fee=order.fee
        )

    async def require_coins(self, draft: Draft) -> None:
        """The account can pay amount and fee, as the own node counts."""
        assert isinstance(draft, EthereumDraft)  # noqa: S101 - made by `build`
        balance = await answered(self._node.balance(draft.account.ethereum.address))
        needed = draft.payout.amount.units + draft.payout.fee_max.units
        refuse_unless(
            balance.units >= needed, Tag.AMOUNT, f"the account holds {balance}, {needed} are needed"
        )

    async def sign(self, draft: Draft) -> tuple[bytes, ...]:
        """The holder signs; everyone else says who the holder is."""
        assert isinstance(draft, EthereumDraft)  # noqa: S101 - made by `build`
        try:
            transaction = await sign_payout(
                payout=draft.payout,
                verified=draft.verified,
                intent=draft.intent,
                account=draft.account,
                fee=draft.fee,
                sign=lambda digest: self._sign_digest(draft.account, digest),
            )
        except NotHolder as error:
            raise Refusal(Tag.ACCOUNT_MODE, str(error)) from error
        except (ImplementationsDisagree, SigningFailed) as error:
            raise AttemptNotSigned(str(error)) from error
        return (transaction,)

    async def prove_ownership(self, account: Account) -> bytes | None:
        """EIP-191, over the account's own message; the holder alone can."""
        try:
            proof = await eip191.sign_ownership(
                account, sign=lambda digest: self._sign_digest(account, digest)
            )
        except NotHolder:
            return None
        except SigningFailed as error:
            raise AttemptNotSigned(str(error)) from error
        return bytes.fromhex(proof)

    async def _sign_digest(self, account: Account, digest: bytes) -> bytes:
        ref = key_ref(account.account, Asset.ETH)
        signature = await self._joint.joint_sign(ref, digest, self._participants)
        return signature.compact() + bytes([signature.recovery_id])


def _anchor(intent: Intent) -> NonceAnchor:
    if not isinstance(intent.anchor, NonceAnchor):
        raise Refusal(Tag.NONCE, "a payout of ether is anchored at a nonce")
    return intent.anchor
