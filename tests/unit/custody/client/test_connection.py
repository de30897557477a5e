"""The connection: mutual TLS, typed errors, retries that have one effect."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from custody.client import (
    BaileeError,
    Connection,
    Credentials,
    Reader,
    TrustRoot,
    VerificationError,
    read_policy,
)
from custody.client.resources import PAGES_MAX
from deploy.localnet.certificates import CertificateAuthority
from tests.unit.custody.client.fake_service import (
    FakeCustody,
    Refused,
    credentials_of,
    failed,
    new_authority,
)


async def test_the_service_is_who_the_authority_says(
    target: str, authority: CertificateAuthority, custody: FakeCustody
) -> None:
    async with Connection(target, credentials_of(authority, "client.test")) as connection:
        assert (await read_policy(connection)).version == 1


@pytest.mark.parametrize("wrong", ["authority", "server_name"])
async def test_another_service_is_not_talked_to(
    target: str,
    authority: CertificateAuthority,
    custody: FakeCustody,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    monkeypatch.setattr("custody.client.connection.ATTEMPTS", 1)
    stranger = new_authority(tmp_path_factory.mktemp("stranger"))
    credentials = (
        credentials_of(stranger, "client.test")
        if wrong == "authority"
        else credentials_of(authority, "client.test", server_name="elsewhere.bailee")
    )
    async with Connection(target, credentials) as connection:
        with pytest.raises(BaileeError) as caught:
            await read_policy(connection)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert not caught.value.decided
    assert custody.calls == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: replace(c, authority=c.private_key), "holds no PEM certificate"),
        (lambda c: replace(c, certificate=c.private_key), "holds no PEM certificate"),
        (lambda c: replace(c, private_key=c.certificate), "holds no PEM private key"),
        (lambda c: replace(c, certificate=c.authority), "is not the key of"),
    ],
)
def test_files_that_cannot_work_are_named(
    authority: CertificateAuthority, change: Callable[[Credentials], Credentials], why: str
) -> None:
    credentials = credentials_of(authority, "client.test")
    credentials.channel_credentials()
    with pytest.raises(ValueError, match=why):
        change(credentials).channel_credentials()


async def test_an_error_keeps_reason_data_and_message(connection: Connection, custody: FakeCustody) -> None:
    custody.failures["GetPolicy"] = [failed("POLICY_FORBIDS", metadata={"limit": "7"}, message="too much")]
    with pytest.raises(BaileeError) as caught:
        await read_policy(connection)
    error = caught.value
    assert (error.reason, error.message, error.metadata) == ("POLICY_FORBIDS", "too much", {"limit": "7"})
    assert error.decided


async def test_a_reason_of_another_domain_is_not_the_service_s(
    connection: Connection, custody: FakeCustody
) -> None:
    custody.failures["GetPolicy"] = [failed("STATEMENT_STALE", domain="proxy", metadata={"digest": "00"})]
    with pytest.raises(BaileeError) as caught:
        await read_policy(connection)
    assert (caught.value.reason, caught.value.metadata, caught.value.decided) == ("", {}, False)


@pytest.mark.parametrize(
    ("code", "decided"),
    [
        (code_pb2.FAILED_PRECONDITION, True),
        (code_pb2.INVALID_ARGUMENT, True),
        (code_pb2.DEADLINE_EXCEEDED, False),
        (code_pb2.INTERNAL, False),
        (code_pb2.UNKNOWN, False),
    ],
)
async def test_only_a_refusal_is_decided(
    connection: Connection, custody: FakeCustody, code: int, decided: bool
) -> None:
    custody.failures["GetPolicy"] = [Refused(code, "ANY_REASON")]
    with pytest.raises(BaileeError) as caught:
        await read_policy(connection)
    assert caught.value.decided is decided


async def test_a_service_that_was_down_for_long_is_found_again_soon(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default gRPC would wait for up to two minutes before it tries to connect again."""
    told: dict[str, object] = {}
    connect = grpc.aio.secure_channel

    def connecting(target: str, credentials: grpc.ChannelCredentials, *, options: Any) -> grpc.aio.Channel:
        told.update(options)
        return connect(target, credentials, options=options)

    monkeypatch.setattr("grpc.aio.secure_channel", connecting)
    async with Connection("127.0.0.1:1", credentials_of(authority, "client.test")):
        assert told["grpc.max_reconnect_backoff_ms"] == 2_000


async def test_an_unavailable_service_is_asked_again(connection: Connection, custody: FakeCustody) -> None:
    custody.failures["GetPolicy"] = [Refused(code_pb2.UNAVAILABLE, "STOPPING")] * 2
    assert (await read_policy(connection)).version == 1
    assert len(custody.sent("GetPolicy")) == 3


async def test_a_listing_that_never_ends_is_ended(
    reader: Reader, custody: FakeCustody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custody.client.resources.PAGES_MAX", 3)
    honest = custody._on_list_liens

    def endless(request: object) -> object:
        page = honest(request)
        page.next_page_token = "again"
        return page

    monkeypatch.setattr(custody, "_on_list_liens", endless)
    with pytest.raises(VerificationError, match="does not end"):
        await reader.liens(custody.world.account.account)
    assert len(custody.sent("ListLiens")) == 3
    assert PAGES_MAX > 3


async def test_a_resource_of_another_name_is_no_answer(
    reader: Reader, custody: FakeCustody, trust: TrustRoot
) -> None:
    custody.account.name = "accounts/acct-client-two"
    with pytest.raises(VerificationError, match="was asked for"):
        await reader.account(custody.world.account.account)
