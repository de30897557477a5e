"""What every store keeps: atomic, durable, in order, told only afterwards."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custody.application.ports.store import (
    Change,
    Outcome,
    RequestKey,
    Store,
    UnitOfWork,
)
from custody.domain.account import Dossier, Onboarding
from custody.domain.errors import (
    CollateralInsufficient,
    StoreUnavailable,
    SubscriberTooSlow,
)
from custody.domain.ledger import Book, Cause, CauseKind, Entry, LedgerViolation, recompute
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, Digest
from tests.contract.store.conftest import Open
from tests.contract.store.ledger_of_one import NOW, available, funded, moved, opened, reserved
from tests.unit.custody.scenario import request_id

ACCOUNT = AccountId("acct-client-one")


class Refused(Exception):  # noqa: N818 - a refusal is no error
    """What a command raises."""


async def test_a_command_is_there_once_it_returned(store: Store) -> None:
    before = store.projection.position
    account = await store.execute(opened())
    assert account.sequence == 1
    assert await store.read(lambda s: s.account(ACCOUNT)) == account
    assert store.projection.account(ACCOUNT) == account
    assert store.projection.position != before


async def test_a_command_that_raises_leaves_nothing(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(10))

    def command(uow: UnitOfWork) -> None:
        reserved(4)(uow)
        raise Refused

    with pytest.raises(Refused):
        await store.execute(command)
    assert await store.read(available) == 10
    account = store.projection.account(ACCOUNT)
    assert account is not None
    assert account.sequence == 2


async def test_one_that_raises_undoes_itself_alone(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(100))

    def refused(uow: UnitOfWork) -> None:
        reserved(50)(uow)
        raise Refused

    results = await asyncio.gather(
        *(store.execute(refused if index % 2 else reserved(1)) for index in range(40)),
        return_exceptions=True,
    )
    assert [isinstance(result, Refused) for result in results] == [bool(i % 2) for i in range(40)]
    assert await store.read(available) == 80


async def test_a_rule_of_the_ledger_holds_below_every_command(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(10))
    with pytest.raises(LedgerViolation):
        await store.execute(reserved(11))
    assert await store.read(available) == 10


async def test_an_account_is_written_from_where_it_was_read(store: Store) -> None:
    """A command that writes a change from an old copy would count one sequence twice."""
    first = await store.execute(opened())
    await store.execute(funded(10))
    with pytest.raises(LedgerViolation):
        await store.execute(lambda uow: uow.append(first, Entry(Cause(CauseKind.ACCOUNT), NOW)))
    await store.execute(funded(1))


async def test_validating_only_answers_and_changes_nothing(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(10))
    tried = await store.execute(reserved(4), validate_only=True)
    assert tried.sequence == 3
    assert await store.read(available) == 10
    account = store.projection.account(ACCOUNT)
    assert account is not None
    assert account.sequence == 2


async def test_each_command_of_a_batch_finds_the_account_as_those_before_left_it(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(10))
    found: list[int] = []

    def command(uow: UnitOfWork) -> None:
        account = uow.account(ACCOUNT)
        assert account is not None
        found.append(account.sequence)
        reserved(1)(uow)

    def refused(uow: UnitOfWork) -> None:
        command(uow)
        raise Refused

    await asyncio.gather(
        store.execute(command),
        store.execute(refused),
        store.execute(command, validate_only=True),
        store.execute(command),
        return_exceptions=True,
    )
    assert found == [2, 3, 3, 3]
    account = await store.read(lambda s: s.account(ACCOUNT))
    assert account is not None
    assert account.sequence == 4
    assert store.projection.account(ACCOUNT) == account


async def test_commands_run_in_the_order_they_were_given(store: Store) -> None:
    await store.execute(opened())
    order: list[int] = []

    def command(index: int) -> Callable[[UnitOfWork], int]:
        def run(uow: UnitOfWork) -> int:
            order.append(index)
            return funded(1)(uow).sequence

        return run

    done = await asyncio.gather(*(store.execute(command(index)) for index in range(200)))
    assert order == list(range(200))
    assert done == list(range(2, 202))


async def test_racing_commands_never_hold_more_than_there_is(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(100))

    def command(uow: UnitOfWork) -> None:
        if available(uow) < 7:
            raise CollateralInsufficient("none left")
        reserved(7)(uow)

    results = await asyncio.gather(*(store.execute(command) for _ in range(40)), return_exceptions=True)
    held = [result for result in results if not isinstance(result, BaseException)]
    assert len(held) == 14
    assert await store.read(available) == 2


async def test_a_read_sees_one_moment(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(1000))
    seen: list[tuple[int, int]] = []

    async def read() -> None:
        for _ in range(50):
            books = await store.read(lambda s: s.balances(ACCOUNT, Asset.BTC))
            seen.append((books.available, books.reserved))

    async def write() -> None:
        for _ in range(50):
            await store.execute(reserved(1))

    await asyncio.gather(read(), write())
    assert all(sum(each) == 1000 for each in seen)


async def test_a_read_changes_nothing(store: Store) -> None:
    await store.execute(opened())
    with pytest.raises(Exception, match=r"attribute|readonly|read-only"):
        await store.read(funded(5))  # type: ignore[arg-type]
    assert await store.read(available) == 0


async def test_the_sequence_of_an_account_has_no_gaps(store: Store) -> None:
    await store.execute(opened())
    await store.execute(opened(name="acct-two"))
    for _ in range(5):
        await asyncio.gather(
            store.execute(funded(1)),
            store.execute(moved(Book.EXTERNAL, Book.AVAILABLE, 1, name="acct-two")),
        )
    for name in (ACCOUNT, AccountId("acct-two")):
        changes = await store.read(lambda s, name=name: s.changes(name, after=0, limit=100))  # type: ignore[misc]
        assert [change.sequence for change in changes] == list(range(1, 7))


async def test_stored_balances_are_what_the_postings_add_up_to(store: Store) -> None:
    await store.execute(opened())
    await store.execute(funded(100))
    await asyncio.gather(*(store.execute(reserved(1)) for _ in range(30)))
    postings = await store.read(lambda s: s.postings(ACCOUNT, after=None, limit=500))
    assert recompute(Asset.BTC, postings) == await store.read(lambda s: s.balances(ACCOUNT, Asset.BTC))


async def test_an_outcome_is_recorded_once(store: Store) -> None:
    account = await store.execute(opened())
    key = RequestKey("engine.broker-one", "accounts.create", request_id("once"))
    made = Dossier(account=account, onboarding=Onboarding(account=ACCOUNT))
    outcome = Outcome(Digest("ab" * 32), made)
    await store.execute(lambda uow: uow.save_outcome(key, outcome))
    assert await store.read(lambda s: s.outcome(key)) == outcome
    with pytest.raises(LedgerViolation):
        await store.execute(lambda uow: uow.save_outcome(key, outcome))


async def test_what_was_committed_stands_after_opening_again(open_store: Open, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.execute(opened())
    account = await store.execute(funded(10))
    position = store.projection.position
    await store.close()
    again = await open_store(tmp_path)
    assert await again.read(available) == 10
    assert again.projection.account(ACCOUNT) == account
    assert again.projection.position == position
    await again.close()


async def test_a_closed_store_finishes_what_it_took_and_takes_no_more(
    open_store: Open, tmp_path: Path
) -> None:
    store = await open_store(tmp_path)
    await store.execute(opened())
    taken = [asyncio.ensure_future(store.execute(funded(1))) for _ in range(100)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*taken)) == 100
    with pytest.raises(StoreUnavailable):
        await store.execute(funded(1))
    await store.stopped()


async def test_one_process_at_a_time(open_store: Open, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    with pytest.raises(StoreUnavailable):
        await open_store(tmp_path)
    await store.close()
    await (await open_store(tmp_path)).close()


# Subscriptions and waiting.


async def take(subscription: Any, count: int) -> list[Any]:
    found: list[Any] = []
    async for notice in subscription:
        found.append(notice)
        if len(found) == count:
            break
    return found


async def test_a_subscriber_hears_every_change_once_and_in_order(store: Store) -> None:
    await store.execute(opened())
    async with store.subscribe() as subscription:
        await asyncio.gather(*(store.execute(funded(1)) for _ in range(100)))
        heard = await take(subscription, 100)
    assert [change.sequence for change in heard] == list(range(2, 102))
    assert all(isinstance(change, Change) for change in heard)
    assert heard[-1].position == store.projection.position


async def test_a_subscriber_hears_nothing_of_what_was_refused(store: Store) -> None:
    await store.execute(opened())

    def refused(uow: UnitOfWork) -> None:
        funded(5)(uow)
        raise Refused

    async with store.subscribe() as subscription:
        await asyncio.gather(
            store.execute(refused),
            store.execute(funded(1), validate_only=True),
            store.execute(funded(1)),
            return_exceptions=True,
        )
        (heard,) = await take(subscription, 1)
    assert heard.sequence == 2


async def test_a_subscriber_that_falls_behind_is_ended(store: Store) -> None:
    await store.execute(opened())
    async with store.subscribe(bound=3) as subscription:
        for _ in range(4):
            await store.execute(funded(1))
        with pytest.raises(SubscriberTooSlow):
            await take(subscription, 4)


async def test_a_closed_store_ends_its_subscribers(open_store: Open, tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    async with store.subscribe() as subscription:
        waiting = asyncio.ensure_future(take(subscription, 1))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(StoreUnavailable):
            await waiting
