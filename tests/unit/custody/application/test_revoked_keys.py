"""An approver's key is revoked while others still sign: its word is gone, and nobody else's with it."""

from dataclasses import replace

import pytest

from custody.application import consents, destinations
from custody.domain.destination import AllowedDestination
from custody.domain.errors import StatementSignature
from custody.domain.withdrawal import Capacity, Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements import quorum
from signers.statements.amounts import Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import DestinationId, Seconds
from signers.statements.policy import Role
from signers.statements.refusals import Tag
from tests.factories import BTC, DAY, World, build_world
from tests.unit.custody.scenario import Custody, unchanged

REVOKED_AFTER = 4 * DAY


def revoking(world: World) -> World:
    """The same world, in which the policy revokes the first approver's key in four days."""
    at = Seconds(world.now + REVOKED_AFTER)
    first = world.approvers[0].public_key
    keys = (replace(key, revoked_at=at) if key.public_key == first else key for key in world.policy.keys)
    return build_world(policy_changes={"keys": tuple(keys)})


@pytest.fixture
def custody() -> Custody:
    made = Custody(revoking(build_world()))
    made.onboard()
    made.allow(Asset.BTC)
    made.fund_bitcoin(BTC)
    return made


def pass_revocation(custody: Custody) -> None:
    custody.now = Seconds(custody.world.now + REVOKED_AFTER)
    custody.publish_prices()


# An intent.


@pytest.fixture
def approved(custody: Custody) -> Withdrawal:
    """An intent that the first approver has approved, with the key that is then revoked."""
    (coin,) = custody.ask(lambda uow: uow.coins(custody.account_id))
    present = custody.plan(custody.request(Sats(BTC // 2), Sats(50_000)), coin.outpoint)
    done = approve(custody, present, 0)
    pass_revocation(custody)
    assert custody.now < present.expires_at
    return done


def approve(custody: Custody, present: Withdrawal, index: int) -> Withdrawal:
    envelope = custody.world.sign(custody.intent(present), custody.world.approvers[index])
    command = custody.consent(consents.ApproveWithdrawal, present, envelope)
    return custody.do(consents.approve, command, principal=custody.approver(index))


def test_the_others_complete_the_quorum_without_it(custody: Custody, approved: Withdrawal) -> None:
    assert [each.capacity for each in approved.signatures] == [Capacity.APPROVER]
    done = custody.agree(approved, approvers=(1,))
    assert done.state is WithdrawalState.AWAITING_SIGNATURES
    assert [(each.capacity, each.count) for each in done.missing] == [(Capacity.APPROVER, 1)]
    assert custody.world.approvers[0].entity not in {each.entity for each in done.signatures}
    done = approve(custody, done, 2)
    assert (done.state, done.missing) == (WithdrawalState.ANNOUNCING, ())
    assert done.intent is not None
    reached = quorum.approvals(
        done.intent,
        policy=custody.world.policy,
        role=Role.APPROVER,
        required=2,
        at=custody.now,
        maker=custody.account.pledgor,
    )
    assert reached.missing == 0


def test_it_approves_nothing_any_more(custody: Custody, approved: Withdrawal) -> None:
    error = unchanged(custody, lambda: approve(custody, approved, 0), StatementSignature)
    assert error.tag is Tag.APPROVAL_KEY_REVOKED


# An entry of the allowlist.


def allow(custody: Custody, found: AllowedDestination, index: int) -> AllowedDestination:
    command = destinations.ApproveDestination(
        request_id=custody.fresh(),
        account=custody.account_id,
        destination_id=found.destination_id,
        etag=found.etag,
        envelope=custody.world.sign(
            Envelope(found.envelope.payload_type, found.envelope.payload), custody.world.approvers[index]
        ),
    )
    return custody.do(destinations.approve, command, principal=custody.approver(index))


def test_the_others_allow_a_destination_without_it(custody: Custody) -> None:
    entry = custody.world.allowlist_entry(Asset.BTC, destination_id=DestinationId("second-wallet"))
    command = destinations.CreateDestination(
        request_id=custody.fresh(),
        account=custody.account_id,
        destination_id=entry.destination_id,
        envelope=custody.world.sign(entry, custody.world.pledgor),
    )
    found = custody.do(destinations.create, command, principal=custody.pledgor)
    assert allow(custody, found, 0).missing_approvals == 1
    pass_revocation(custody)
    found = allow(custody, found, 1)
    assert (found.missing_approvals, found.approved_by) == (1, (custody.world.approvers[1].entity,))
    found = allow(custody, found, 2)
    assert found.missing_approvals == 0
    assert found.envelope.signed_by(custody.world.pledgor.public_key)
