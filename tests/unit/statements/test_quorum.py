"""Who agreed: one complete world, one change, one refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.envelope import Envelope, Signature
from signers.statements.identifiers import Digest, EntityId, IntentId, KeyId, Seconds
from signers.statements.intent import Intent
from signers.statements.policy import Policy, Role
from signers.statements.quorum import (
    Quorum,
    approvals,
    check_release,
    intent_quorum,
    missing_parties,
    missing_signers,
)
from signers.statements.refusals import Tag
from tests.factories import BTC, ETH, World, build_world
from tests.unit.statements.refusing import refused

Change = Callable[[World, Intent], Envelope]


def asked(world: World, envelope: Envelope, intent: Intent, *, at: Seconds | None = None) -> Quorum:
    when = world.now if at is None else at
    return intent_quorum(envelope, intent, account=world.account, policy=world.policy, at=when)


def borrowed(envelope: Envelope, other: Envelope) -> Envelope:
    """The first statement under the other's signatures."""
    return Envelope(envelope.payload_type, envelope.payload, other.signatures)


def relabelled(envelope: Envelope, index: int, keyid: KeyId) -> Envelope:
    """One signature with another hint."""
    signatures = list(envelope.signatures)
    signatures[index] = Signature(keyid, signatures[index].sig)
    return Envelope(envelope.payload_type, envelope.payload, tuple(signatures))


@pytest.mark.parametrize("asset", list(Asset))
def test_maker_and_quorum_agree(world: World, asset: Asset) -> None:
    intent = world.intent(asset)
    quorum = asked(world, world.approve(intent, by=world.approvers[:2]), intent)
    assert quorum == Quorum(
        required=2,
        approved=frozenset(person.entity for person in world.approvers[:2]),
        candidates=frozenset([world.approvers[2].entity]),
    )
    assert quorum.missing == 0
    quorum.require()


def test_the_order_of_signatures_means_nothing(world: World) -> None:
    intent = world.intent(Asset.BTC)
    one, two, _ = world.approvers
    backwards = world.sign(intent, two, one, world.pledgor)
    forwards = world.approve(intent, by=[one, two])
    assert asked(world, backwards, intent) == asked(world, forwards, intent)


@pytest.mark.parametrize("count", [0, 1])
def test_a_quorum_that_is_short_says_by_how_many(world: World, count: int) -> None:
    intent = world.intent(Asset.BTC)
    quorum = asked(world, world.approve(intent, by=world.approvers[:count]), intent)
    assert quorum.missing == 2 - count
    assert quorum.candidates == {person.entity for person in world.approvers[count:]}
    with refused(Tag.POLICY_QUORUM):
        quorum.require()


@pytest.mark.parametrize("amount", [Sats(BTC + 1), Wei(10 * ETH + 1)])
def test_a_larger_amount_needs_more(world: World, amount: Amount) -> None:
    intent = world.intent(amount.asset, amount=amount)
    assert asked(world, world.approve(intent, by=world.approvers[:2]), intent).missing == 1
    assert asked(world, world.approve(intent), intent).missing == 0


def test_any_party_may_ask(world: World) -> None:
    intent = world.intent(Asset.BTC, maker=world.secured_party.entity)
    asked(world, world.approve(intent, maker=world.secured_party), intent).require()


def test_a_device_is_as_good_as_the_other_of_its_entity(world: World) -> None:
    intent = world.intent(Asset.BTC)
    quorum = asked(world, world.approve(intent, by=[world.second_device, world.approvers[1]]), intent)
    assert quorum.approved == {person.entity for person in world.approvers[:2]}


def test_a_maker_s_signature_may_stand_twice_and_counts_never(world: World) -> None:
    intent = world.intent(Asset.BTC)
    once = world.approve(intent, by=world.approvers[:1])
    twice = Envelope(once.payload_type, once.payload, (*once.signatures, once.signatures[0]))
    assert asked(world, twice, intent) == asked(world, once, intent)
    assert asked(world, twice, intent).missing == 1


REFUSED: list[tuple[str, Change, Tag]] = [
    ("the maker has not signed", lambda w, i: w.approve(i, make=False), Tag.MAKER_MISSING),
    (
        "the maker signed another intent",
        lambda w, i: w.approve(borrowed(i.envelope(), w.sign(other_than(i), w.pledgor)), make=False),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    ("another party made it", lambda w, i: w.approve(i, maker=w.custodian), Tag.APPROVAL_KEY_UNKNOWN),
    (
        "the maker's entity approves",
        lambda w, i: w.approve(i, by=[*w.approvers, w.pledgor_approver]),
        Tag.POLICY_MAKER_CHECKER,
    ),
    (
        "one entity with two keys",
        lambda w, i: w.approve(i, by=[w.approvers[0], w.second_device]),
        Tag.POLICY_DUPLICATE_ENTITY,
    ),
    ("one signature twice", lambda w, i: doubled(w.approve(i)), Tag.POLICY_DUPLICATE_ENTITY),
    ("a stranger", lambda w, i: w.approve(i, by=[*w.approvers, w.stranger]), Tag.APPROVAL_KEY_UNKNOWN),
    ("an admin's key", lambda w, i: w.approve(i, by=[*w.approvers, w.admins[0]]), Tag.APPROVAL_KEY_UNKNOWN),
    (
        "a publisher's key",
        lambda w, i: w.approve(i, by=[*w.approvers, w.publishers[0]]),
        Tag.APPROVAL_KEY_UNKNOWN,
    ),
    ("a signer's key", lambda w, i: w.cosign(w.approve(i), w.signers[0]), Tag.APPROVAL_KEY_UNKNOWN),
    ("custody's key", lambda w, i: w.approve(i, by=[w.attestation]), Tag.APPROVAL_KEY_UNKNOWN),
    ("the secured party's key", lambda w, i: w.approve(i, by=[w.secured_party]), Tag.APPROVAL_KEY_UNKNOWN),
    ("a revoked key", lambda w, i: w.approve(i, by=[*w.approvers, w.revoked]), Tag.APPROVAL_KEY_REVOKED),
    (
        "an approval of another intent",
        lambda w, i: w.sign(borrowed(i.envelope(), w.sign(other_than(i), w.approvers[0])), w.pledgor),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "an approval of the release",
        lambda w, i: w.sign(borrowed(i.envelope(), w.sign(w.release(i), w.approvers[0])), w.pledgor),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "a signature under another's hint",
        lambda w, i: relabelled(w.approve(i), 1, w.approvers[2].public_key.key_id),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "a signature under the maker's hint",
        lambda w, i: relabelled(w.approve(i), 1, w.pledgor.public_key.key_id),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "the maker's signature under an approver's hint",
        lambda w, i: relabelled(w.approve(i), 0, w.approvers[0].public_key.key_id),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "an envelope of another intent",
        lambda w, i: w.approve(other_than(i)),
        Tag.APPROVAL_WRONG_INTENT,
    ),
    (
        "an envelope of another type",
        lambda w, i: w.approve(Envelope("application/other", i.payload())),
        Tag.APPROVAL_WRONG_INTENT,
    ),
]


def other_than(intent: Intent) -> Intent:
    return replace(intent, intent=IntentId("00000000-0000-4000-8000-000000000000"))


def doubled(envelope: Envelope) -> Envelope:
    signatures = (*envelope.signatures, envelope.signatures[-1])
    return Envelope(envelope.payload_type, envelope.payload, signatures)


@pytest.mark.parametrize("asset", list(Asset))
@pytest.mark.parametrize(("change", "tag"), [pytest.param(c, t, id=name) for name, c, t in REFUSED])
def test_one_change_is_refused(world: World, asset: Asset, change: Change, tag: Tag) -> None:
    intent = world.intent(asset)
    asked(world, world.approve(intent), intent).require()
    envelope = change(world, intent)
    with refused(tag):
        asked(world, envelope, intent)


def test_a_maker_who_is_no_party_is_refused(world: World) -> None:
    intent = world.intent(Asset.BTC, maker=world.stranger.entity)
    with refused(Tag.MAKER_MISSING):
        asked(world, world.approve(intent, maker=world.stranger), intent)


def test_a_party_by_name_signs_with_the_account_s_key(world: World) -> None:
    intent = world.intent(Asset.BTC)
    impostor = replace(world.stranger, entity=world.pledgor.entity)
    with refused(Tag.APPROVAL_KEY_UNKNOWN):
        asked(world, world.approve(intent, maker=impostor), intent)


@pytest.mark.parametrize("amount", [Sats(10 * BTC + 1), Wei(100 * ETH + 1)])
def test_above_the_last_tier_nobody_can_agree(world: World, amount: Amount) -> None:
    intent = world.intent(amount.asset, amount=amount)
    with refused(Tag.POLICY_TIER):
        asked(world, world.approve(intent), intent)


@pytest.mark.parametrize(("after", "counts"), [(-1, True), (0, False), (1, False)])
def test_a_key_counts_until_the_instant_of_its_revocation(world: World, after: int, counts: bool) -> None:
    (revoked_at,) = [key.revoked_at for key in world.policy.keys if key.revoked_at is not None]
    intent = world.intent(Asset.BTC)
    envelope = world.approve(intent, by=[world.approvers[0], world.revoked])
    at = Seconds(revoked_at + after)
    if counts:
        assert world.revoked.entity in asked(world, envelope, intent, at=at).approved
    else:
        with refused(Tag.APPROVAL_KEY_REVOKED):
            asked(world, envelope, intent, at=at)


def test_a_revoked_key_makes_its_entity_no_candidate(world: World) -> None:
    revoked = tuple(
        replace(key, revoked_at=world.now) if key.public_key == world.approvers[2].public_key else key
        for key in world.policy.keys
    )
    changed = replace(world, policy=replace(world.policy, keys=revoked))
    intent = changed.intent(Asset.BTC)
    quorum = asked(changed, changed.approve(intent, by=[]), intent)
    assert quorum.candidates == {person.entity for person in world.approvers[:2]}
    before = asked(changed, changed.approve(intent, by=[]), intent, at=Seconds(world.now - 1))
    assert before.candidates == {person.entity for person in world.approvers}


def test_a_key_of_another_party_that_is_also_an_approver_s_is_not_counted_for_its_maker(
    world: World,
) -> None:
    # The maker's key of the account stands in the policy under another entity: still not counted.
    keys = tuple(
        replace(key, public_key=world.pledgor.public_key)
        if key.public_key == world.approvers[0].public_key
        else key
        for key in world.policy.keys
    )
    changed = replace(world, policy=replace(world.policy, keys=keys))
    intent = changed.intent(Asset.BTC)
    assert asked(changed, changed.approve(intent, by=[world.approvers[1]]), intent).missing == 1


# Allowlist entries and policies are counted by the same function.


@pytest.mark.parametrize("asset", list(Asset))
def test_an_allowlist_entry_is_approved_without_its_pledgor(world: World, asset: Asset) -> None:
    def asked_of(envelope: Envelope) -> Quorum:
        return approvals(
            envelope,
            policy=world.policy,
            role=Role.APPROVER,
            required=world.policy.allowlist_approvers,
            at=world.now,
            maker=world.account.pledgor,
        )

    asked_of(world.allowlist_envelope(asset)).require()
    assert asked_of(world.approve(world.allowlist_entry(asset), by=[])).missing == 2
    with refused(Tag.POLICY_MAKER_CHECKER):
        asked_of(world.approve(world.allowlist_entry(asset), by=[world.pledgor_approver]))


def test_a_policy_is_signed_by_its_admins(world: World) -> None:
    def asked_of(envelope: Envelope, policy: Policy) -> Quorum:
        return approvals(envelope, policy=policy, role=Role.ADMIN, required=policy.admin_quorum, at=world.now)

    asked_of(world.policy_envelope, world.policy).require()
    assert asked_of(world.sign(world.policy, world.admins[0]), world.policy).missing == 1
    with refused(Tag.APPROVAL_KEY_UNKNOWN):
        asked_of(world.sign(world.policy, world.approvers[0]), world.policy)


# The release.


@pytest.mark.parametrize("asset", list(Asset))
def test_a_release_is_of_its_intent_until_it_expires(world: World, asset: Asset) -> None:
    intent = world.intent(asset)
    envelope = world.release_envelope(intent)
    for at in (world.now, Seconds(intent.expires_at - 1)):
        assert check_release(envelope, intent, account=world.account, at=at) == world.release(intent)


RELEASES: list[tuple[str, Callable[[World, Intent], Envelope | None], Tag]] = [
    ("unsigned", lambda w, i: w.release(i).envelope(), Tag.RELEASE_SIGNATURE),
    ("signed by the pledgor", lambda w, i: w.sign(w.release(i), w.pledgor), Tag.RELEASE_SIGNATURE),
    ("signed by the custodian", lambda w, i: w.sign(w.release(i), w.custodian), Tag.RELEASE_SIGNATURE),
    ("signed by an approver", lambda w, i: w.sign(w.release(i), w.approvers[0]), Tag.RELEASE_SIGNATURE),
    (
        "signed as another release",
        lambda w, i: borrowed(w.release(i).envelope(), w.release_envelope(other_than(i))),
        Tag.RELEASE_SIGNATURE,
    ),
    (
        "of another intent id",
        lambda w, i: w.release_envelope(i, intent=other_than(i).intent),
        Tag.RELEASE_WRONG_INTENT,
    ),
    ("of another intent", lambda w, i: w.release_envelope(other_than(i)), Tag.RELEASE_WRONG_INTENT),
    (
        "of another digest",
        lambda w, i: w.release_envelope(i, intent_digest=Digest("ab" * 32)),
        Tag.RELEASE_WRONG_INTENT,
    ),
    (
        "of a changed amount",
        lambda w, i: w.release_envelope(replace(i, amount=i.fee_cap)),
        Tag.RELEASE_WRONG_INTENT,
    ),
    (
        "of another account",
        lambda w, i: w.release_envelope(i, account=type(i.account)("acct-two")),
        Tag.RELEASE_WRONG_INTENT,
    ),
    ("expired now", lambda w, i: w.release_envelope(i, expires_at=w.now), Tag.RELEASE_EXPIRED),
    ("expired", lambda w, i: w.release_envelope(i, expires_at=Seconds(w.now - 1)), Tag.RELEASE_EXPIRED),
    (
        "of another network",
        lambda w, i: w.release_envelope(i, network=type(i.network).MAINNET),
        Tag.STATEMENT_NETWORK,
    ),
    ("of another type", lambda w, i: w.sign(i, w.secured_party), Tag.STATEMENT_TYPE),
    (
        "not canonical",
        lambda w, i: w.sign(Envelope(w.release(i).TYPE, b" " + w.release(i).payload()), w.secured_party),
        Tag.STATEMENT_NON_CANONICAL,
    ),
    (
        "malformed",
        lambda w, i: w.sign(Envelope(w.release(i).TYPE, b"{}"), w.secured_party),
        Tag.STATEMENT_MALFORMED,
    ),
]


@pytest.mark.parametrize(("change", "tag"), [pytest.param(c, t, id=name) for name, c, t in RELEASES])
def test_one_change_is_no_release(world: World, change: Any, tag: Tag) -> None:
    intent = world.intent(Asset.BTC)
    envelope = change(world, intent)
    with refused(tag):
        check_release(envelope, intent, account=world.account, at=world.now)


# The account's signatures.


def test_a_complete_account_misses_nobody(world: World) -> None:
    assert missing_parties(world.account_envelope, world.account) == ()
    assert missing_signers(world.account_envelope, world.policy) == ()


@pytest.mark.parametrize("index", range(3))
def test_each_party_and_each_signer_is_missed(world: World, index: int) -> None:
    parties = [world.pledgor, world.secured_party, world.custodian]
    signers = list(world.signers)
    left_out, silent = parties.pop(index), signers.pop(index)
    envelope = world.cosign(world.sign(world.account, *parties), *signers)
    assert missing_parties(envelope, world.account) == (left_out.entity,)
    assert missing_signers(envelope, world.policy) == (silent.signer,)


def test_everybody_is_missed_where_the_signatures_are_of_another_account(world: World) -> None:
    other = build_world(account_changes={"created_at": Seconds(world.now - 1)})
    everybody = tuple(party.entity for party in world.account.parties)
    assert missing_parties(other.account_envelope, world.account) == everybody
    false = borrowed(world.account.envelope(), other.account_envelope)
    assert missing_parties(false, world.account) == everybody
    assert missing_signers(false, world.policy) == tuple(signer.signer for signer in world.signers)


def test_a_party_s_other_key_does_not_sign_the_account(world: World) -> None:
    envelope = world.sign(world.account, world.pledgor_approver, world.secured_party, world.custodian)
    assert missing_parties(envelope, world.account) == (EntityId("client-one"),)
