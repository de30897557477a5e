"""Every RPC × who calls, until when, about what: the right refusal, and not a byte written."""

import copy
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from google.protobuf.message import Message
from grpc import aio

from custody.domain.errors import EtagStale
from signers.statements.amounts import Asset
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.envelope import Envelope, Signature, sign
from signers.statements.identifiers import LienId
from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.deployment import AUTHORITY, BYSTANDER, STRANGER, Deployment, Refused, deployed
from tests.unit.custody.rpc.pki import Authority, Identity
from tests.unit.custody.rpc.rows import EVERYBODY, METHODS, READERS, ROWS, WRITES, encumbrance
from tests.unit.proto import descriptors as api

TENANTS = [name for name, row in ROWS.items() if "neighbour" not in row.callers]
"""RPCs about one account."""
DECISIONS = [name for name in WRITES if "etag" in METHODS[name].input_type.fields_by_name]
CREATES = [name for name in WRITES if "validate_only" in METHODS[name].input_type.fields_by_name]
SIGNED = [name for name in WRITES if {"envelope", "envelopes"} & set(METHODS[name].input_type.fields_by_name)]


async def refused_unchanged(service: Deployment, word: str, name: str, request: Message | bytes) -> Refused:
    before = service.dump()
    refused = await service.refused(word, name, request)
    assert service.dump() == before
    return refused


# Who calls.


@pytest.mark.parametrize("name", METHODS)
async def test_a_certificate_of_nobody_we_know(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await refused_unchanged(service, STRANGER, name, ROWS[name].request(service.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_REQUIRED")


@pytest.mark.parametrize("name", METHODS)
async def test_a_principal_that_the_service_does_not_list(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await refused_unchanged(service, BYSTANDER, name, ROWS[name].request(service.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PRINCIPAL_NOT_ALLOWED")
    assert refused.info.metadata["service"] == f"bailee.custody.v1.{name.partition('/')[0]}"


@pytest.mark.parametrize("name", METHODS)
async def test_everybody_else_is_refused(name: str, at: At) -> None:
    """Being on a service's list is not enough: the role, the entity and the account must be right."""
    row = ROWS[name]
    service = await at(row)
    for word in sorted(set(EVERYBODY) - row.callers):
        refused = await refused_unchanged(service, word, name, row.request(service.scenario))
        assert (refused.code, refused.reason) in {
            (grpc.StatusCode.PERMISSION_DENIED, "PRINCIPAL_NOT_ALLOWED"),
            (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"),
            (grpc.StatusCode.FAILED_PRECONDITION, "APPROVER_NOT_ELIGIBLE"),
            (grpc.StatusCode.FAILED_PRECONDITION, "STATEMENT_SIGNATURE"),
        }, (word, refused)


@pytest.mark.parametrize("name", TENANTS)
async def test_another_tenants_account_looks_like_none(name: str, at: At) -> None:
    """Same answer for what exists and what does not: nobody learns of an account by asking."""
    row = ROWS[name]
    service = await at(row)
    real, imagined = row.request(service.scenario), row.request(service.scenario)
    for field in ("name", "parent", "accounts"):
        if field in imagined.DESCRIPTOR.fields_by_name:
            value = getattr(imagined, field)
            if field == "accounts":
                value[0] = "accounts/nobody-has-it"
            else:
                setattr(imagined, field, value.replace("acct-client-one", "nobody-has-it"))
    if "withdrawal" in imagined.DESCRIPTOR.fields_by_name:
        inner = imagined.withdrawal  # type: ignore[attr-defined]
        inner.destination = inner.destination.replace("acct-client-one", "nobody-has-it")
    theirs = await refused_unchanged(service, "neighbour", name, real)
    nobodys = await refused_unchanged(service, "neighbour", name, imagined)
    assert theirs.reason in {"RESOURCE_NOT_FOUND", "PRINCIPAL_NOT_ALLOWED"}
    assert (theirs.code, theirs.reason, theirs.fields) == (nobodys.code, nobodys.reason, nobodys.fields)
    assert theirs.message == nobodys.message.replace("nobody-has-it", "acct-client-one")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "none"),
        (("pledgor.test", "secured.test"), "two"),
        (("pledgor.test", x509.UniformResourceIdentifier("spiffe://pledgor")), "a URI beside it"),
        ((x509.UniformResourceIdentifier("pledgor.test"),), "a URI alone"),
        ((x509.RFC822Name("pledgor@pledgor.test"),), "a mailbox"),
        (("*.test",), "a wildcard"),
        (("PLEDGOR.test",), "upper case"),
        (("pledgor.test.",), "a trailing dot"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_alternative_names_that_are_no_principal(
    names: tuple[str | x509.GeneralName, ...], why: str, at: At
) -> None:
    name = "CollateralService/GetAccount"
    service = await at(ROWS[name])
    service.channels["odd.test"] = service.connect(AUTHORITY.issue(*names))
    refused = await refused_unchanged(service, "odd.test", name, ROWS[name].request(service.scenario))
    await service.channels.pop("odd.test").close()
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_REQUIRED")


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(None, id="no-certificate"),
        pytest.param(Authority("another").issue("pledgor.test"), id="another-authority"),
        pytest.param(
            AUTHORITY.issue("pledgor.test", usages=(ExtendedKeyUsageOID.SERVER_AUTH,)), id="servers-only"
        ),
    ],
)
async def test_tls_turns_away(who: Identity | None, at: At) -> None:
    """Before there is a call at all."""
    name = "CollateralService/GetAccount"
    service = await at(ROWS[name])
    before = service.dump()
    async with service.connect(who) as channel:
        call: Any = channel.unary_unary(f"/bailee.custody.v1.{name}")
        with pytest.raises(aio.AioRpcError) as caught:
            await call(ROWS[name].request(service.scenario).SerializeToString(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert service.dump() == before


# Until when.


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seconds", [None, 1e5], ids=["no-deadline", "too-long"])
async def test_a_deadline_is_required(name: str, seconds: float | None, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    before = service.dump()
    refused = await service.refused(row.caller, name, row.request(service.scenario), seconds=seconds)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_REQUIRED")
    assert refused.info.metadata["deadline_max_seconds"] == "120" if "Watch" in name else "60"
    assert service.dump() == before


# What it is about.


@pytest.mark.parametrize("name", METHODS)
async def test_bytes_that_are_no_message(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await refused_unchanged(service, ROWS[name].caller, name, b"\xff\xff\xff")
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


@pytest.mark.parametrize("name", METHODS)
async def test_a_field_that_nobody_defined(name: str, at: At) -> None:
    """A caller that sends it relies on it: dropping it would be to decide something else."""
    service = await at(ROWS[name])
    raw = ROWS[name].request(service.scenario).SerializeToString() + b"\xfa\x3f\x03abc"
    refused = await refused_unchanged(service, ROWS[name].caller, name, raw)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


@pytest.mark.parametrize("name", METHODS)
async def test_a_message_that_is_too_large(name: str, at: At) -> None:
    """gRPC turns it away before anybody parses it."""
    service = await at(ROWS[name])
    before = service.dump()
    with pytest.raises(aio.AioRpcError) as caught:
        await service.call(ROWS[name].caller, name, b"\x0a" + b"\xff" * 3_000_000)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert service.dump() == before


REFERENCES = [
    pytest.param(name, field.name, id=f"{name}-{field.name}")
    for name, method in METHODS.items()
    for field in method.input_type.fields
    if field.name in {"name", "parent", "accounts"} and name != "PolicyService/GetPolicy"
]


@pytest.mark.parametrize(("name", "field"), REFERENCES)
async def test_a_name_of_nothing(name: str, field: str, at: At) -> None:
    """As somebody who sees every account, so that it is about the resource and not the scope."""
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    if field == "accounts":
        request.accounts[0] = "accounts/nobody-has-it"  # type: ignore[attr-defined]
    else:
        old = getattr(request, field)
        last = old.split("/")[-1]
        whole = old.endswith("collateralReport") or old.count("/") == 1
        new = old.replace("acct-client-one" if whole else last, "nobody-has-it")
        setattr(request, field, new)
    if name == "WithdrawalService/CreateWithdrawal":
        request.withdrawal.destination = "accounts/nobody-has-it/destinations/any-wallet"  # type: ignore[attr-defined]
    if name in {"LienService/PostLien", "LienService/VoidLien"}:
        kind = EncumbranceKind(name.partition("/")[2].removesuffix("Lien").lower())
        said = encumbrance(service.scenario, kind, LienId("nobody-has-it"), 1)
        request.envelope = said.to_json()  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_a_policy_version_that_is_not(at: At) -> None:
    row = ROWS["PolicyService/GetPolicy"]
    service = await at(row)
    request = row.request(service.scenario)
    request.name = "policies/2"  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "auditor", "PolicyService/GetPolicy", request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


# Once.


@pytest.mark.parametrize("name", WRITES)
async def test_once_again_once_only_and_never_otherwise(name: str, tmp_path: Path) -> None:
    """The request succeeds; its replay answers the same and writes nothing; another body is refused."""
    row = ROWS[name]
    async with deployed(tmp_path, row.stage) as service:
        request = row.request(service.scenario)
        fresh = service.dump()
        first = await service.call(row.caller, name, request)
        done = service.dump()
        assert done != fresh
        assert await service.call(row.caller, name, request) == first
        assert service.dump() == done

        other = copy.deepcopy(request)
        assert row.other is not None
        row.other(service.scenario, other)
        assert other != request
        refused = await refused_unchanged(service, row.caller, name, other)
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
        assert refused.paths == {"request_id"}


@pytest.mark.parametrize("name", CREATES)
async def test_validate_only_answers_and_writes_nothing(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    request.validate_only = True  # type: ignore[attr-defined]
    before = service.dump()
    assert await service.call(row.caller, name, request)
    assert service.dump() == before
    refused = row.request(service.scenario)
    refused.validate_only = True  # type: ignore[attr-defined]
    refused.request_id = "1"  # type: ignore[attr-defined]
    assert (await refused_unchanged(service, row.caller, name, refused)).reason == "FIELD_INVALID"


@pytest.mark.parametrize("name", CREATES)
async def test_an_id_that_is_taken(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    async with deployed(tmp_path, row.stage) as service:
        await service.call(row.caller, name, row.request(service.scenario))
        again = row.request(service.scenario)
        if name == "LienService/ReserveLien":
            return  # the chain has moved on first: STATEMENT_STALE, tested below
        refused = await refused_unchanged(service, row.caller, name, again)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "RESOURCE_ALREADY_EXISTS",
        )


# Decided on what.


@pytest.mark.parametrize("name", DECISIONS)
async def test_an_etag_of_yesterday(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    request.etag = "0" * 32  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, EtagStale.reason)


@pytest.mark.parametrize("name", DECISIONS)
async def test_an_etag_of_somebody_else(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    request.etag = "W/abc"  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.paths == {"etag"}


# Signed by whom.


def of_request(request: Message) -> Envelope:
    envelopes = [request.envelope] if hasattr(request, "envelope") else list(request.envelopes)  # type: ignore[attr-defined]
    return Envelope.from_json(envelopes[0])


def put(request: Message, data: bytes) -> str:
    """Put the envelope back; the path that a refusal names."""
    if hasattr(request, "envelope"):
        request.envelope = data
        return "envelope"
    request.envelopes[0] = data  # type: ignore[attr-defined]
    return "envelopes"


def unsigned(envelope: Envelope, service: Deployment) -> bytes:
    return Envelope(envelope.payload_type, envelope.payload).to_json()


def signed_by_a_stranger(envelope: Envelope, service: Deployment) -> bytes:
    bare = Envelope(envelope.payload_type, envelope.payload)
    return sign(service.scenario.world.stranger.key, bare).to_json()


def signed_twice(envelope: Envelope, service: Deployment) -> bytes:
    return sign(service.scenario.world.stranger.key, envelope).to_json()


def signature_broken(envelope: Envelope, service: Deployment) -> bytes:
    (first,) = envelope.signatures
    flipped = bytes([first.sig[0] ^ 1]) + first.sig[1:]
    return Envelope(envelope.payload_type, envelope.payload, (Signature(first.keyid, flipped),)).to_json()


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("change", [unsigned, signed_by_a_stranger, signed_twice, signature_broken])
async def test_signatures_that_do_not_count(name: str, change: object, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    assert callable(change)
    path = put(request, change(of_request(request), service))
    refused = await refused_unchanged(service, row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATEMENT_SIGNATURE")
    assert refused.preconditions == ["STATEMENT_SIGNATURE"]
    assert {each.partition("[")[0] for each in refused.paths} == {path}


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"\x00",
        b'{"payload":"","payloadType":"x","signatures":[],"signatures":[]}',
        b"[" * 65_536,
        b'{"a":' * 13_000,
        Envelope("application/vnd.bailee.price.v1+json", b"[" * 49_000).to_json(),
        Envelope("application/vnd.bailee.price.v1+json", b'{"a":' * 9_800).to_json(),
    ],
    ids=[
        "empty-object",
        "binary",
        "duplicate-key",
        "deep",
        "deep-objects",
        "deep-payload",
        "deep-payload-objects",
    ],
)
async def test_bytes_that_are_no_envelope(name: str, data: bytes, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    path = put(request, data)
    refused = await refused_unchanged(service, row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "STATEMENT_MALFORMED")
    assert {each.partition("[")[0] for each in refused.paths} == {path}


@pytest.mark.parametrize("name", SIGNED)
async def test_another_statement_than_the_one_asked_for(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    world = service.scenario.world
    request = row.request(service.scenario)
    wrong = world.sign(world.policy, world.admins[0])
    path = put(request, wrong.to_json())
    refused = await refused_unchanged(service, row.caller, name, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason in {"STATEMENT_MALFORMED", "STATEMENT_MISMATCH"}
    assert {each.partition("[")[0] for each in refused.paths} == {path}


# What only one RPC can refuse.


async def test_more_than_can_exist(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.amount.units = "9" * 38  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "pledgor", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.paths == {"withdrawal.amount.units"}


async def test_a_destination_of_another_account(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.destination = "accounts/acct-neighbour/destinations/client-wallet-eth"  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "pledgor", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.paths == {"withdrawal.destination"}


async def test_a_destination_that_is_not_there(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.destination = "accounts/acct-client-one/destinations/unheard-of"  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "pledgor", name, request)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DESTINATION_NOT_USABLE",
    )
    assert refused.paths == {"withdrawal.destination"}


async def test_a_destination_of_the_wrong_asset(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    wallet = service.scenario.destination_id(Asset.BTC)
    request.withdrawal.destination = f"accounts/acct-client-one/destinations/{wallet}"  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "pledgor", name, request)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DESTINATION_NOT_USABLE",
    )


async def test_more_than_is_free(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.amount.units = str(50 * 10**18)  # type: ignore[attr-defined]
    refused = await refused_unchanged(service, "pledgor", name, request)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "COLLATERAL_INSUFFICIENT",
    )
    assert refused.info.metadata["free_units"] == str(20 * 10**18)
    assert refused.paths == {"withdrawal.amount"}


async def test_a_second_withdrawal_of_the_same_asset(deployment: Deployment) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    await deployment.call("pledgor", name, ROWS[name].request(deployment.scenario))
    again = ROWS[name].request(deployment.scenario)
    again.withdrawal_id = "withdrawal-three"  # type: ignore[attr-defined]
    refused = await refused_unchanged(deployment, "pledgor", name, again)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WITHDRAWAL_OPEN")
    assert refused.info.metadata["withdrawal"] == "withdrawal-two"


async def test_a_chain_of_encumbrances_that_has_moved_on(deployment: Deployment) -> None:
    """The refusal carries the head, so that the secured party can sign again."""
    name = "LienService/ReserveLien"
    await deployment.call("secured", name, ROWS[name].request(deployment.scenario))
    again = ROWS[name].request(deployment.scenario)
    refused = await refused_unchanged(deployment, "secured", name, again)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATEMENT_STALE")
    assert refused.info.metadata["sequence"] == "2"
    standing = deployment.store.projection.account(deployment.scenario.account)
    assert standing is not None
    assert refused.info.metadata["digest"] == standing.encumbrance_head


async def test_a_fault_of_ours_shows_nothing_but_a_number(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("custody.application.reads.account", broken)
    name = "CollateralService/GetAccount"
    refused = await refused_unchanged(deployment, "pledgor", name, ROWS[name].request(deployment.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in refused.message + str(refused.info)
    log = capsys.readouterr().out
    assert refused.info.metadata["correlation_id"] in log
    assert "secret detail" in log


async def test_the_access_log_says_who_and_what_and_nothing_of_the_content(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "LienService/ReserveLien"
    request = ROWS[name].request(deployment.scenario)
    capsys.readouterr()
    await deployment.call("secured", name, request)
    (line,) = (each for each in capsys.readouterr().out.splitlines() if name in each)
    for part in ("secured.test", "code=OK", "correlation_id=", "milliseconds="):
        assert part in line
    for content in ("acct-client-one", "lien-2", request.request_id, "payload"):  # type: ignore[attr-defined]
        assert content not in line


def test_the_readers_are_who_may_read() -> None:
    assert {name for name, row in ROWS.items() if row.callers == frozenset(READERS)} == {
        name for name in TENANTS if api.is_read(METHODS[name])
    }
