"""`SignerService`: what custody may ask. Each method is decode, one flow of the rules, encode."""

from __future__ import annotations

from typing import Any

import grpc
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc

from signers.rules import answers, onboarding
from signers.rules.announce import announce
from signers.rules.sign import sign
from signers.rules.signer import Signer
from signers.service import codec
from signers.service.errors import Fault
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.receipt import Act

Context = grpc.aio.ServicerContext[Any, Any]


class SignerService(signer_pb2_grpc.SignerServiceServicer):
    """See signer.proto."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def CreateAccountKey(  # noqa: N802 - the name in signer.proto
        self, request: pb.CreateAccountKeyRequest, _context: Context
    ) -> pb.CreateAccountKeyResponse:
        """See signer.proto."""
        account, asset = codec.read_key_request(request)
        return codec.write_key(await onboarding.create_account_key(self._signer, account, asset))

    async def CosignAccount(  # noqa: N802 - the name in signer.proto
        self, request: pb.CosignAccountRequest, _context: Context
    ) -> pb.CosignAccountResponse:
        """See signer.proto."""
        account, keys = codec.read_cosign_request(request)
        envelope = await onboarding.cosign_account(self._signer, account, keys)
        return pb.CosignAccountResponse(envelope=envelope.to_json())

    async def ProveOwnership(  # noqa: N802 - the name in signer.proto
        self, request: pb.ProveOwnershipRequest, _context: Context
    ) -> pb.ProveOwnershipResponse:
        """See signer.proto."""
        account, digest = codec.read_ownership_request(request)
        ownership = await onboarding.prove_ownership(self._signer, account, digest)
        return codec.write_ownership(self._signer.id, ownership)

    async def Announce(  # noqa: N802 - the name in signer.proto
        self, request: pb.AnnounceRequest, _context: Context
    ) -> pb.AnnounceResponse:
        """See signer.proto."""
        receipt = await announce(self._signer, codec.read_announcement(request))
        return pb.AnnounceResponse(receipt=receipt.to_json())

    async def Sign(  # noqa: N802 - the name in signer.proto
        self, request: pb.SignRequest, _context: Context
    ) -> pb.SignResponse:
        """See signer.proto."""
        signed = await sign(self._signer, codec.read_signing_request(request))
        return codec.write_attempt(signed.asset, signed)

    async def GetReceipt(  # noqa: N802 - the name in signer.proto
        self, request: pb.GetReceiptRequest, _context: Context
    ) -> pb.GetReceiptResponse:
        """See signer.proto."""
        return await read_receipt(self._signer, request)


async def read_receipt(signer: Signer, request: pb.GetReceiptRequest) -> pb.GetReceiptResponse:
    """A receipt, for custody and for peers alike.

    Raises:
        Fault: NOT_FOUND where none was given.
    """
    digest, act = codec.read_receipt_request(request)
    receipt = await answers.receipt(signer, digest, act)
    return pb.GetReceiptResponse(receipt=_found(receipt, digest, act).to_json())


def _found(receipt: Envelope | None, digest: Digest, act: Act) -> Envelope:
    if receipt is None:
        raise Fault(
            code=grpc.StatusCode.NOT_FOUND,
            reason="receipt-not-found",
            message=f"intent {digest} was never {act.value} here",
        )
    return receipt
