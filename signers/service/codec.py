"""Between protobuf messages and the rules' own types. Statements travel as the JSON of their envelope."""

from __future__ import annotations

from typing import Final

from bailee.signer.v1 import signer_pb2 as pb

from signers.bitcoin.coins import Coin
from signers.rules.announce import Announcement
from signers.rules.chains import PeerSignatures
from signers.rules.onboarding import HeldElsewhere, Ownership
from signers.rules.sign import SignedAttempt, SigningRequest
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, Nonce, SignerId
from signers.statements.receipt import Act

_ASSETS: Final = {pb.CHAIN_BITCOIN: Asset.BTC, pb.CHAIN_ETHEREUM: Asset.ETH}
_ACTS: Final = {
    pb.ACT_ANNOUNCED: Act.ANNOUNCED,
    pb.ACT_SIGNED: Act.SIGNED,
    pb.ACT_REFUSED: Act.REFUSED,
}


def read_key_request(request: pb.CreateAccountKeyRequest) -> tuple[AccountId, Asset]:
    """Whose key, and of which chain."""
    return AccountId(request.account_id), _ASSETS[request.chain]


def write_key(answer: Envelope | HeldElsewhere) -> pb.CreateAccountKeyResponse:
    """The key's statement, or who holds it."""
    if isinstance(answer, HeldElsewhere):
        return pb.CreateAccountKeyResponse(holder=answer.holder)
    return pb.CreateAccountKeyResponse(envelope=answer.to_json())


def read_cosign_request(request: pb.CosignAccountRequest) -> tuple[Envelope, tuple[Envelope, ...]]:
    """The account statement, and the account-key statements.

    Raises:
        Refusal: `statement-malformed` or `statement-duplicate-key`.
    """
    return Envelope.from_json(request.account), tuple(map(Envelope.from_json, request.account_keys))


def read_ownership_request(request: pb.ProveOwnershipRequest) -> tuple[AccountId, Digest]:
    """Which account, as which statement."""
    return AccountId(request.account_id), Digest(request.account_digest)


def write_ownership(signer: SignerId, ownership: Ownership) -> pb.ProveOwnershipResponse:
    """This signer's parts of the proofs."""
    bitcoin = pb.ProveOwnershipResponse.BitcoinProof(signer_id=signer, signature=ownership.bitcoin)
    if ownership.ethereum is None:
        return pb.ProveOwnershipResponse(bitcoin=bitcoin)
    ethereum = pb.ProveOwnershipResponse.EthereumProof(signature=ownership.ethereum)
    return pb.ProveOwnershipResponse(bitcoin=bitcoin, ethereum=ethereum)


def read_announcement(request: pb.AnnounceRequest) -> Announcement:
    """What custody hands over.

    Raises:
        Refusal: `statement-malformed` or `statement-duplicate-key`.
    """
    return Announcement(
        intent=Envelope.from_json(request.intent),
        release=Envelope.from_json(request.release) if request.release else None,
        allowlist_entry=Envelope.from_json(request.allowlist_entry),
    )


def read_signing_request(request: pb.SignRequest) -> SigningRequest:
    """What custody asks.

    Raises:
        Refusal: `statement-malformed` or `statement-duplicate-key`.
    """
    return SigningRequest(
        intent_digest=Digest(request.intent_digest),
        fee_units=int(request.fee_units),
        coins=tuple(
            Coin(previous_transaction=each.previous_transaction, index=each.output_index)
            for each in request.bitcoin_inputs
        ),
        announce_receipts=tuple(map(Envelope.from_json, request.announce_receipts)),
        peer_signatures=tuple(
            PeerSignatures(signer=SignerId(each.signer_id), signatures=tuple(each.signatures))
            for each in request.partial_signatures
        ),
    )


def write_attempt(asset: Asset, signed: SignedAttempt) -> pb.SignResponse:
    """What was signed, and the receipt."""
    receipt = signed.receipt.to_json()
    if asset is Asset.ETH:
        ethereum = pb.SignResponse.EthereumAttempt(raw_transaction=signed.signatures[0])
        return pb.SignResponse(ethereum=ethereum, receipt=receipt)
    bitcoin = pb.SignResponse.BitcoinAttempt(
        unsigned_transaction=signed.transaction, signatures=signed.signatures
    )
    return pb.SignResponse(bitcoin=bitcoin, receipt=receipt)


def read_receipt_request(request: pb.GetReceiptRequest) -> tuple[Digest, Act]:
    """Which receipt."""
    return Digest(request.intent_digest), _ACTS[request.act]


def read_head_request(request: pb.GetJournalHeadRequest) -> tuple[SignerId, Nonce]:
    """Whose journal, and the nonce to answer over."""
    return SignerId(request.signer_id), Nonce(request.nonce.hex())
