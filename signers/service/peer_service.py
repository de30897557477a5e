"""`PeerService`: what the other signers may ask, past custody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc

from signers.rules import answers
from signers.rules.signer import Signer
from signers.service import codec
from signers.service.edge import caller
from signers.service.errors import Fault
from signers.service.signer_service import read_receipt
from signers.statements.identifiers import SignerId

Context = grpc.aio.ServicerContext[Any, Any]


class PeerService(signer_pb2_grpc.PeerServiceServicer):
    """See signer.proto."""

    def __init__(self, signer: Signer, *, peers: Mapping[str, SignerId]) -> None:
        """One per signer.

        Args:
            signer: who answers.
            peers: which signer a certificate's name stands for.
        """
        self._signer = signer
        self._peers = peers

    async def GetJournalHead(  # noqa: N802 - the name in signer.proto
        self, request: pb.GetJournalHeadRequest, _context: Context
    ) -> pb.GetJournalHeadResponse:
        """See signer.proto. A peer asks about its own journal, or about this signer's."""
        subject, nonce = codec.read_head_request(request)
        if subject not in (self._peers.get(caller.get()), self._signer.id):
            raise Fault(
                code=grpc.StatusCode.PERMISSION_DENIED,
                reason="caller-not-subject",
                message=f"{caller.get()} is not {subject}",
            )
        envelope = await answers.journal_head(self._signer, subject, nonce)
        return pb.GetJournalHeadResponse(envelope=envelope.to_json())

    async def GetReceipt(  # noqa: N802 - the name in signer.proto
        self, request: pb.GetReceiptRequest, _context: Context
    ) -> pb.GetReceiptResponse:
        """See signer.proto."""
        return await read_receipt(self._signer, request)
