"""Concurrent callers of a real store: whatever order their commands land in, nothing is held twice.

Every command is sent twice at once under one request id, as a client does that lost the answer.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from custody.adapters.sqlite.store import SqliteStore
from custody.application import deposits, liens, withdrawals
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.domain.deposit import BitcoinBlock, BitcoinDelta
from custody.domain.errors import (
    AlreadyExists,
    CollateralInsufficient,
    StatementStale,
    TipMoved,
    WithdrawalOpen,
)
from custody.domain.identifiers import WithdrawalId
from custody.domain.ledger import recompute
from signers.statements.amounts import Asset, Sats
from signers.statements.encumbrance import EncumbranceKind
from tests.unit.custody.scenario import Custody, active

RACES = (CollateralInsufficient, WithdrawalOpen, StatementStale, TipMoved, AlreadyExists)
"""What losing a race looks like to its caller."""

COIN = 10**8
TEMPLATE = active()

Act = tuple[str, int]
ACTS = st.lists(
    st.tuples(st.sampled_from(["withdraw", "lien", "mine", "fork"]), st.integers(1, COIN)),
    min_size=2,
    max_size=12,
)


def commands(custody: Custody, acts: Sequence[Act]) -> list[Any]:
    """One command of a line each; reservations all continue the same head, so that at most one can win."""
    made: list[Any] = []
    tip, ancestor = custody.bitcoin.blocks[-1], custody.bitcoin.blocks[-2]
    for index, (kind, units) in enumerate(acts):
        if kind == "withdraw":
            amount = Sats(max(1000, units // 2))
            command: Any = custody.withdrawal_command(
                amount, Sats(1000), withdrawal=WithdrawalId(f"w-{index}")
            )
            made.append(_withdraw(custody, command))
        elif kind == "lien":
            statement = custody.statement(EncumbranceKind.RESERVE, f"lien-{index}", Sats(units))
            made.append(_reserve(custody, custody.lien_command(liens.ReserveLien, statement)))
        else:
            base = tip if kind == "mine" else ancestor
            custody.bitcoin.blocks[:] = custody.bitcoin.blocks[: custody.bitcoin.blocks.index(base) + 1]
            custody.bitcoin.branch = index + 1
            block, parent = custody.bitcoin.next()
            moved = (custody.arrival(f"arrival {index}", units),)
            added = BitcoinBlock(block=block, parent=parent, movements=moved)
            made.append(_apply(custody, BitcoinDelta(expected_tip=tip, base=base, blocks=(added,))))
            custody.bitcoin.blocks[:] = [*custody.bitcoin.blocks[:-1]]
            if base is ancestor:
                custody.bitcoin.blocks.append(tip)
    return made


def _withdraw(custody: Custody, command: Any) -> Any:
    def run(uow: UnitOfWork) -> Any:
        return withdrawals.create(uow, command, principal=custody.pledgor, now=custody.now)

    return run


def _reserve(custody: Custody, command: Any) -> Any:
    prices = custody.prices()

    def run(uow: UnitOfWork) -> Any:
        return liens.reserve(
            uow,
            command,
            principal=custody.engine,
            now=custody.now,
            prices=prices,
            disputed=frozenset(),
        )

    return run


def _apply(custody: Custody, delta: BitcoinDelta) -> Any:
    return lambda uow: deposits.apply(uow, delta, now=custody.now)


async def race(custody: Custody, folder: Path, acts: Sequence[Act]) -> None:
    disk = sqlite3.connect(folder / "custody.db")
    custody.connection.backup(disk)
    disk.close()
    store = await SqliteStore.open(folder / "custody.db")
    made = commands(custody, acts)
    answers = await asyncio.gather(
        *(store.execute(command) for command in made for _ in range(2)), return_exceptions=True
    )
    for (kind, _), first, second in zip(acts, answers[::2], answers[1::2], strict=True):
        if isinstance(first, BaseException):
            assert isinstance(first, RACES), first
        elif kind in ("withdraw", "lien"):
            assert not isinstance(second, BaseException)
            assert first == second
    await store.read(lambda snapshot: check(custody, snapshot))
    await store.close()


def check(custody: Custody, snapshot: Snapshot) -> None:
    account = custody.account_id
    books = snapshot.balances(account, Asset.BTC)
    postings = snapshot.postings(account, after=None, limit=1000)
    assert recompute(Asset.BTC, [p for p in postings if p.amount.asset is Asset.BTC]) == books
    held = sum(lien.amount.units for lien in snapshot.liens(account, after=None, limit=999))
    open_ = [w for w in snapshot.withdrawals(account, after=None, limit=999) if w.open]
    assert len(open_) <= 1
    assert books.reserved == held
    assert books.withdrawing == sum(w.held.units for w in open_)
    found = snapshot.deposits(account, after=None, limit=999)
    credited = sum(d.amount.units for d in found if d.amount.asset is Asset.BTC and d.state == "credited")
    net = credited - held - books.withdrawing
    assert (books.available, books.shortfall) == (max(0, net), max(0, -net))
    changes = snapshot.changes(account, after=0, limit=1000)
    assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))


@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_concurrent_commands_never_hold_a_unit_twice(acts: list[Act]) -> None:
    blocks, branch = list(TEMPLATE.bitcoin.blocks), TEMPLATE.bitcoin.branch
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(race(TEMPLATE, Path(folder), acts))
    finally:
        TEMPLATE.bitcoin.blocks[:], TEMPLATE.bitcoin.branch = blocks, branch
