"""The policy is the one that was pinned, signed by its own quorum, once."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import policy
from custody.application.ports.store import SignedPolicy
from custody.domain.errors import PolicyForbids, StatementMismatch, StatementSignature
from signers.statements.identifiers import Seconds
from signers.statements.network import Network
from signers.statements.refusals import Tag
from tests.factories import build_world
from tests.unit.custody.scenario import Custody, unchanged


def pin(custody: Custody, **changes: Any) -> SignedPolicy:
    world = custody.world
    command = policy.PinPolicy(
        envelope=world.policy_envelope, digest=world.policy.digest, network=world.network
    )
    return custody.do(policy.pin, replace(command, **changes))


def test_a_policy_is_pinned_once_and_stays() -> None:
    custody = Custody()
    first = pin(custody)
    before = custody.dump()
    custody.now = Seconds(custody.now + 1)
    assert pin(custody) == first
    assert custody.dump() == before


def test_a_file_that_was_exchanged() -> None:
    custody = Custody()
    other = build_world(seed="other").policy_envelope
    error = unchanged(custody, lambda: pin(custody, envelope=other), StatementMismatch)
    assert error.tag is Tag.POLICY_DIGEST


def test_another_network() -> None:
    custody = Custody()
    unchanged(custody, lambda: pin(custody, network=Network.MAINNET), StatementMismatch)


def test_one_admin_is_no_quorum() -> None:
    custody = Custody()
    alone = custody.world.sign(custody.world.policy, custody.world.admins[0])
    error = unchanged(custody, lambda: pin(custody, envelope=alone), StatementSignature)
    assert error.tag is Tag.POLICY_QUORUM


def test_another_policy_does_not_replace_the_one_in_force() -> None:
    custody = Custody()
    pin(custody)
    other = build_world(seed="other")
    unchanged(
        custody,
        lambda: pin(custody, envelope=other.policy_envelope, digest=other.policy.digest),
        PolicyForbids,
    )


@pytest.mark.parametrize("index", [0, 1])
def test_a_signature_that_is_wrong_spoils_the_policy(index: int) -> None:
    custody = Custody()
    envelope = custody.world.policy_envelope
    signatures = list(envelope.signatures)
    signatures[index] = replace(signatures[index], sig=bytes(64))
    wrong = replace(envelope, signatures=tuple(signatures))
    unchanged(custody, lambda: pin(custody, envelope=wrong), StatementSignature)
