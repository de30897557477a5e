"""A service that lies about the chain of encumbrances, and where it stands."""

from collections.abc import Callable
from typing import Any

import pytest
from bailee.custody.v1 import lien_pb2, lien_service_pb2

from custody.client import (
    BaileeError,
    MarginEngine,
    SigningRecord,
    VerificationError,
)
from custody.client.signing_record import SignedEncumbrance
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.identifiers import GENESIS
from tests.factories import World
from tests.unit.custody.client.borrowing import TENTH, require_no_fork, statements
from tests.unit.custody.client.fake_service import FakeCustody, failed


async def test_the_chain_never_goes_back(engine: MarginEngine, custody: FakeCustody, account: str) -> None:
    """The attack: erase the posted lien by having the next statement signed after an older head."""
    await engine.reserve(account, "lien-1", TENTH)
    old = custody.head
    await engine.post(account, "lien-1", TENTH)
    custody.head = old
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = old
    with pytest.raises(VerificationError, match="went back"):
        await engine.reserve(account, "lien-2", TENTH)
    require_no_fork(custody)


async def test_another_head_of_the_same_place_is_a_fork(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.head = (1, "ab" * 32)
    custody.account.encumbrance_digest = "ab" * 32
    with pytest.raises(VerificationError, match="two statements 1"):
        await engine.reserve(account, "lien-2", TENTH)


def continued(custody: FakeCustody, before: Encumbrance | None = None, **changes: Any) -> Encumbrance:
    """Another process of this party goes on with the chain."""
    statement = custody.world.encumbrance(before, **changes)
    envelope = custody.world.sign(statement, custody.world.secured_party).to_json()
    custody.encumber(lien_service_pb2.ReserveLienRequest(request_id=statement.digest, envelope=envelope))
    return statement


@pytest.mark.parametrize("method", ["GetAccount", "ListLiens"])
async def test_a_head_that_moves_while_it_is_followed_is_read_again(
    engine: MarginEngine, custody: FakeCustody, account: str, method: str
) -> None:
    """The lien that stands behind the head is posted meanwhile: its reserve is nowhere to be seen."""
    reserve = continued(custody)
    post = {"kind": EncumbranceKind.POST, "expires_at": None}
    await engine.require_own_account(account)
    custody.meanwhile[method] = [lambda: continued(custody, reserve, **post)]
    lien = await engine.reserve(account, "lien-2", TENTH)
    assert lien.encumbrance_sequence == 3


async def test_a_head_that_another_process_has_passed_meanwhile_is_no_step_back(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    """Both share the record: it knows of a statement that the answer under way does not."""
    key = engine.party.public_key

    def overtake() -> None:
        statement = continued(custody)
        engine.record.adopt(
            key,
            account,
            SignedEncumbrance(
                sequence=1,
                digest=statement.digest,
                envelope=custody.liens[f"{custody.name}/liens/lien-1"].envelope,
                request_id="",
                account_sequence=0,
            ),
        )

    await engine.require_own_account(account)
    custody.meanwhile["GetAccount"] = [overtake]
    lien = await engine.reserve(account, "lien-2", TENTH)
    assert lien.encumbrance_sequence == 2


async def test_a_head_that_never_stands_still_is_not_followed(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.require_own_account(account)
    chain = [continued(custody)]

    def again() -> None:
        chain.append(continued(custody, chain[-1], lien=f"lien-{len(chain) + 1}"))

    custody.meanwhile["ListLiens"] = [again] * 99
    with pytest.raises(VerificationError, match="moved 16 times"):
        await engine.reserve(account, "lien-9", TENTH)


@pytest.mark.parametrize("head", [(0, "ab" * 32), (1, ""), (1, GENESIS), (1, "no digest")])
async def test_a_head_that_is_none_is_not_followed(
    engine: MarginEngine, custody: FakeCustody, account: str, head: tuple[int, str]
) -> None:
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = head
    with pytest.raises(VerificationError, match="encumbrance head"):
        await engine.reserve(account, "lien-1", TENTH)


async def test_a_head_without_its_statement_is_not_followed(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = 3, "ab" * 32
    with pytest.raises(VerificationError, match="shows no statement"):
        await engine.reserve(account, "lien-1", TENTH)
    assert statements(custody) == []


def show(custody: FakeCustody, statement: Encumbrance, *, by: Any) -> None:
    """A head of the service's choice, with the statement behind it."""
    envelope = custody.world.sign(statement, by)
    custody.head = (statement.sequence, envelope.digest)
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = custody.head
    name = f"{custody.name}/liens/{statement.lien}"
    custody.liens[name] = lien_pb2.Lien(
        name=name,
        envelope=envelope.to_json(),
        statement_digest=envelope.digest,
        encumbrance_sequence=statement.sequence,
    )


async def test_a_head_that_somebody_else_signed_is_not_followed(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    show(custody, world.encumbrance(), by=world.stranger)
    with pytest.raises(VerificationError, match="has not signed"):
        await engine.reserve(account, "lien-2", TENTH)
    assert statements(custody) == []


async def test_a_statement_of_another_account_is_no_head(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    show(custody, world.encumbrance(account="acct-client-two"), by=world.secured_party)
    with pytest.raises(VerificationError, match="has not signed"):
        await engine.reserve(account, "lien-2", TENTH)


async def test_a_head_that_does_not_continue_the_record_is_not_followed(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    other = world.encumbrance(lien="lien-9")
    show(custody, world.encumbrance(other, lien="lien-8"), by=world.secured_party)
    with pytest.raises(VerificationError, match="does not continue"):
        await engine.reserve(account, "lien-2", TENTH)


async def test_an_old_head_is_given_away_by_a_later_lien(
    another: Callable[[SigningRecord | None], MarginEngine], custody: FakeCustody, account: str
) -> None:
    """A process without any record: the liens that the service still shows contradict the head it tells."""
    first = another(None)
    await first.reserve(account, "lien-1", TENTH)
    old = custody.head
    await first.reserve(account, "lien-2", TENTH)
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = old
    with pytest.raises(VerificationError, match="stands on encumbrance 2"):
        await another(None).reserve(account, "lien-3", TENTH)


async def test_a_statement_said_to_be_refused_and_then_acted_on_is_told_once(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    honest = custody.encumber

    def lie(request: Any) -> Any:
        honest(request)
        raise failed("COLLATERAL_INSUFFICIENT")

    custody.encumber = lie  # type: ignore[method-assign]
    with pytest.raises(BaileeError):
        await engine.reserve(account, "lien-1", TENTH)
    custody.encumber = honest  # type: ignore[method-assign]
    with pytest.raises(VerificationError, match="said it had refused"):
        await engine.reserve(account, "lien-2", TENTH)
    assert (await engine.reserve(account, "lien-2", TENTH)).encumbrance_sequence == 2


@pytest.mark.parametrize(
    "change",
    [
        {"statement_digest": "ab" * 32},
        {"encumbrance_sequence": 9},
        {"name": "accounts/acct-client-one/liens/lien-9"},
        {"account_sequence": 0},
        {"account_sequence": 2**53},
    ],
)
async def test_an_answer_about_something_else_is_no_acceptance(
    engine: MarginEngine, custody: FakeCustody, account: str, change: dict[str, Any]
) -> None:
    honest = custody.encumber

    def lie(request: Any) -> Any:
        lien = lien_pb2.Lien()
        lien.CopyFrom(honest(request))
        for name, value in change.items():
            setattr(lien, name, value)
        return lien

    custody.encumber = lie  # type: ignore[method-assign]
    with pytest.raises(VerificationError, match=r"where .* was sent"):
        await engine.reserve(account, "lien-1", TENTH)
    custody.encumber = honest  # type: ignore[method-assign]
    await engine.reserve(account, "lien-2", TENTH)
    require_no_fork(custody)


async def test_a_service_that_always_says_stale_gets_one_statement_only(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    stale = failed("STATEMENT_STALE", metadata={"sequence": "0", "digest": GENESIS})
    custody.failures["ReserveLien"] = [stale] * 99
    with pytest.raises(VerificationError, match="moved 16 times"):
        await engine.reserve(account, "lien-1", TENTH)
    require_no_fork(custody)


async def test_an_expired_statement_is_not_signed_again(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    custody.failures["ReserveLien"] = [failed("STATEMENT_STALE")]
    with pytest.raises(BaileeError):
        await engine.reserve(account, "lien-1", TENTH)
    assert len(custody.sent("ReserveLien")) == 1
