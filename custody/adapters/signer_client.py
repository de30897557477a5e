"""The signers, over mutual TLS: implements the port `Signers`. Only here custody knows their protobuf.

Status codes as in bailee/signer/v1/signer.proto: FAILED_PRECONDITION with an ErrorInfo of domain
`bailee.signer` is a refusal, whose reason is the tag of the rule; what may be repeated is UNAVAILABLE.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
import protovalidate
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1.signer_pb2_grpc import SignerServiceStub
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import ErrorInfo  # it ships no types
from grpc_status import rpc_status

from custody.application.ports.signers import (
    BitcoinAttempt,
    CreatedKey,
    EthereumAttempt,
    HeldBy,
    PreviousOutput,
    SignerAnswerInvalid,
    SignerError,
    SignerRefused,
    SignerUnavailable,
)
from custody.domain.account import OwnershipProof
from custody.domain.withdrawal import PartialSignatures
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, SignerId
from signers.statements.refusals import Refusal, Tag

ERROR_DOMAIN: Final = "bailee.signer"
ANSWER_BYTES_MAX: Final = 1024 * 1024
REFUSAL_CHARACTERS_MAX: Final = 500
RECONNECT_MILLISECONDS_MAX: Final = 2_000
"""Workers pause by themselves; gRPC's own pause, which grows to two minutes, must not add to that."""
_TRY_AGAIN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)
_CHAINS: Final = {Asset.BTC: pb.CHAIN_BITCOIN, Asset.ETH: pb.CHAIN_ETHEREUM}

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerEndpoint:
    """Where one signer answers."""

    signer: SignerId
    target: str
    """host:port."""
    certificate_name: str
    """The one DNS name in its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """Custody's own certificate, and whose certificates it trusts. PEM."""

    authority: bytes
    certificate: bytes
    key: bytes


class SignerClients:
    """`Signers` over gRPC. `async with` it, or `close` it.

    Args:
        endpoints: the signers of the policy.
        identity: custody's certificate.
        timeout_seconds: for one call.
    """

    def __init__(
        self,
        endpoints: Sequence[SignerEndpoint],
        *,
        identity: TlsIdentity,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._channels = {endpoint.signer: _channel(endpoint, identity) for endpoint in endpoints}
        self._stubs = {signer: SignerServiceStub(channel) for signer, channel in self._channels.items()}

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        for channel in self._channels.values():
            await channel.close()

    async def create_account_key(
        self, signer: SignerId, *, account: AccountId, asset: Asset
    ) -> CreatedKey | HeldBy:
        """As the port says."""
        request = pb.CreateAccountKeyRequest(account_id=account, chain=_CHAINS[asset])
        answer = await self._ask(signer, self._stubs[signer].CreateAccountKey, request)
        if answer.WhichOneof("key") == "envelope":
            return CreatedKey(_envelope(signer, answer.envelope))
        try:
            return HeldBy(SignerId(answer.holder))
        except ValueError as error:
            raise SignerAnswerInvalid(signer, f"neither a key nor a holder: {error}") from error

    async def cosign_account(
        self, signer: SignerId, *, account: Envelope, account_keys: Sequence[Envelope]
    ) -> Envelope:
        """As the port says."""
        request = pb.CosignAccountRequest(
            account=account.to_json(), account_keys=[key.to_json() for key in account_keys]
        )
        answer = await self._ask(signer, self._stubs[signer].CosignAccount, request)
        return _envelope(signer, answer.envelope)

    async def prove_ownership(
        self, signer: SignerId, *, account: AccountId, account_digest: Digest
    ) -> OwnershipProof:
        """As the port says."""
        request = pb.ProveOwnershipRequest(account_id=account, account_digest=account_digest)
        answer = await self._ask(signer, self._stubs[signer].ProveOwnership, request)
        if answer.bitcoin.signer_id != signer:
            raise SignerAnswerInvalid(signer, f"the proof of {answer.bitcoin.signer_id[:40]!r}")
        return OwnershipProof(
            signer=signer,
            bitcoin=answer.bitcoin.signature,
            ethereum=answer.ethereum.signature if answer.HasField("ethereum") else None,
        )

    async def announce(
        self, signer: SignerId, *, intent: Envelope, release: Envelope, allowlist_entry: Envelope
    ) -> Envelope:
        """As the port says."""
        request = pb.AnnounceRequest(
            intent=intent.to_json(), release=release.to_json(), allowlist_entry=allowlist_entry.to_json()
        )
        answer = await self._ask(signer, self._stubs[signer].Announce, request)
        return _envelope(signer, answer.receipt)

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
        """As the port says."""
        request = pb.SignRequest(
            intent_digest=intent_digest,
            fee_units=str(fee.units),
            bitcoin_inputs=[
                pb.SignRequest.BitcoinInput(previous_transaction=each.transaction, output_index=each.index)
                for each in inputs
            ],
            announce_receipts=[receipt.to_json() for receipt in announce_receipts],
            partial_signatures=[
                pb.SignRequest.PartialSignatures(signer_id=each.signer, signatures=each.signatures)
                for each in partials
            ],
        )
        answer = await self._ask(signer, self._stubs[signer].Sign, request)
        if answer.WhichOneof("attempt") != "bitcoin":
            raise SignerAnswerInvalid(signer, "no Bitcoin attempt")
        return BitcoinAttempt(
            unsigned=answer.bitcoin.unsigned_transaction,
            partial=PartialSignatures(signer=signer, signatures=tuple(answer.bitcoin.signatures)),
            receipt=_envelope(signer, answer.receipt),
        )

    async def sign_ethereum(
        self, signer: SignerId, *, intent_digest: Digest, fee: Wei, announce_receipts: Sequence[Envelope]
    ) -> EthereumAttempt:
        """As the port says."""
        request = pb.SignRequest(
            intent_digest=intent_digest,
            fee_units=str(fee.units),
            announce_receipts=[receipt.to_json() for receipt in announce_receipts],
        )
        answer = await self._ask(signer, self._stubs[signer].Sign, request)
        if answer.WhichOneof("attempt") != "ethereum":
            raise SignerAnswerInvalid(signer, "no Ethereum attempt")
        return EthereumAttempt(raw=answer.ethereum.raw_transaction, receipt=_envelope(signer, answer.receipt))

    async def _ask(self, signer: SignerId, call: "grpc.aio.UnaryUnaryMultiCallable[Q, A]", request: Q) -> A:
        try:
            answer = await call(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _condition(signer, error) from error
        # What one signer says is kept, and shown to the others: theirs to judge, but never to choke on.
        try:
            protovalidate.validate(answer)
        except protovalidate.ValidationError as error:
            raise SignerAnswerInvalid(signer, str(error)[:REFUSAL_CHARACTERS_MAX]) from error
        return answer


def _channel(endpoint: SignerEndpoint, identity: TlsIdentity) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=identity.authority,
        private_key=identity.key,
        certificate_chain=identity.certificate,
    )
    return grpc.aio.secure_channel(
        endpoint.target,
        credentials,
        options=[
            ("grpc.ssl_target_name_override", endpoint.certificate_name),
            ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS_MAX),
            ("grpc.enable_retries", 0),
        ],
    )


def _envelope(signer: SignerId, data: bytes) -> Envelope:
    try:
        return Envelope.from_json(data)
    except Refusal as refusal:
        raise SignerAnswerInvalid(signer, str(refusal)) from refusal


def _condition(signer: SignerId, error: grpc.aio.AioRpcError) -> SignerError:
    """What a failed call means. Anything that is not understood is an invalid answer, never a success."""
    detail = (error.details() or "")[:REFUSAL_CHARACTERS_MAX]
    if error.code() in _TRY_AGAIN:
        return SignerUnavailable(signer, f"{error.code().name}: {detail}")
    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
        reason, metadata = _error_info(error)
        try:
            said = detail.removeprefix(f"{reason}: ")
            return SignerRefused(signer, Tag(reason), said, _refusal_receipt(metadata))
        except ValueError:
            return SignerAnswerInvalid(signer, f"refused for the unknown reason {reason[:60]!r}: {detail}")
    return SignerAnswerInvalid(signer, f"{error.code().name}: {detail}")


def _error_info(error: grpc.aio.AioRpcError) -> tuple[str, Mapping[str, str]]:
    """Reason and metadata of the signer's ErrorInfo; empty where there is none."""
    try:
        status = rpc_status.from_call(error)
        for each in () if status is None else status.details:
            info = ErrorInfo()
            if each.Unpack(info) and info.domain == ERROR_DOMAIN:
                return info.reason, dict(info.metadata)
    except (ValueError, DecodeError):
        pass
    return "", {}


def _refusal_receipt(metadata: Mapping[str, str]) -> Envelope | None:
    try:
        return Envelope.from_json(base64.b64decode(metadata["receipt"], validate=True))
    except (KeyError, binascii.Error, Refusal):
        return None
