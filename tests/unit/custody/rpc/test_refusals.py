"""Every RPC × what it is about, once or again, signed by whom: the right refusal, and not a byte written."""

import copy
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio

from custody.domain.errors import EtagStale
from signers.statements.amounts import Asset
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope, Signature, sign
from signers.statements.identifiers import LienId
from signers.statements.refusals import Tag
from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.deployment import Deployment, deployed
from tests.unit.custody.rpc.rows import METHODS, ROWS, WRITES, awaiting_signatures, encumbrance
from tests.unit.custody.rpc.scenario import Scenario

DECISIONS = [name for name in WRITES if "etag" in METHODS[name].input_type.fields_by_name]
IDS = {"account_id", "destination_id", "lien_id", "withdrawal_id"}
CREATES = [name for name in WRITES if "validate_only" in METHODS[name].input_type.fields_by_name]
SIGNED = [name for name in WRITES if {"envelope", "envelopes"} & set(METHODS[name].input_type.fields_by_name)]


# What it is about.


@pytest.mark.parametrize("name", METHODS)
async def test_bytes_that_are_no_message(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await service.refused_unchanged(ROWS[name].caller, name, b"\xff\xff\xff")
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


@pytest.mark.parametrize("name", METHODS)
async def test_a_field_that_nobody_defined(name: str, at: At) -> None:
    """A caller that sends it relies on it: dropping it would be to decide something else."""
    service = await at(ROWS[name])
    raw = ROWS[name].request(service.scenario).SerializeToString() + b"\xfa\x3f\x03abc"
    refused = await service.refused_unchanged(ROWS[name].caller, name, raw)
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
    missing = "account"
    if field == "accounts":
        request.accounts[0] = "accounts/nobody-has-it"  # type: ignore[attr-defined]
    else:
        old = getattr(request, field)
        last = old.split("/")[-1]
        whole = old.endswith("collateralReport") or old.count("/") == 1
        new = old.replace("acct-client-one" if whole else last, "nobody-has-it")
        missing = missing if whole else old.split("/")[-2].removesuffix("s")
        setattr(request, field, new)
    if name == "WithdrawalService/CreateWithdrawal":
        request.withdrawal.destination = "accounts/nobody-has-it/destinations/any-wallet"  # type: ignore[attr-defined]
    if name in {"LienService/PostLien", "LienService/VoidLien"}:
        kind = EncumbranceKind(name.partition("/")[2].removesuffix("Lien").lower())
        said = encumbrance(service.scenario, kind, LienId("nobody-has-it"), 1)
        request.envelope = said.to_json()  # type: ignore[attr-defined]
    refused = await service.refused_unchanged(row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert refused.info.metadata["resource"] == missing


async def test_a_policy_version_that_is_not(at: At) -> None:
    row = ROWS["PolicyService/GetPolicy"]
    service = await at(row)
    request = row.request(service.scenario)
    request.name = "policies/2"  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("auditor", "PolicyService/GetPolicy", request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert refused.info.metadata["resource"] == "policy"


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
        refused = await service.refused_unchanged(row.caller, name, other)
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
        assert refused.paths == {"request_id"}


@pytest.mark.parametrize("name", sorted(set(WRITES) - {"PriceService/PublishPrices"}))
async def test_a_replay_by_who_has_lost_its_role(name: str, tmp_path: Path) -> None:
    """It may no longer do it, so it is not told what came of it either. Prices are anybody's to bring."""
    row = ROWS[name]
    async with deployed(tmp_path, row.stage) as service:
        request = row.request(service.scenario)
        await service.call(row.caller, name, request)
        service.demote(row.caller)
        refused = await service.refused_unchanged(row.caller, name, request)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PRINCIPAL_NOT_ALLOWED")


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
    assert (await service.refused_unchanged(row.caller, name, refused)).reason == "FIELD_INVALID"


@pytest.mark.parametrize("name", CREATES)
async def test_an_id_that_is_taken(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    async with deployed(tmp_path, row.stage) as service:
        first = row.request(service.scenario)
        await service.call(row.caller, name, first)
        if name == "LienService/ReserveLien":  # the second statement continues the chain that the first is on
            service.scenario.encumbrances.append(Encumbrance.parse(of_request(first).payload))
        refused = await service.refused_unchanged(row.caller, name, row.request(service.scenario))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "RESOURCE_ALREADY_EXISTS",
        )
        (taken,) = (field for field in first.DESCRIPTOR.fields_by_name if field in IDS)
        assert refused.paths == {taken}


# Decided on what.


@pytest.mark.parametrize("name", DECISIONS)
async def test_an_etag_of_yesterday(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    request.etag = "0" * 32  # type: ignore[attr-defined]
    refused = await service.refused_unchanged(row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, EtagStale.reason)


@pytest.mark.parametrize("name", DECISIONS)
async def test_an_etag_of_somebody_else(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    request.etag = "W/abc"  # type: ignore[attr-defined]
    refused = await service.refused_unchanged(row.caller, name, request)
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
    refused = await service.refused_unchanged(row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATEMENT_SIGNATURE")
    assert refused.preconditions == ["STATEMENT_SIGNATURE"]
    assert {each.partition("[")[0] for each in refused.paths} == {path}
    assert {rule for _, rule in refused.fields} == {refused.info.metadata["tag"]} <= set(Tag)


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
    refused = await service.refused_unchanged(row.caller, name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "STATEMENT_MALFORMED")
    assert {each.partition("[")[0] for each in refused.paths} == {path}


COMPARED = {
    "AccountService/SignAccount",
    "ApprovalService/ApproveDestination",
    "ApprovalService/ApproveWithdrawal",
    "WithdrawalService/SignWithdrawal",
}
"""A signature more over what is on record: those very bytes. The others are read as what they are for."""


@pytest.mark.parametrize("name", SIGNED)
async def test_another_statement_than_the_one_asked_for(name: str, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    world = service.scenario.world
    request = row.request(service.scenario)
    wrong = world.sign(world.policy, world.admins[0])
    path = put(request, wrong.to_json())
    refused = await service.refused_unchanged(row.caller, name, request)
    reason = "STATEMENT_MISMATCH" if name in COMPARED else "STATEMENT_MALFORMED"
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert {each.partition("[")[0] for each in refused.paths} == {path}


# What only one RPC can refuse.


@pytest.mark.parametrize("party", ["pledgor", "secured_party"])
async def test_a_partys_key_that_is_somebody_elses(party: str, at: At) -> None:
    name = "AccountService/CreateAccount"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    shared = service.scenario.world.approvers[1].public_key
    getattr(request.account, party).public_key = shared.raw  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("custodian", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POLICY_FORBIDS")
    assert refused.info.metadata["tag"] == Tag.POLICY_SHARED_KEY
    assert refused.fields == {(f"account.{party}", Tag.POLICY_SHARED_KEY)}


async def test_more_than_can_exist(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.amount.units = "9" * 38  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("pledgor", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.paths == {"withdrawal.amount.units"}


async def test_a_destination_of_another_account(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.destination = "accounts/acct-neighbour/destinations/client-wallet-eth"  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("pledgor", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.paths == {"withdrawal.destination"}


async def test_a_destination_that_is_not_there(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.destination = "accounts/acct-client-one/destinations/unheard-of"  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("pledgor", name, request)
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
    refused = await service.refused_unchanged("pledgor", name, request)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DESTINATION_NOT_USABLE",
    )


async def test_more_than_is_free(at: At) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    service = await at(ROWS[name])
    request = ROWS[name].request(service.scenario)
    request.withdrawal.amount.units = str(50 * 10**18)  # type: ignore[attr-defined]
    refused = await service.refused_unchanged("pledgor", name, request)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "COLLATERAL_INSUFFICIENT",
    )
    assert refused.info.metadata["free_units"] == str(20 * 10**18)
    assert refused.paths == {"withdrawal.amount"}


@pytest.mark.parametrize("name", ["LienService/ReserveLien", "WithdrawalService/ReleaseWithdrawal"])
async def test_a_disputed_chain(name: str, deployment: Deployment) -> None:
    """Nothing more is lent against it and nothing released, until the nodes agree again."""
    request = ROWS[name].request(deployment.scenario)
    deployment.scenario.disputed.add(Asset.BTC)
    refused = await deployment.refused_unchanged("secured", name, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PRICES_STALE")
    assert refused.info.metadata["status"] == "disputed"
    deployment.scenario.disputed.clear()
    assert await deployment.call("secured", name, request)


async def test_a_second_withdrawal_of_the_same_asset(deployment: Deployment) -> None:
    name = "WithdrawalService/CreateWithdrawal"
    await deployment.call("pledgor", name, ROWS[name].request(deployment.scenario))
    again = ROWS[name].request(deployment.scenario)
    again.withdrawal_id = "withdrawal-three"  # type: ignore[attr-defined]
    refused = await deployment.refused_unchanged("pledgor", name, again)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WITHDRAWAL_OPEN")
    assert refused.info.metadata["withdrawal"] == "withdrawal-two"


async def test_a_chain_of_encumbrances_that_has_moved_on(deployment: Deployment) -> None:
    """The refusal carries the head, so that the secured party can sign again."""
    name = "LienService/ReserveLien"
    await deployment.call("secured", name, ROWS[name].request(deployment.scenario))
    again = ROWS[name].request(deployment.scenario)
    refused = await deployment.refused_unchanged("secured", name, again)
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
    refused = await deployment.refused_unchanged("pledgor", name, ROWS[name].request(deployment.scenario))
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


async def test_a_report_before_any_batch(tmp_path: Path) -> None:
    async def active(scenario: Scenario) -> None:
        await awaiting_signatures(scenario)
        await scenario.sign_account("pledgor", "secured", "custodian")
        await scenario.activate()

    name = "CollateralService/GetCollateralReport"
    async with deployed(tmp_path, active) as service:
        refused = await service.refused_unchanged("pledgor", name, ROWS[name].request(service.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SEQUENCE_NOT_REACHED")
