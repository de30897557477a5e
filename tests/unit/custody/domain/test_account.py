"""An account with some fields otherwise."""

from dataclasses import replace

import pytest

from custody.domain.account import AccountState
from tests.unit.custody.scenario import Custody


@pytest.fixture
def custody() -> Custody:
    custody = Custody()
    custody.pin()
    custody.create_account()
    return custody


def test_it_changes_as_a_dataclass_is_replaced(custody: Custody) -> None:
    account = custody.account
    changed = account.changed(state=AccountState.ACTIVE, sequence=7)
    assert changed == replace(account, state=AccountState.ACTIVE, sequence=7)
    assert account == custody.account


def test_it_takes_no_field_that_accounts_do_not_have(custody: Custody) -> None:
    with pytest.raises(TypeError):
        custody.account.changed(balance=1)
