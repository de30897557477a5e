"""The secured party: one chain, never two statements in one place, and releases counted until they end.

The service is honest in `fake_service`; each test of a lie makes it say exactly one false thing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bailee.custody.v1 import lien_pb2, lien_service_pb2, withdrawal_pb2

from custody.client import (
    BaileeError,
    Connection,
    MarginEngine,
    Reader,
    SigningRecord,
    TrustRoot,
    VerificationError,
)
from custody.client.releases import deducted
from custody.client.signing_record import SignedEncumbrance
from signers.statements.amounts import Asset, Sats
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Seconds, TxId
from signers.statements.intent import Intent, OutpointAnchor, Release
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from signers.statements.report import AssetPosition
from tests.factories import BTC, DAY, World
from tests.unit.custody.client.fake_service import HELD, WITHDRAWAL, FakeCustody, failed, later
from tests.unit.custody.client.test_reader import snapshot

TENTH = Sats(BTC // 10)


@pytest.fixture
def account(world: World) -> str:
    return world.account.account


@pytest.fixture
def another(
    connection: Connection, trust: TrustRoot, world: World, clock: Callable[[], float]
) -> Callable[[SigningRecord | None], MarginEngine]:
    """Another process of the same secured party, with a record of its own or a shared one."""

    def make(record: SigningRecord | None) -> MarginEngine:
        who = world.secured_party
        return MarginEngine(connection, trust, entity=who.entity, key=who.key, record=record, clock=clock)

    return make


def statements(custody: FakeCustody) -> list[Encumbrance]:
    """Everything this party signed and sent, in order."""
    methods = ("ReserveLien", "PostLien", "VoidLien")
    sent = [request for method, request in custody.calls if method in methods]
    return [Encumbrance.parse(Envelope.from_json(request.envelope).payload) for request in sent]


def require_no_fork(custody: FakeCustody) -> None:
    """No place of the chain has two different statements among those that left."""
    places: dict[int, set[str]] = {}
    for statement in statements(custody):
        places.setdefault(statement.sequence, set()).add(statement.digest)
    assert all(len(digests) == 1 for digests in places.values()), places


# The honest life of a lien.


async def test_a_lien_is_reserved_posted_and_voided(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.reserve(account, "lien-1", TENTH, seconds=60)
    await engine.post(account, "lien-1", TENTH)
    await engine.void(account, "lien-1")
    chain = statements(custody)
    assert [s.kind for s in chain] == [EncumbranceKind.RESERVE, EncumbranceKind.POST, EncumbranceKind.VOID]
    assert [s.sequence for s in chain] == [1, 2, 3]
    assert [s.previous for s in chain] == [GENESIS, chain[0].digest, chain[1].digest]
    assert chain[0].expires_at == later(world, 60)
    assert chain[2].amount == TENTH


async def watched(engine: MarginEngine, account: str) -> None:
    [event async for event in engine.watch(account)]


@pytest.mark.parametrize(
    "use",
    [
        MarginEngine.report,
        watched,
        lambda engine, account: engine.reserve(account, "lien-1", TENTH),
        lambda engine, account: engine.release(account, WITHDRAWAL, intent_digest=GENESIS),
    ],
)
async def test_an_account_with_another_s_key_in_its_place_is_not_lent_against(
    connection: Connection,
    trust: TrustRoot,
    custody: FakeCustody,
    world: World,
    account: str,
    clock: Callable[[], float],
    use: Callable[[MarginEngine, str], Awaitable[Any]],
) -> None:
    who = world.secured_party
    engine = MarginEngine(connection, trust, entity=who.entity, key=world.stranger.key, clock=clock)
    custody.events = [snapshot(custody)]
    with pytest.raises(VerificationError, match="secured_party is not broker-one with its own key"):
        await use(engine, account)
    assert statements(custody) == []


async def test_its_own_place_is_looked_at_once(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    for _ in range(3):
        await engine.report(account)
    assert len(custody.sent("GetAccount")) == 1


async def test_racing_reservations_of_one_process_take_turns(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await asyncio.gather(*(engine.reserve(account, f"lien-{i}", TENTH) for i in range(8)))
    assert [s.sequence for s in statements(custody)] == list(range(1, 9))


async def test_a_refusal_is_the_caller_s_and_its_place_is_free_again(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    with pytest.raises(BaileeError) as caught:
        await engine.reserve(account, "lien-1", Sats(3 * BTC))
    assert caught.value.reason == "COLLATERAL_INSUFFICIENT"
    await engine.reserve(account, "lien-1", TENTH)
    assert custody.head[0] == 1


async def test_a_process_that_was_overtaken_signs_after_the_other(
    engine: MarginEngine,
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    account: str,
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    await another(None).reserve(account, "lien-2", TENTH)
    await engine.reserve(account, "lien-3", TENTH)
    accepted = sorted(lien.encumbrance_sequence for lien in custody.liens.values())
    assert accepted == [1, 2, 3]


# Outcomes that got lost.


@pytest.mark.parametrize("times", [1, 2])
async def test_a_lost_answer_is_asked_for_again_byte_for_byte(
    engine: MarginEngine, custody: FakeCustody, account: str, times: int
) -> None:
    custody.lost["ReserveLien"] = times
    for _ in range(times):
        with pytest.raises(BaileeError) as caught:
            await engine.reserve(account, "lien-1", TENTH)
        assert not caught.value.decided
    resource = await engine.reserve(account, "lien-1", TENTH)
    assert resource.encumbrance_sequence == 1
    requests = custody.sent("ReserveLien")
    assert len({(r.request_id, r.envelope) for r in requests}) == 1
    assert len(requests) == times + 1


async def test_another_change_first_settles_the_lost_one(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    custody.lost["ReserveLien"] = 1
    with pytest.raises(BaileeError):
        await engine.reserve(account, "lien-1", TENTH)
    resource = await engine.reserve(account, "lien-2", TENTH)
    assert resource.encumbrance_sequence == 2
    require_no_fork(custody)


async def test_a_restart_settles_what_was_under_way(
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    trust: TrustRoot,
    account: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "state" / "record.db"
    before = SigningRecord(file, root=trust.policy_digest)
    custody.lost["ReserveLien"] = 1
    with pytest.raises(BaileeError):
        await another(before).reserve(account, "lien-1", TENTH)
    before.close()
    assert file.stat().st_mode & 0o777 == 0o600
    after = SigningRecord(file, root=trust.policy_digest)
    await another(after).reserve(account, "lien-2", TENTH)
    after.close()
    assert custody.head[0] == 2
    require_no_fork(custody)


async def test_two_processes_that_share_a_record_never_sign_for_one_place(
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    trust: TrustRoot,
    account: str,
    tmp_path: Path,
) -> None:
    records = [SigningRecord(tmp_path / "record.db", root=trust.policy_digest) for _ in range(2)]
    engines = [another(record) for record in records]
    await asyncio.gather(
        *(
            engine.reserve(account, f"lien-{i}-{j}", TENTH)
            for i, engine in enumerate(engines)
            for j in range(6)
        )
    )
    for record in records:
        record.close()
    assert custody.head[0] == 12
    require_no_fork(custody)


# A service that lies about the chain.


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


async def test_a_report_on_another_statement_of_that_place_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(encumbrance_head="ab" * 32)
    with pytest.raises(VerificationError, match="another encumbrance 1"):
        await engine.report(account)


async def test_a_report_that_drops_an_encumbrance_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(
        encumbrance_head=GENESIS, encumbrance_sequence=0, positions=under(custody)
    )
    with pytest.raises(VerificationError, match="dropped encumbrance 1"):
        await engine.report(account)


async def test_a_report_on_an_encumbrance_that_nobody_signed_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    """An invented head ahead of the known one would take every lien out of sight."""
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(
        encumbrance_head="ab" * 32, encumbrance_sequence=2, positions=under(custody)
    )
    with pytest.raises(VerificationError, match="encumbrance 2, which is not this party's"):
        await engine.report(account)
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = 2, "ab" * 32
    with pytest.raises(VerificationError, match="shows no statement"):
        await engine.report(account)


async def test_a_report_from_before_the_encumbrance_is_no_lie(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    before = custody.make_report()
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = before
    assert (await engine.report(account)).encumbrance_sequence == 0


# Liens as they were signed. The chain's head is the right one in all of these.


def under(custody: FakeCustody, *, reserved: int = 0, posted: int = 0) -> tuple[AssetPosition, AssetPosition]:
    """Positions with these satoshi under liens, whatever was signed."""
    free = HELD[Asset.BTC] - reserved - posted
    bitcoin = custody.position(
        Asset.BTC, reserved=Sats(reserved), posted=Sats(posted), free=Sats(free), confirmed=Sats(2 * BTC)
    )
    return bitcoin, custody.position(Asset.ETH)


async def test_a_report_with_the_liens_that_were_signed_is_accepted(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    await engine.post(account, "lien-1", Sats(BTC // 20))
    await engine.reserve(account, "lien-2", TENTH)
    await engine.reserve(account, "lien-3", TENTH)
    await engine.void(account, "lien-3")
    custody.report = custody.make_report(batch=6)
    position = (await engine.report(account)).positions[0]
    assert (position.reserved, position.posted) == (TENTH, Sats(BTC // 20))


@pytest.mark.parametrize(
    ("liens", "why"),
    [
        ({"reserved": 0, "posted": BTC // 10}, "0 sat reserved, where 10000000 was signed"),
        ({"reserved": BTC // 10 - 1, "posted": BTC // 10}, "9999999 sat reserved"),
        ({"reserved": BTC // 10 + 1, "posted": BTC // 10}, "10000001 sat reserved"),
        ({"reserved": BTC // 10, "posted": 0}, "0 sat posted, where 10000000 was signed"),
        ({"reserved": BTC // 10, "posted": BTC // 10 + 1}, "10000001 sat posted"),
        ({"reserved": BTC // 5, "posted": 0}, "0 sat posted"),
    ],
)
async def test_a_report_with_other_liens_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str, liens: dict[str, int], why: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    await engine.post(account, "lien-1", TENTH)
    await engine.reserve(account, "lien-2", TENTH)
    custody.report = custody.make_report(batch=6, positions=under(custody, **liens))
    with pytest.raises(VerificationError, match=why):
        await engine.report(account)


@pytest.mark.parametrize(("seconds", "refused"), [(30, False), (31, True)])
async def test_a_reservation_is_free_only_once_it_lapsed(
    engine: MarginEngine, custody: FakeCustody, account: str, seconds: int, refused: bool
) -> None:
    await engine.reserve(account, "lien-1", TENTH, seconds=seconds)
    for batch, reserved in enumerate((TENTH.units, 0), start=6):
        custody.report = custody.make_report(batch=batch, positions=under(custody, reserved=reserved))
        if refused and not reserved:
            with pytest.raises(VerificationError, match="reserved, where"):
                await engine.report(account)
        else:
            await engine.report(account)


async def test_every_client_of_the_machine_knows_the_liens_that_were_signed_on_it(
    engine: MarginEngine, reader: Reader, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(batch=6, positions=under(custody))
    with pytest.raises(VerificationError, match="0 sat reserved"):
        await reader.report(account)


async def test_liens_are_remembered_across_a_restart(
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    trust: TrustRoot,
    account: str,
    tmp_path: Path,
) -> None:
    before = SigningRecord(tmp_path / "record.db", root=trust.policy_digest)
    await another(before).reserve(account, "lien-1", TENTH)
    before.close()
    after = SigningRecord(tmp_path / "record.db", root=trust.policy_digest)
    custody.report = custody.make_report(batch=6, positions=under(custody))
    with pytest.raises(VerificationError, match="0 sat reserved"):
        await another(after).report(account)
    after.close()


async def test_a_record_that_lacks_a_statement_does_not_judge_the_liens(
    engine: MarginEngine,
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    account: str,
) -> None:
    """Another machine of this party signed in between: its statements verify, its voids are not shown."""
    await engine.reserve(account, "lien-1", TENTH)
    await another(None).void(account, "lien-1")
    await another(None).reserve(account, "lien-2", TENTH)
    custody.report = custody.make_report(batch=6)
    assert (await engine.report(account)).encumbrance_sequence == 3


async def test_a_report_on_a_statement_that_is_on_its_way_is_no_lie(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    custody.lost["ReserveLien"] = 1
    with pytest.raises(BaileeError):
        await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(batch=6)
    assert (await engine.report(account)).encumbrance_sequence == 1
    assert custody.sent("ListLiens") == []


async def test_a_lien_is_voided_by_what_this_party_signed_and_not_by_what_is_shown(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    forged = world.encumbrance(amount=Sats(1))
    custody.liens[f"{custody.name}/liens/lien-1"].envelope = world.sign(forged, world.stranger).to_json()
    with pytest.raises(VerificationError, match="has not signed"):
        await engine.void(account, "lien-1")


# Releases.


def withdrawal(custody: FakeCustody) -> withdrawal_pb2.Withdrawal:
    return custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"]


@pytest.fixture
async def released(engine: MarginEngine, account: str, world: World) -> MarginEngine:
    await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest, seconds=600)
    return engine


async def test_a_release_is_of_the_intent_alone(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    (sent,) = custody.sent("ReleaseWithdrawal")
    release = Release.parse(Envelope.from_json(sent.envelope).payload)
    assert release.intent_digest == world.intent(Asset.BTC).digest
    assert release.expires_at == later(world, 600)


async def test_a_release_lasts_as_long_as_its_intent_so_that_it_outlives_the_timelock(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    (sent,) = custody.sent("ReleaseWithdrawal")
    release = Release.parse(Envelope.from_json(sent.envelope).payload)
    assert release.expires_at == world.intent(Asset.BTC).expires_at


async def test_what_was_released_is_not_lent_against(
    released: MarginEngine, account: str, custody: FakeCustody
) -> None:
    report = await released.report(account)
    before = sum(position.lending_value.units for position in report.positions)
    # Half a bitcoin and the fee cap of 50,000 sat, at 100,000 and 40 %.
    gone = (BTC // 2 + 50_000) * 100_000 * 4000 // 10_000
    assert released.lendable_value(report, await released.verified_prices()).units == before - gone


async def test_a_release_counts_even_where_its_answer_got_lost(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    custody.lost["ReleaseWithdrawal"] = 1
    with pytest.raises(BaileeError):
        await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    assert [release.held for release in engine.record.outstanding(account)] == [Sats(BTC // 2 + 50_000)]


async def still_counted(engine: MarginEngine, custody: FakeCustody, *, days: int = 0) -> int:
    """How many releases are outstanding, so many days later by the engine's clock."""
    world = custody.world
    engine._clock = lambda: float(world.now + days * DAY)
    if days:
        custody.report = custody.report_at(later(world, days * DAY), batch=7)
    return len(await engine.settle_releases(world.account.account))


async def test_coins_that_left_and_are_counted_nowhere_end_a_release(
    released: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    assert await still_counted(released, custody) == 0
    report, prices = await released.report(account), await released.verified_prices()
    assert released.lendable_value(report, prices) == str(
        sum(p.lending_value.units for p in report.positions)
    )


STATES = withdrawal_pb2.Withdrawal


@pytest.mark.parametrize(
    "state",
    [STATES.STATE_SETTLED, STATES.STATE_CANCELLED, STATES.STATE_EXPIRED, STATES.STATE_AWAITING_SIGNATURES],
)
async def test_custody_s_word_on_a_withdrawal_ends_no_release(
    released: MarginEngine, custody: FakeCustody, world: World, state: STATES.State
) -> None:
    """Every signer has announced it: it can be signed for as long as its anchor is unspent."""
    withdrawal(custody).state = state
    assert await still_counted(released, custody, days=9) == 1


async def test_a_settlement_whose_coins_the_report_still_counts_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.report = custody.make_report(batch=7)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_whose_coins_no_posting_moves_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.postings = [posting for posting in custody.postings if not posting.resource]
    assert await still_counted(released, custody) == 1


async def test_a_settlement_that_paid_less_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """An Ethereum transaction that failed, says custody: the coins are there, and only a node knows why."""
    custody.settle(WITHDRAWAL)
    payout = next(posting for posting in custody.postings if posting.credit == "external")
    payout.amount.units = str(int(payout.amount.units) - 1)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_taken_back_by_a_reorganisation_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    paid = world.intent(Asset.BTC).amount
    resource = withdrawal(custody).name
    custody.postings.append(custody.posting(custody.sequence, "external", "withdrawing", paid, resource))
    assert await still_counted(released, custody) == 1


async def test_a_settlement_that_the_report_does_not_cover_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """A deposit came in meanwhile: the ledger has more than the report, which still counts the coins."""
    custody.postings.append(custody.posting(8, "external", "available", Sats(BTC)))
    custody.settle(WITHDRAWAL)
    custody.report = custody.make_report(batch=7, account_sequence=7)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_of_another_intent_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    withdrawal(custody).intent_digest = "ab" * 32
    assert await still_counted(released, custody) == 1


async def test_a_posting_of_no_amount_is_no_ledger(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.postings[0].amount.units = "-1"
    with pytest.raises(VerificationError, match="is no amount"):
        await still_counted(released, custody)


# The signers' own word that an intent ran out.


def refuse(
    custody: FakeCustody,
    *signers: int,
    tag: Tag = Tag.INTENT_EXPIRED,
    after: int = 0,
    announced: bool = False,
) -> None:
    """These signers refused the intent, so many seconds after it expired; all had announced it, or none."""
    intent = custody.world.intent(Asset.BTC)
    shown = withdrawal(custody)
    shown.state = STATES.STATE_EXPIRED
    del shown.refusals[:]
    if not announced:
        del shown.receipts[:]
    for signer in signers:
        at = Seconds(intent.expires_at + after)
        refusal = custody.receipt(
            custody.world.signers[signer], intent, Act.REFUSED, tags=(tag,), at=at, journal_sequence=9
        )
        shown.refusals.append(refusal)


async def test_an_intent_that_two_signers_refused_as_expired_is_signed_by_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    assert await still_counted(released, custody, days=2) == 0


async def test_one_signer_s_refusal_is_not_enough(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """It may be the one that was taken over, and the other two have announced."""
    refuse(custody, 1, 1)
    assert await still_counted(released, custody, days=2) == 1


async def test_an_announced_intent_that_every_signer_refused_as_too_late_is_signed_by_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    assert await still_counted(released, custody, days=2) == 0


async def test_two_signers_that_will_not_sign_are_not_enough(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """The third may have signed in time, and the one of the two that lies adds its own."""
    refuse(custody, 0, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    assert await still_counted(released, custody, days=2) == 1


async def test_a_signer_that_signed_does_not_say_that_it_never_will(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    signed = custody.receipt(world.signers[1], world.intent(Asset.BTC), Act.SIGNED)
    withdrawal(custody).receipts.append(signed)
    assert await still_counted(released, custody, days=2) == 1


async def test_one_that_never_announced_never_signs_either(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, tag=Tag.AUTHORITY_EXPIRED)
    late = [*withdrawal(custody).refusals]
    refuse(custody, 2)
    withdrawal(custody).refusals.extend(late)
    assert await still_counted(released, custody, days=2) == 0


async def test_a_signer_that_also_announced_refused_nothing(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    announced = custody.receipt(world.signers[2], world.intent(Asset.BTC), Act.ANNOUNCED)
    withdrawal(custody).receipts.append(announced)
    assert await still_counted(released, custody, days=2) == 1


@pytest.mark.parametrize("change", [{"tag": Tag.ALLOWLIST_COOLING}, {"after": -1}])
async def test_a_refusal_that_may_pass_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World, change: dict[str, Any]
) -> None:
    refuse(custody, 0, 2, **change)
    assert await still_counted(released, custody, days=2) == 1


async def test_a_refusal_before_the_intent_ran_out_by_this_clock_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    assert await still_counted(released, custody, days=1) == 1


async def test_a_refusal_that_no_signer_signed_is_evidence_of_a_lie(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    refusals = withdrawal(custody).refusals
    forged = Envelope.from_json(refusals[0].envelope)
    unsigned = Envelope(forged.payload_type, forged.payload)
    refusals[0].envelope = world.cosign(unsigned, world.signers[1]).to_json()
    with pytest.raises(VerificationError, match="has not signed"):
        await still_counted(released, custody, days=2)


# An anchor is spent once.


async def release_another(engine: MarginEngine, custody: FakeCustody, world: World, **changes: Any) -> Intent:
    """A second withdrawal, after the first was cancelled."""
    withdrawal(custody).state = STATES.STATE_CANCELLED
    intent = world.intent(
        Asset.BTC, **{"intent": "11111111-1111-4111-8111-111111111111", "amount": Sats(BTC), **changes}
    )
    custody.withdrawals[f"{custody.name}/withdrawals/w-two"] = custody.withdrawal(intent, name="w-two")
    await engine.release(world.account.account, "w-two", intent_digest=intent.digest)
    return intent


async def test_of_two_releases_on_one_anchor_the_larger_counts(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world)
    outstanding = released.record.outstanding(world.account.account)
    assert deducted(outstanding) == {Asset.BTC: BTC + 50_000}


async def test_two_releases_on_two_anchors_both_count(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world, anchor=OutpointAnchor(txid=TxId("ab" * 32), index=1))
    outstanding = released.record.outstanding(world.account.account)
    assert deducted(outstanding) == {Asset.BTC: BTC + BTC // 2 + 100_000}


async def test_a_release_ends_with_its_anchor_whichever_spent_it(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world)
    custody.settle("w-two")
    assert await still_counted(released, custody) == 0


async def test_another_anchor_s_settlement_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world, anchor=OutpointAnchor(txid=TxId("ab" * 32), index=1))
    custody.settle("w-two")
    assert await still_counted(released, custody) == 1


async def test_nothing_is_read_where_nothing_is_outstanding(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    assert await engine.settle_releases(account) == []
    assert custody.calls == []


async def test_reports_and_time_are_the_reader_s(engine: MarginEngine, account: str, world: World) -> None:
    report, prices = await engine.report(account), await engine.verified_prices()
    assert engine.lendable_value(report, prices).units > 0
    engine._clock = lambda: float(Seconds(world.now + 3600))
    assert engine.lendable_value(report, prices).units == 0
