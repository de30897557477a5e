"""What signers answer: kept if it is theirs and of this intent; the timelock runs from the last of them."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import receipts
from custody.domain.errors import StatementMismatch, StatementSignature
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState as S
from signers.statements.identifiers import Digest, Seconds, SignerId
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.unit.custody.application.on_the_way import announcing
from tests.unit.custody.scenario import Custody, active, unchanged


@pytest.fixture
def custody() -> Custody:
    return active()


def announce(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    told = {"index": 0, "act": Act.ANNOUNCED, **changes}
    return custody.do(receipts.record_announcement, custody.answer(present, **told))


def test_the_timelock_runs_once_every_signer_announced(custody: Custody) -> None:
    present = announcing(custody)
    assert announce(custody, present).state is S.ANNOUNCING
    custody.now = Seconds(custody.now + 5)
    assert announce(custody, present, index=1).timelock_ends_at is None
    done = announce(custody, present, index=2)
    assert (done.state, done.timelock_ends_at) == (S.TIMELOCKED, custody.now + 600)


@pytest.mark.parametrize(
    "changes",
    [
        {"intent_digest": Digest("ab" * 32)},
        {"act": Act.SIGNED},
        {"signer": SignerId("signer-9")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_receipt_of_something_else(custody: Custody, changes: dict[str, Any]) -> None:
    present = announcing(custody)
    signer = custody.world.signers[0]
    receipt = custody.world.receipt(signer, custody.intent(present), changes.pop("act", Act.ANNOUNCED))
    envelope = custody.world.cosign(replace(receipt, **changes), signer)
    command = replace(custody.answer(present, 0, Act.ANNOUNCED), envelope=envelope)
    unchanged(custody, lambda: custody.do(receipts.record_announcement, command), StatementMismatch)


def test_a_receipt_is_signed_by_the_signer_it_names(custody: Custody) -> None:
    present = announcing(custody)
    receipt = custody.world.receipt(custody.world.signers[0], custody.intent(present), Act.ANNOUNCED)
    envelope = custody.world.cosign(receipt, custody.world.signers[1])
    command = replace(custody.answer(present, 0, Act.ANNOUNCED), envelope=envelope)
    unchanged(custody, lambda: custody.do(receipts.record_announcement, command), StatementSignature)


def test_a_refusal_changes_no_state(custody: Custody) -> None:
    refused = custody.refuse(announcing(custody), 0, Tag.VELOCITY)
    assert refused.state is S.ANNOUNCING
    assert [(r.signer, r.tags) for r in refused.refusals] == [("signer-1", (Tag.VELOCITY,))]
