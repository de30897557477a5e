"""Halts: on record, lifted by the custodian once it has looked, and ended by ledger and chain being equal."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from custody.application import accounts
from custody.domain.account import LIFTABLE, Halt, PledgeAccount
from custody.domain.errors import EtagStale, FieldInvalid, PrincipalNotAllowed, StateConflict
from custody.domain.ledger import Cause, CauseKind
from custody.domain.principal import Principal, Role
from tests.unit.custody.scenario import Custody, active, unchanged


def halted(halt: Halt) -> Custody:
    custody = active()
    custody.halt(halt)
    return custody


def lifting(custody: Custody, **changes: Any) -> accounts.LiftHalt:
    command = accounts.LiftHalt(
        request_id=custody.fresh(),
        account=custody.account_id,
        etag=custody.account.etag,
        halt=Halt.RECONCILIATION,
    )
    return replace(command, **changes)


def lift(custody: Custody, *, by: Principal | None = None, **changes: Any) -> PledgeAccount:
    command = lifting(custody, **changes)
    return custody.do(accounts.lift_halt, command, principal=by or custody.custodian).account


def compare(custody: Custody, *, agree: bool) -> PledgeAccount:
    account = custody.account_id
    return custody.run(lambda uow: accounts.reconciled(uow, account, agree=agree, now=custody.now))


def last_cause(custody: Custody) -> Cause:
    cause: Cause = custody.ask(lambda uow: uow.changes(custody.account_id, after=0, limit=100))[-1].cause
    return cause


def test_a_halt_is_on_record_and_the_same_again_changes_nothing() -> None:
    custody = halted(Halt.RECONCILIATION)
    assert last_cause(custody) == Cause(CauseKind.HALT, "reconciliation")
    before = custody.dump()
    custody.halt(Halt.RECONCILIATION)
    assert custody.dump() == before


@pytest.mark.parametrize("halt", LIFTABLE)
def test_the_custodian_lifts_a_halt_and_comparing_opens_the_account(halt: Halt) -> None:
    custody = halted(halt)
    assert lift(custody, halt=halt).halts == {Halt.AWAITING_RECONCILIATION}
    assert last_cause(custody) == Cause(CauseKind.HALT_LIFTED, f"{halt} by {custody.custodian.name}")
    assert not compare(custody, agree=True).halted
    assert last_cause(custody) == Cause(CauseKind.HALT_LIFTED, "awaiting-reconciliation")


def test_a_halt_whose_cause_still_holds_comes_back() -> None:
    custody = halted(Halt.UNKNOWN_SPEND)
    lift(custody, halt=Halt.UNKNOWN_SPEND)
    for _ in range(2):
        found = compare(custody, agree=False)
        assert found.halts == {Halt.RECONCILIATION}
        assert last_cause(custody) == Cause(CauseKind.HALT, "reconciliation")


def test_comparing_opens_nothing_that_was_not_lifted() -> None:
    custody = halted(Halt.UNKNOWN_SPEND)
    before = custody.dump()
    compare(custody, agree=True)
    assert custody.dump() == before


def test_lifting_one_halt_leaves_the_others() -> None:
    custody = halted(Halt.UNKNOWN_SPEND)
    custody.halt(Halt.RECONCILIATION)
    lift(custody)
    found = compare(custody, agree=True)
    assert found.halts == {Halt.UNKNOWN_SPEND}


def test_nobody_but_the_custodian_lifts_a_halt() -> None:
    custody = halted(Halt.RECONCILIATION)
    auditor = replace(custody.custodian, roles=frozenset({Role.AUDITOR}))
    for caller in (custody.pledgor, custody.engine, auditor):
        unchanged(custody, partial(lift, custody, by=caller), PrincipalNotAllowed)


@pytest.mark.parametrize("halt", sorted(set(Halt) - LIFTABLE))
def test_what_ends_with_its_cause_is_lifted_by_nobody(halt: Halt) -> None:
    custody = halted(halt)
    unchanged(custody, lambda: lift(custody, halt=halt), FieldInvalid)


def test_a_halt_that_is_not_there_is_not_lifted() -> None:
    custody = halted(Halt.RECONCILIATION)
    unchanged(custody, lambda: lift(custody, halt=Halt.UNKNOWN_SPEND), StateConflict)


def test_a_halt_is_lifted_by_who_has_seen_every_halt() -> None:
    custody = halted(Halt.RECONCILIATION)
    seen = custody.account.etag
    custody.halt(Halt.UNKNOWN_SPEND)
    unchanged(custody, lambda: lift(custody, etag=seen), EtagStale)
