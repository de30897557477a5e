"""The signer client against a gRPC server with mutual TLS: what is sent, what each answer means."""

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1.signer_pb2_grpc import SignerServiceServicer, add_SignerServiceServicer_to_server
from google.protobuf.any_pb2 import Any as ProtoAny
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from custody.adapters.signer_client import SignerClients, SignerEndpoint, TlsIdentity
from custody.application.ports.signers import (
    BitcoinAttempt,
    CreatedKey,
    EthereumAttempt,
    HeldBy,
    PreviousOutput,
    SignerAnswerInvalid,
    SignerRefused,
    SignerUnavailable,
)
from custody.domain.account import OwnershipProof
from custody.domain.withdrawal import PartialSignatures
from deploy.localnet.certificates import Certificate, CertificateAuthority
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import SignerId
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.factories import World, build_world

Answer = Callable[[Any], Any]


class Signer(SignerServiceServicer):
    """Answers each call as the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Any] = []
        self.fault: tuple[grpc.StatusCode, str] | Status | None = None

    async def _answer(self, name: str, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if isinstance(self.fault, Status):
            await context.abort_with_status(rpc_status.to_status(self.fault))
        elif self.fault is not None:
            await context.abort(*self.fault)
        return self.answers[name](request)

    async def CreateAccountKey(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return await self._answer("CreateAccountKey", request, context)

    async def CosignAccount(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return await self._answer("CosignAccount", request, context)

    async def ProveOwnership(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return await self._answer("ProveOwnership", request, context)

    async def Announce(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return await self._answer("Announce", request, context)

    async def Sign(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        return await self._answer("Sign", request, context)


ONE = SignerId("signer-1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    folder = tmp_path_factory.mktemp("certificates")
    private = folder / "private"
    private.mkdir()
    return CertificateAuthority(folder=folder, private_folder=private)


@pytest.fixture(scope="module")
def server_certificate(authority: CertificateAuthority) -> Certificate:
    return authority.issue("signer-1.bailee", server=True)


@pytest.fixture(scope="module")
def own_certificate(authority: CertificateAuthority) -> Certificate:
    return authority.issue("custody.bailee", server=True)


@pytest.fixture
def world() -> World:
    return build_world()


def identity_of(certificate: Certificate) -> TlsIdentity:
    read: Callable[[Path], bytes] = Path.read_bytes
    return TlsIdentity(
        authority=read(certificate.authority_file),
        certificate=read(certificate.certificate_file),
        key=read(certificate.key_file),
    )


class Running:
    """A signer and custody's client of it."""

    def __init__(self, signer: Signer, port: int, clients: SignerClients) -> None:
        self.signer = signer
        self.port = port
        self.clients = clients


@pytest.fixture
async def running(server_certificate: Certificate, own_certificate: Certificate) -> AsyncIterator[Running]:
    signer, server = Signer(), grpc.aio.server()
    add_SignerServiceServicer_to_server(signer, server)
    theirs = identity_of(server_certificate)
    credentials = grpc.ssl_server_credentials(
        [(theirs.key, theirs.certificate)], root_certificates=theirs.authority, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    clients = SignerClients([endpoint(port)], identity=identity_of(own_certificate), timeout_seconds=5)
    yield Running(signer, port, clients)
    await clients.close()
    await server.stop(None)


def endpoint(port: int, **changes: str) -> SignerEndpoint:
    told = {"target": f"127.0.0.1:{port}", "certificate_name": "signer-1.bailee", **changes}
    return SignerEndpoint(signer=ONE, **told)


async def test_a_key_or_its_holder(running: Running, world: World) -> None:
    envelope = world.cosign(world.account_key(world.signers[0], Asset.BTC), world.signers[0])
    running.signer.answers["CreateAccountKey"] = lambda _: pb.CreateAccountKeyResponse(
        envelope=envelope.to_json()
    )
    call = running.clients.create_account_key
    assert await call(ONE, account=world.account.account, asset=Asset.BTC) == CreatedKey(envelope)
    assert running.signer.asked[-1].chain == pb.CHAIN_BITCOIN
    running.signer.answers["CreateAccountKey"] = lambda _: pb.CreateAccountKeyResponse(holder="signer-2")
    held = await call(ONE, account=world.account.account, asset=Asset.ETH)
    assert held == HeldBy(SignerId("signer-2"))
    assert running.signer.asked[-1].chain == pb.CHAIN_ETHEREUM


@pytest.mark.parametrize("holder", ["", "Signer 2"])
async def test_neither_a_key_nor_a_holder_is_invalid(running: Running, world: World, holder: str) -> None:
    running.signer.answers["CreateAccountKey"] = lambda _: pb.CreateAccountKeyResponse(holder=holder)
    with pytest.raises(SignerAnswerInvalid):
        await running.clients.create_account_key(ONE, account=world.account.account, asset=Asset.ETH)


async def test_a_cosignature(running: Running, world: World) -> None:
    cosigned = world.cosign(world.account, world.signers[0])
    running.signer.answers["CosignAccount"] = lambda _: pb.CosignAccountResponse(envelope=cosigned.to_json())
    keys = [world.cosign(world.account_key(party, Asset.BTC), party) for party in world.signers]
    found = await running.clients.cosign_account(ONE, account=world.account_envelope, account_keys=keys)
    assert found == cosigned
    assert [Envelope.from_json(each) for each in running.signer.asked[-1].account_keys] == keys


async def test_a_part_of_the_ownership_proofs(running: Running, world: World) -> None:
    part = pb.ProveOwnershipResponse.BitcoinProof(signer_id="signer-1", signature=b"s" * 71)
    ethereum = pb.ProveOwnershipResponse.EthereumProof(signature=b"e" * 65)
    running.signer.answers["ProveOwnership"] = lambda _: pb.ProveOwnershipResponse(
        bitcoin=part, ethereum=ethereum
    )
    call = running.clients.prove_ownership
    told: dict[str, Any] = {"account": world.account.account, "account_digest": world.account.digest}
    assert await call(ONE, **told) == OwnershipProof(signer=ONE, bitcoin=b"s" * 71, ethereum=b"e" * 65)
    running.signer.answers["ProveOwnership"] = lambda _: pb.ProveOwnershipResponse(bitcoin=part)
    assert (await call(ONE, **told)).ethereum is None


async def test_anothers_ownership_proof_is_invalid(running: Running, world: World) -> None:
    part = pb.ProveOwnershipResponse.BitcoinProof(signer_id="signer-2", signature=b"s" * 71)
    running.signer.answers["ProveOwnership"] = lambda _: pb.ProveOwnershipResponse(bitcoin=part)
    with pytest.raises(SignerAnswerInvalid, match="the proof of"):
        await running.clients.prove_ownership(
            ONE, account=world.account.account, account_digest=world.account.digest
        )


async def announced(running: Running, world: World) -> Envelope:
    intent = world.intent(Asset.BTC)
    return await running.clients.announce(
        ONE,
        intent=world.approve(intent),
        release=world.release_envelope(intent),
        allowlist_entry=world.allowlist_envelope(Asset.BTC),
    )


async def test_an_announcement(running: Running, world: World) -> None:
    receipt = world.announce_receipts(world.intent(Asset.BTC))[0]
    running.signer.answers["Announce"] = lambda _: pb.AnnounceResponse(receipt=receipt.to_json())
    assert await announced(running, world) == receipt
    asked = running.signer.asked[-1]
    assert Envelope.from_json(asked.intent).digest == world.intent(Asset.BTC).digest


async def test_a_bitcoin_attempt(running: Running, world: World) -> None:
    intent = world.intent(Asset.BTC)
    receipt = world.cosign(world.receipt(world.signers[0], intent, Act.SIGNED), world.signers[0])
    attempt = pb.SignResponse.BitcoinAttempt(unsigned_transaction=b"u" * 80, signatures=[b"s" * 71])
    running.signer.answers["Sign"] = lambda _: pb.SignResponse(bitcoin=attempt, receipt=receipt.to_json())
    found = await running.clients.sign_bitcoin(
        ONE,
        intent_digest=intent.digest,
        fee=Sats(1500),
        inputs=[PreviousOutput(transaction=b"p" * 80, index=3)],
        announce_receipts=world.announce_receipts(intent),
    )
    partial = PartialSignatures(signer=ONE, signatures=(b"s" * 71,))
    assert found == BitcoinAttempt(unsigned=b"u" * 80, partial=partial, receipt=receipt)
    asked = running.signer.asked[-1]
    assert (asked.fee_units, asked.bitcoin_inputs[0].output_index) == ("1500", 3)
    assert len(asked.announce_receipts) == 3


FORMLESS = {
    "no signature": [],
    "a signature too short": [b"s" * 8],
    "a signature too long": [b"s" * 74],
    "too many signatures": [b"s" * 71] * 65,
}


@pytest.mark.parametrize("signatures", FORMLESS.values(), ids=FORMLESS.keys())
async def test_a_half_of_another_form_than_the_proto_says_is_invalid(
    running: Running, world: World, signatures: list[bytes]
) -> None:
    """It would be shown to the next signer, whose edge refuses what is malformed: the liar would stop it."""
    intent = world.intent(Asset.BTC)
    receipt = world.cosign(world.receipt(world.signers[0], intent, Act.SIGNED), world.signers[0])
    attempt = pb.SignResponse.BitcoinAttempt(unsigned_transaction=b"u" * 80, signatures=signatures)
    running.signer.answers["Sign"] = lambda _: pb.SignResponse(bitcoin=attempt, receipt=receipt.to_json())
    with pytest.raises(SignerAnswerInvalid, match=r"bitcoin\.signatures"):
        await running.clients.sign_bitcoin(
            ONE,
            intent_digest=intent.digest,
            fee=Sats(1500),
            inputs=[PreviousOutput(transaction=b"p" * 80, index=3)],
            announce_receipts=world.announce_receipts(intent),
        )


async def test_an_ethereum_attempt(running: Running, world: World) -> None:
    intent = world.intent(Asset.ETH)
    receipt = world.cosign(world.receipt(world.signers[0], intent, Act.SIGNED), world.signers[0])
    attempt = pb.SignResponse.EthereumAttempt(raw_transaction=b"\x02raw")
    running.signer.answers["Sign"] = lambda _: pb.SignResponse(ethereum=attempt, receipt=receipt.to_json())
    told: dict[str, Any] = {
        "intent_digest": intent.digest,
        "announce_receipts": world.announce_receipts(intent),
    }
    found = await running.clients.sign_ethereum(ONE, fee=Wei(21_000), **told)
    assert found == EthereumAttempt(raw=b"\x02raw", receipt=receipt)
    with pytest.raises(SignerAnswerInvalid, match="no Bitcoin attempt"):
        await running.clients.sign_bitcoin(ONE, fee=Sats(1), inputs=[], **told)


def refusal(reason: str, *, domain: str = "bailee.signer", **metadata: str) -> Status:
    detail = ProtoAny()
    detail.Pack(ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    return Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], message="said no", details=[detail])


async def test_a_refusal_carries_its_tag_and_its_signed_receipt(running: Running, world: World) -> None:
    said = world.receipt(world.signers[0], world.intent(Asset.BTC), Act.REFUSED, tags=(Tag.VELOCITY,))
    receipt = world.cosign(said, world.signers[0])
    running.signer.fault = refusal("velocity", receipt=base64.b64encode(receipt.to_json()).decode())
    with pytest.raises(SignerRefused) as raised:
        await announced(running, world)
    assert (raised.value.tag, raised.value.receipt, raised.value.signer) == (Tag.VELOCITY, receipt, ONE)


@pytest.mark.parametrize("receipt", ["", "not base64!", base64.b64encode(b"{}").decode()])
async def test_a_refusal_with_an_unreadable_receipt_is_still_a_refusal(
    running: Running, world: World, receipt: str
) -> None:
    running.signer.fault = refusal("halted" if receipt == "?" else "velocity", receipt=receipt)
    with pytest.raises(SignerRefused) as raised:
        await announced(running, world)
    assert raised.value.receipt is None


@pytest.mark.parametrize("status", [refusal("no-such-tag"), refusal("velocity", domain="elsewhere")])
async def test_a_refusal_that_says_nothing_known_is_invalid(
    running: Running, world: World, status: Status
) -> None:
    running.signer.fault = status
    with pytest.raises(SignerAnswerInvalid):
        await announced(running, world)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (grpc.StatusCode.UNAVAILABLE, SignerUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, SignerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, SignerUnavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, SignerAnswerInvalid),
        (grpc.StatusCode.INTERNAL, SignerAnswerInvalid),
        (grpc.StatusCode.PERMISSION_DENIED, SignerAnswerInvalid),
        (grpc.StatusCode.NOT_FOUND, SignerAnswerInvalid),
    ],
)
async def test_what_a_status_means(
    running: Running, world: World, code: grpc.StatusCode, raised: type[Exception]
) -> None:
    running.signer.fault = (code, "said")
    with pytest.raises(raised):
        await announced(running, world)


@pytest.mark.parametrize("receipt", [b"", b"{}", b"\xff" * 40])
async def test_an_answer_that_is_no_envelope_is_invalid(
    running: Running, world: World, receipt: bytes
) -> None:
    running.signer.answers["Announce"] = lambda _: pb.AnnounceResponse(receipt=receipt)
    with pytest.raises(SignerAnswerInvalid):
        await announced(running, world)


async def test_an_answer_without_end_is_cut(running: Running, world: World) -> None:
    running.signer.answers["Announce"] = lambda _: pb.AnnounceResponse(receipt=b"x" * 2_000_000)
    with pytest.raises(SignerUnavailable):
        await announced(running, world)


async def test_a_server_with_another_certificate_is_never_asked(
    running: Running, own_certificate: Certificate, world: World
) -> None:
    other = endpoint(running.port, certificate_name="signer-2.bailee")
    clients = SignerClients([other], identity=identity_of(own_certificate), timeout_seconds=2)
    running.clients, mine = clients, running.clients
    with pytest.raises(SignerUnavailable):
        await announced(running, world)
    assert running.signer.asked == []
    await clients.close()
    running.clients = mine


async def test_a_signer_that_is_not_there(own_certificate: Certificate, world: World) -> None:
    clients = SignerClients([endpoint(1)], identity=identity_of(own_certificate), timeout_seconds=1)
    with pytest.raises(SignerUnavailable):
        await clients.create_account_key(ONE, account=world.account.account, asset=Asset.BTC)
    await clients.close()
