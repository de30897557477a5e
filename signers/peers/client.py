"""`Peers` over mutual TLS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grpc
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc

from signers.peers.port import PeerUnavailable
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Nonce, SignerId
from signers.statements.refusals import Refusal

_SECONDS_MAX: Final = 5.0
_ANSWER_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddress:
    """Where a peer is, and what its certificate must say."""

    signer: SignerId
    target: str
    """`host:port`."""
    certificate_name: str


class PeerClient:
    """The other signers. Channels connect when they are needed and come back by themselves."""

    def __init__(
        self, addresses: Iterable[PeerAddress], *, certificate: Path, key: Path, authority: Path
    ) -> None:
        credentials = grpc.ssl_channel_credentials(
            authority.read_bytes(), key.read_bytes(), certificate.read_bytes()
        )
        self._channels = MappingProxyType(
            {address.signer: _channel(address, credentials) for address in addresses}
        )

    async def announce_receipt(self, peer: SignerId, intent_digest: Digest) -> Envelope | None:
        """See `Peers`."""
        request = pb.GetReceiptRequest(intent_digest=intent_digest, act=pb.ACT_ANNOUNCED)
        try:
            answer = await self._stub(peer).GetReceipt(request, timeout=_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise PeerUnavailable(f"{peer}: {error.code().name}") from error
        return _envelope(peer, answer.receipt)

    async def journal_head(self, peer: SignerId, *, subject: SignerId, nonce: Nonce) -> Envelope:
        """See `Peers`."""
        request = pb.GetJournalHeadRequest(signer_id=subject, nonce=nonce.raw)
        try:
            answer = await self._stub(peer).GetJournalHead(request, timeout=_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            raise PeerUnavailable(f"{peer}: {error.code().name}") from error
        return _envelope(peer, answer.envelope)

    def _stub(self, peer: SignerId) -> signer_pb2_grpc.PeerServiceAsyncStub:
        if peer not in self._channels:
            raise PeerUnavailable(f"{peer} has no address here")
        return signer_pb2_grpc.PeerServiceStub(self._channels[peer])

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()


def _channel(address: PeerAddress, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
    # The name is checked against the certificate whatever the address is: peers move, their names do not.
    options = (
        ("grpc.ssl_target_name_override", address.certificate_name),
        ("grpc.default_authority", address.certificate_name),
        ("grpc.max_receive_message_length", _ANSWER_BYTES_MAX),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.enable_http_proxy", 0),
    )
    return grpc.aio.secure_channel(address.target, credentials, options=options)


def _envelope(peer: SignerId, data: bytes) -> Envelope:
    try:
        return Envelope.from_json(data)
    except Refusal as refusal:
        raise PeerUnavailable(f"{peer} answered no envelope: {refusal}") from refusal
