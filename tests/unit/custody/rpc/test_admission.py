"""Every RPC × who calls and until when: the right refusal, and not a byte written."""

from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from grpc import aio

from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.deployment import AUTHORITY, BYSTANDER, STRANGER
from tests.unit.custody.rpc.pki import Authority, Identity
from tests.unit.custody.rpc.rows import EVERYBODY, METHODS, READERS, ROWS
from tests.unit.proto import descriptors as api

TENANTS = [name for name, row in ROWS.items() if "neighbour" not in row.callers]
"""RPCs about one account."""


def test_the_readers_are_who_may_read() -> None:
    assert {name for name, row in ROWS.items() if row.callers == frozenset(READERS)} == {
        name for name in TENANTS if api.is_read(METHODS[name])
    }


@pytest.mark.parametrize("name", METHODS)
async def test_a_certificate_of_nobody_we_know(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await service.refused_unchanged(STRANGER, name, ROWS[name].request(service.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_REQUIRED")


@pytest.mark.parametrize("name", METHODS)
async def test_a_principal_that_the_service_does_not_list(name: str, at: At) -> None:
    service = await at(ROWS[name])
    refused = await service.refused_unchanged(BYSTANDER, name, ROWS[name].request(service.scenario))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PRINCIPAL_NOT_ALLOWED")
    assert refused.info.metadata["service"] == f"bailee.custody.v1.{name.partition('/')[0]}"


OUTSIDERS = {"neighbour", "publisher"}
"""Whose scope does not have the account."""
BY_ROLE_ALONE = {
    "AccountService/CreateAccount",
    "ApprovalService/ApproveDestination",
    "ApprovalService/ApproveWithdrawal",
}
"""Decided by the caller's role, before there is an account to look for."""
RIGHT_ROLE_WRONG_KEY = {
    ("AccountService/SignAccount", "custodian"): "STATEMENT_SIGNATURE",
    ("AccountService/SignAccount", "secured"): "STATEMENT_SIGNATURE",
    ("ApprovalService/ApproveDestination", "second-approver"): "APPROVER_NOT_ELIGIBLE",
    ("ApprovalService/ApproveWithdrawal", "second-approver"): "APPROVER_NOT_ELIGIBLE",
}
"""Who may do this, and hands in somebody else's signature."""
EVERYBODY_ELSE = [(name, word) for name, row in ROWS.items() for word in sorted(set(EVERYBODY) - row.callers)]


def refusal_of(name: str, word: str) -> tuple[grpc.StatusCode, str]:
    if (name, word) in RIGHT_ROLE_WRONG_KEY:
        return grpc.StatusCode.FAILED_PRECONDITION, RIGHT_ROLE_WRONG_KEY[name, word]
    if word in OUTSIDERS and name not in BY_ROLE_ALONE:
        return grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"
    return grpc.StatusCode.PERMISSION_DENIED, "PRINCIPAL_NOT_ALLOWED"


@pytest.mark.parametrize(("name", "word"), EVERYBODY_ELSE)
async def test_everybody_else_is_refused(name: str, word: str, at: At) -> None:
    """Being on a service's list is not enough: the role, the entity and the account must be right."""
    row = ROWS[name]
    service = await at(row)
    refused = await service.refused_unchanged(word, name, row.request(service.scenario))
    assert (refused.code, refused.reason) == refusal_of(name, word)


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
    theirs = await service.refused_unchanged("neighbour", name, real)
    nobodys = await service.refused_unchanged("neighbour", name, imagined)
    assert (theirs.code, theirs.reason) == refusal_of(name, "neighbour")
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
    refused = await service.refused_unchanged("odd.test", name, ROWS[name].request(service.scenario))
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
    assert refused.info.metadata["deadline_max_seconds"] == ("120" if "Watch" in name else "60")
    assert service.dump() == before
