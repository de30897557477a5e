"""What the writer knows without reading it again is never written over what the disk says."""

import sqlite3

import pytest

from custody.adapters.sqlite.unit_of_work import SqliteUnitOfWork
from custody.application.journal import change
from custody.domain.ledger import Cause, CauseKind, LedgerViolation
from tests.unit.custody.scenario import active


@pytest.mark.parametrize(
    ("ahead", "error"),
    [(-1, sqlite3.IntegrityError), (1, LedgerViolation)],
    ids=["disk moved on", "disk is behind"],
)
def test_an_account_is_not_written_from_a_memory_that_the_disk_contradicts(
    ahead: int, error: type[Exception]
) -> None:
    custody = active()
    known = custody.account.changed(sequence=custody.account.sequence + ahead)
    uow = SqliteUnitOfWork(custody.connection, custody.policy, {known.account: known})
    before = custody.dump()
    custody.connection.execute("BEGIN")
    with pytest.raises(error):
        change(uow, known, Cause(CauseKind.ACCOUNT), now=custody.now)
    custody.connection.execute("ROLLBACK")
    assert custody.dump() == before


def test_an_account_that_is_not_known_is_read() -> None:
    custody = active()
    uow = SqliteUnitOfWork(custody.connection, custody.policy, {})
    assert uow.account(custody.account_id) == custody.account


def test_a_command_finds_what_it_wrote_itself() -> None:
    custody = active()
    known = custody.account
    uow = SqliteUnitOfWork(custody.connection, custody.policy, {known.account: known})
    written = change(uow, known, Cause(CauseKind.ACCOUNT), now=custody.now)
    assert uow.account(known.account) == written
