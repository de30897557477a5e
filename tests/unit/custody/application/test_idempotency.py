"""One request id, one effect; and a fingerprint that is the RFC 8785 form."""

import hashlib
from dataclasses import dataclass, replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from custody.application import accounts, withdrawals
from custody.application.idempotency import fingerprint
from custody.domain.errors import CollateralInsufficient, RequestIdReused
from custody.domain.identifiers import WithdrawalId
from signers.statements.amounts import Sats
from signers.statements.identifiers import AccountId
from tests.unit.custody.scenario import Custody, active


@dataclass(frozen=True)
class Command:
    text: str
    number: int
    nothing: None
    inner: tuple[str, ...]


@given(
    text=st.text(st.characters(codec="ascii")),
    number=st.integers(0, 2**53 - 1),
    inner=st.lists(st.text(st.characters(codec="ascii"))),
)
def test_the_fingerprint_is_over_the_canonical_form(text: str, number: int, inner: list[str]) -> None:
    plain = {"inner": inner, "nothing": None, "number": number, "text": text}
    expected = hashlib.sha256(rfc8785.dumps(plain)).hexdigest()
    assert fingerprint(Command(text, number, None, tuple(inner))) == expected


def test_asked_again_it_answers_the_same_and_does_nothing() -> None:
    custody = active()
    command = custody.withdrawal_command(Sats(1000), Sats(100))
    first = custody.do(withdrawals.create, command, principal=custody.pledgor)
    before = custody.dump()
    assert custody.do(withdrawals.create, command, principal=custody.pledgor) == first
    assert custody.dump() == before


def test_it_answers_what_it_answered_then() -> None:
    custody = active()
    command = custody.withdrawal_command(Sats(1000), Sats(100))
    first = custody.do(withdrawals.create, command, principal=custody.pledgor)
    custody.plan(first, custody.ask(lambda uow: uow.coins(custody.account_id))[0].outpoint)
    assert custody.do(withdrawals.create, command, principal=custody.pledgor) == first


def test_another_body_under_the_same_id_is_refused() -> None:
    custody = active()
    command = custody.withdrawal_command(Sats(1000), Sats(100))
    custody.do(withdrawals.create, command, principal=custody.pledgor)
    with pytest.raises(RequestIdReused):
        custody.do(withdrawals.create, replace(command, amount=Sats(1001)), principal=custody.pledgor)


def test_a_refusal_is_not_remembered() -> None:
    custody = active()
    command = custody.withdrawal_command(Sats(10**8), Sats(100))
    with pytest.raises(CollateralInsufficient):
        custody.do(withdrawals.create, command, principal=custody.pledgor)
    custody.fund_bitcoin(1000, "more")
    assert custody.do(withdrawals.create, command, principal=custody.pledgor).withdrawal == "w-1"


def test_the_id_of_one_caller_says_nothing_about_anothers() -> None:
    custody = Custody()
    custody.pin()
    created = custody.create_account()
    other = replace(custody.custodian, name="ops-two.custodian-one")
    command = accounts.CreateAccount(
        request_id=custody.fresh(),
        account=AccountId("acct-two"),
        pledgor=created.pledgor,
        secured_party=created.secured_party,
        custodian=created.custodian,
        enforcement=created.enforcement,
    )
    custody.do(accounts.create, command, principal=custody.custodian)
    third = replace(command, account=AccountId("acct-three"))
    assert custody.do(accounts.create, third, principal=other).account.account == "acct-three"


def test_the_same_id_is_another_request_of_another_method() -> None:
    custody = active()
    command = custody.withdrawal_command(Sats(1000), Sats(100))
    made = custody.do(withdrawals.create, command, principal=custody.pledgor)
    cancel = withdrawals.CancelWithdrawal(
        request_id=command.request_id,
        account=custody.account_id,
        withdrawal=WithdrawalId("w-1"),
        etag=made.etag,
    )
    assert custody.do(withdrawals.cancel, cancel, principal=custody.pledgor).state == "cancelled"
