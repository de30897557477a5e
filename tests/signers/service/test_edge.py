"""What a call passes before any rule sees it, and how an answer leaves."""

import base64
import logging
from collections.abc import AsyncIterator, Awaitable
from ipaddress import ip_address
from typing import Any

import grpc
import pytest
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc
from cryptography import x509
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # no types

from signers.journal import Journal, JournalUnusable
from signers.rules.chains import AttemptNotSigned
from signers.service.errors import DOMAIN
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.network import Network
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag
from signers.vault import VaultSealed
from tests.signers.service.wire import CUSTODY, Authority, Wired

SECONDS = 10


def details(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, list[str]]:
    """The ErrorInfo, and the fields of the BadRequest."""
    trailers = error.trailing_metadata() or ()
    status = status_pb2.Status()
    status.ParseFromString(next(value for key, value in trailers if key == "grpc-status-details-bin"))
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status.details[0].Unpack(info)
    if len(status.details) > 1:
        status.details[1].Unpack(bad)
    return info, [violation.field for violation in bad.field_violations]


def announce_request(wired: Wired, **changes: bytes) -> pb.AnnounceRequest:
    announcement = wired.stage.announcement(wired.stage.intent(Asset.BTC))
    assert announcement.release is not None
    parts = {
        "intent": announcement.intent.to_json(),
        "release": announcement.release.to_json(),
        "allowlist_entry": announcement.allowlist_entry.to_json(),
    }
    return pb.AnnounceRequest(**{**parts, **changes})


async def fails(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


async def test_baseline(wired: Wired) -> None:
    answer = await wired.custody(0).Announce(announce_request(wired), timeout=SECONDS)
    receipt = Receipt.read(Envelope.from_json(answer.receipt), network=Network.REGTEST)
    assert receipt.act is Act.ANNOUNCED


async def test_a_refusal_carries_its_tag_and_its_receipt(wired: Wired) -> None:
    other = wired.stage.world.release_envelope(wired.stage.intent(Asset.ETH)).to_json()
    error = await fails(wired.custody(0).Announce(announce_request(wired, release=other), timeout=SECONDS))
    info, _ = details(error)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert (info.domain, info.reason) == (DOMAIN, Tag.RELEASE_WRONG_INTENT.value)
    envelope = Envelope.from_json(base64.b64decode(info.metadata["receipt"]))
    assert envelope.signed_by(wired.stage.world.signers[0].public_key)
    assert Receipt.read(envelope, network=Network.REGTEST).tags == (Tag.RELEASE_WRONG_INTENT,)


async def test_no_release_is_refused_by_its_rule(wired: Wired) -> None:
    """Nothing before the rules may refuse it: the parties are to get the receipt that says so."""
    error = await fails(wired.custody(0).Announce(announce_request(wired, release=b""), timeout=SECONDS))
    info, _ = details(error)
    assert (error.code(), info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, Tag.RELEASE_MISSING.value)
    envelope = Envelope.from_json(base64.b64decode(info.metadata["receipt"]))
    assert envelope.signed_by(wired.stage.world.signers[0].public_key)
    assert Receipt.read(envelope, network=Network.REGTEST).tags == (Tag.RELEASE_MISSING,)


async def test_bytes_that_are_no_envelope(wired: Wired) -> None:
    error = await fails(wired.custody(0).Announce(announce_request(wired, intent=b"{}"), timeout=SECONDS))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details(error)[0].reason == Tag.STATEMENT_MALFORMED.value


@pytest.mark.parametrize("sent", [b"\xff\xff", None])
async def test_bytes_that_are_no_message_and_no_message(wired: Wired, sent: bytes | None) -> None:
    async def messages() -> AsyncIterator[bytes]:
        if sent is not None:
            yield sent

    channel = wired.channel(0, wired.authority.issue(CUSTODY))
    call: Any = channel.stream_unary("/bailee.signer.v1.SignerService/Announce")
    error = await fails(call(messages(), timeout=SECONDS))
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.INVALID_ARGUMENT, "request-invalid")


async def test_no_certificate_no_connection(wired: Wired) -> None:
    stub = signer_pb2_grpc.SignerServiceStub(wired.channel(0, None))
    error = await fails(stub.Announce(announce_request(wired), timeout=SECONDS))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority(wired: Wired) -> None:
    stranger = Authority(wired.authority.folder / "other").issue(CUSTODY)
    stub = signer_pb2_grpc.SignerServiceStub(wired.channel(0, stranger))
    error = await fails(stub.Announce(announce_request(wired), timeout=SECONDS))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_with_two_names_is_nobody(wired: Wired) -> None:
    both = wired.authority.issue(CUSTODY, "signer-2.bailee")
    stub = signer_pb2_grpc.SignerServiceStub(wired.channel(0, both))
    error = await fails(stub.Announce(announce_request(wired), timeout=SECONDS))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "names",
    [
        [x509.UniformResourceIdentifier(CUSTODY)],
        [x509.RFC822Name(CUSTODY)],
        [x509.DNSName(CUSTODY), x509.UniformResourceIdentifier("https://elsewhere.example")],
        [x509.DNSName(CUSTODY), x509.IPAddress(ip_address("127.0.0.1"))],
    ],
    ids=["uri", "e-mail", "dns-and-uri", "dns-and-ip"],
)
async def test_a_certificate_whose_one_name_is_no_dns_name_is_nobody(
    wired: Wired, names: list[x509.GeneralName]
) -> None:
    stub = signer_pb2_grpc.SignerServiceStub(wired.channel(0, wired.authority.issue_for(*names)))
    error = await fails(stub.Announce(announce_request(wired), timeout=SECONDS))
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate-name")


@pytest.mark.parametrize(
    ("name", "subject"),
    [(CUSTODY, "signer-2"), ("signer-3.bailee", "signer-2"), ("signer-1.bailee", "signer-1")],
)
async def test_a_head_is_told_to_its_own_signer_alone(wired: Wired, name: str, subject: str) -> None:
    stub = signer_pb2_grpc.PeerServiceStub(wired.channel(0, wired.authority.issue(name)))
    request = pb.GetJournalHeadRequest(signer_id=subject, nonce=b"\x01" * 32)
    assert (await fails(stub.GetJournalHead(request, timeout=SECONDS))).code() is (
        grpc.StatusCode.PERMISSION_DENIED
    )


async def test_a_receipt_that_was_not_given(wired: Wired) -> None:
    request = pb.GetReceiptRequest(intent_digest="ab" * 32, act=pb.ACT_ANNOUNCED)
    error = await fails(wired.custody(0).GetReceipt(request, timeout=SECONDS))
    assert error.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("raised", "code", "reason"),
    [
        (VaultSealed("sealed"), grpc.StatusCode.UNAVAILABLE, "vault-unavailable"),
        (AttemptNotSigned("hash 1234"), grpc.StatusCode.INTERNAL, "internal"),
        (ZeroDivisionError("key 1234"), grpc.StatusCode.INTERNAL, "internal"),
    ],
)
async def test_what_goes_wrong_inside(
    wired: Wired, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: grpc.StatusCode, reason: str
) -> None:
    async def fail(message: bytes) -> bytes:
        raise raised

    monkeypatch.setattr(wired.stage[0].statements, "sign", fail)
    error = await fails(wired.custody(0).Announce(announce_request(wired), timeout=SECONDS))
    assert (error.code(), details(error)[0].reason) == (code, reason)
    assert "1234" not in str(error.details())


async def test_a_node_that_is_down(wired: Wired) -> None:
    wired.stage.bitcoin.down = True
    error = await fails(wired.custody(0).Announce(announce_request(wired), timeout=SECONDS))
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.UNAVAILABLE, "node-unavailable")


async def test_a_journal_that_cannot_be_written_ends_the_process(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Journal, entry: object, *, at: object) -> None:
        raise JournalUnusable("disk full")

    monkeypatch.setattr(Journal, "append", fail)
    error = await fails(wired.custody(0).Announce(announce_request(wired), timeout=SECONDS))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert [str(each) for each in wired.fatal] == ["disk full"]


async def test_the_log_says_what_was_refused_and_no_more(
    wired: Wired, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signers")
    await fails(wired.custody(0).Announce(announce_request(wired, intent=b"{}"), timeout=SECONDS))
    assert "Announce refused: FAILED_PRECONDITION statement-malformed" in caplog.text


async def test_health_without_reflection(wired: Wired) -> None:
    channel = wired.channel(0, wired.authority.issue("monitor.bailee"))
    answer = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service="bailee.signer.v1.PeerService"), timeout=SECONDS
    )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflect: Any = channel.unary_unary("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    assert (await fails(reflect(b"", timeout=SECONDS))).code() is grpc.StatusCode.UNIMPLEMENTED
