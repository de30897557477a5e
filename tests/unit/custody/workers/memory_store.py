"""The store of worker tests: the same use cases, the same SQL, no threads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from custody.adapters.sqlite.unit_of_work import SqliteUnitOfWork
from custody.application.ports.store import (
    Notice,
    Position,
    Projection,
    Snapshot,
    Subscription,
    UnitOfWork,
)
from custody.domain.account import AccountState, PledgeAccount
from custody.domain.price import PriceSet
from signers.statements.identifiers import (
    AccountId,
)
from tests.unit.custody.scenario import Custody

T = TypeVar("T")


class MemoryStore:
    """`Store` over the scenario's connection: the same use cases, the same SQL, no threads."""

    def __init__(self, custody: Custody) -> None:
        self.custody = custody
        self.commits = 0

    async def execute(self, command: Callable[[UnitOfWork], T], *, validate_only: bool = False) -> T:
        value = self.custody.run(command)
        self.commits += 1
        return value

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        return query(SqliteUnitOfWork(self.custody.connection, self.custody.policy))

    @property
    def projection(self) -> Projection:
        return _Projection(Position(str(self.commits)), self.custody)

    async def stopped(self) -> None:
        await asyncio.Event().wait()

    def subscribe(self, *, bound: int = 4096) -> AbstractAsyncContextManager[Subscription]:
        return _nothing()

    async def close(self) -> None:
        return None


@asynccontextmanager
async def _nothing() -> AsyncIterator[Subscription]:
    yield _Silence()


class _Silence:
    def __aiter__(self) -> AsyncIterator[Notice]:
        return self._none()

    async def _none(self) -> AsyncIterator[Notice]:
        notices: tuple[Notice, ...] = ()
        for notice in notices:
            yield notice


@dataclass(frozen=True)
class _Projection:
    position: Position
    custody: Custody

    def account(self, account: AccountId) -> PledgeAccount | None:
        return None

    def accounts(self) -> Sequence[PledgeAccount]:
        return self.custody.ask(lambda uow: uow.accounts_in(set(AccountState)))

    def report(self, account: AccountId) -> Any:
        return None

    def prices(self) -> PriceSet:
        return PriceSet()

    def policy(self) -> Any:
        return None
