"""The secured party: one chain, never two statements in one place, whatever answers get lost.

The service is honest in `fake_service`; each test of a lie makes it say exactly one false thing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from custody.client import (
    BaileeError,
    Connection,
    MarginEngine,
    SigningRecord,
    TrustRoot,
    VerificationError,
)
from signers.statements.amounts import Sats
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.identifiers import GENESIS, Seconds
from tests.factories import BTC, World
from tests.unit.custody.client.borrowing import TENTH, require_no_fork, statements
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, later
from tests.unit.custody.client.test_reader import snapshot

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
    custody.lost["ReserveLien"] = 1
    with SigningRecord(file, root=trust.policy_digest) as before, pytest.raises(BaileeError):
        await another(before).reserve(account, "lien-1", TENTH)
    assert file.stat().st_mode & 0o777 == 0o600
    with SigningRecord(file, root=trust.policy_digest) as after:
        await another(after).reserve(account, "lien-2", TENTH)
    assert custody.head[0] == 2
    require_no_fork(custody)


async def test_two_processes_that_share_a_record_never_sign_for_one_place(
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    trust: TrustRoot,
    account: str,
    tmp_path: Path,
) -> None:
    file, root = tmp_path / "record.db", trust.policy_digest
    with SigningRecord(file, root=root) as one, SigningRecord(file, root=root) as two:
        await asyncio.gather(
            *(
                engine.reserve(account, f"lien-{i}-{j}", TENTH)
                for i, engine in enumerate((another(one), another(two)))
                for j in range(6)
            )
        )
    assert custody.head[0] == 12
    require_no_fork(custody)


async def test_reports_and_time_are_the_reader_s(engine: MarginEngine, account: str, world: World) -> None:
    report, prices = await engine.report(account), await engine.verified_prices()
    assert engine.lending_value(report, prices).units > 0
    engine._clock = lambda: float(Seconds(world.now + 3600))
    assert engine.lending_value(report, prices).units == 0
