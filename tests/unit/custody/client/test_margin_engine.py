"""The secured party: one chain, never two statements in one place, and releases counted until they end.

The service is honest in `fake_service`; each test of a lie makes it say exactly one false thing.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bailee.custody.v1 import lien_pb2, withdrawal_pb2

from custody.client import BaileeError, Connection, MarginEngine, SigningRecord, TrustRoot, VerificationError
from signers.statements.amounts import Asset, Sats
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Seconds
from signers.statements.intent import Release
from signers.statements.report import Report
from tests.factories import BTC, World
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, failed, later

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


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"encumbrance_head": "ab" * 32}, "another encumbrance 1"),
        ({"encumbrance_head": GENESIS, "encumbrance_sequence": 0}, "dropped encumbrance 1"),
    ],
)
async def test_a_report_on_another_chain_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str, changes: dict[str, Any], why: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(**changes)
    with pytest.raises(VerificationError, match=why):
        await engine.report(account)


async def test_a_report_from_before_the_encumbrance_is_no_lie(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    before = custody.make_report()
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = before
    assert (await engine.report(account)).encumbrance_sequence == 0


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
    assert released.lendable_value(report).units == before - gone


async def test_a_release_counts_even_where_its_answer_got_lost(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    custody.lost["ReleaseWithdrawal"] = 1
    with pytest.raises(BaileeError):
        await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    assert [release.held for release in engine.record.outstanding(account)] == [Sats(BTC // 2 + 50_000)]


async def settle(
    engine: MarginEngine, custody: FakeCustody, state: int, *, sequence: int = 7, after: int = 0
) -> int:
    """How many releases are outstanding once the service says so, `after` seconds later."""
    shown = withdrawal(custody)
    shown.state = state  # type: ignore[assignment]
    shown.account_sequence = sequence
    now = engine.now()
    engine._clock = lambda: float(now + after)
    return len(await engine.settle_releases(custody.world.account.account))


STATES = withdrawal_pb2.Withdrawal
EXPIRED_EVERYWHERE = 600 + 2 * 3600 + 1


async def test_a_settled_release_has_ended(released: MarginEngine, custody: FakeCustody) -> None:
    assert await settle(released, custody, STATES.STATE_SETTLED) == 0


async def test_a_settlement_that_the_report_does_not_cover_has_not(
    released: MarginEngine, custody: FakeCustody
) -> None:
    assert await settle(released, custody, STATES.STATE_SETTLED, sequence=8) == 1


async def test_a_settlement_of_another_intent_has_not(released: MarginEngine, custody: FakeCustody) -> None:
    withdrawal(custody).intent_digest = "ab" * 32
    assert await settle(released, custody, STATES.STATE_SETTLED) == 1


@pytest.mark.parametrize("state", [STATES.STATE_CANCELLED, STATES.STATE_EXPIRED])
async def test_a_cancelled_one_has_ended_only_when_no_signer_takes_the_release_any_more(
    released: MarginEngine, custody: FakeCustody, state: int
) -> None:
    assert await settle(released, custody, state, after=EXPIRED_EVERYWHERE - 1) == 1
    assert await settle(released, custody, state, after=1) == 0


@pytest.mark.parametrize(
    "state", [STATES.STATE_AWAITING_SIGNATURES, STATES.STATE_TIMELOCKED, STATES.STATE_CONFIRMING]
)
async def test_an_open_one_never_ends(released: MarginEngine, custody: FakeCustody, state: int) -> None:
    assert await settle(released, custody, state, after=EXPIRED_EVERYWHERE) == 1


async def test_nothing_is_read_where_nothing_is_outstanding(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    assert await engine.settle_releases(account) == []
    assert custody.calls == []


async def test_reports_and_time_are_the_reader_s(engine: MarginEngine, account: str, world: World) -> None:
    report: Report = await engine.report(account)
    engine._clock = lambda: float(Seconds(world.now + 3600))
    assert engine.lendable_value(report).units == 0
