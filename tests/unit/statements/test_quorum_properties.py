"""Whatever set of signatures there is: entities count, and nothing else does."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope, Signature, sign
from signers.statements.quorum import Quorum, intent_quorum
from signers.statements.refusals import Refusal
from tests.factories import Person, World, build_world
from tests.unit.statements.examples import examples

WORLD = build_world()
INTENT = WORLD.intent(Asset.BTC)
OTHER = WORLD.intent(Asset.ETH)

STANDING = (*WORLD.approvers, WORLD.second_device)
"""Four approver keys of three entities that are not the maker's."""

EVERYBODY = (
    WORLD.pledgor,
    *STANDING,
    WORLD.pledgor_approver,
    WORLD.revoked,
    WORLD.stranger,
    WORLD.secured_party,
    WORLD.custodian,
    WORLD.attestation,
    *WORLD.admins,
    *WORLD.publishers,
)


def signed(person: Person, *, of: Envelope, hint: Person) -> Signature:
    (signature,) = sign(person.key, Envelope(of.payload_type, of.payload)).signatures
    return Signature(hint.public_key.key_id, signature.sig)


SIGNATURES = {
    (person.public_key, of.digest): signed(person, of=of, hint=person)
    for person in EVERYBODY
    for of in (INTENT.envelope(), OTHER.envelope())
}

any_signature = st.one_of(
    st.sampled_from(EVERYBODY).map(lambda person: SIGNATURES[person.public_key, INTENT.digest]),
    st.sampled_from(EVERYBODY).map(lambda person: SIGNATURES[person.public_key, OTHER.digest]),
    st.builds(
        lambda person, hint: Signature(
            hint.public_key.key_id, SIGNATURES[person.public_key, INTENT.digest].sig
        ),
        st.sampled_from(EVERYBODY),
        st.sampled_from(EVERYBODY),
    ),
)


def asked(world: World, signatures: Sequence[Signature]) -> Quorum:
    envelope = Envelope(INTENT.TYPE, INTENT.payload(), tuple(signatures))
    return intent_quorum(envelope, INTENT, account=world.account, policy=world.policy, at=world.now)


def entities_behind(signatures: Sequence[Signature]) -> set[str]:
    """The standing approvers' entities, not the maker's, that truly signed this intent."""
    return {
        person.entity
        for person in STANDING
        if SIGNATURES[person.public_key, INTENT.digest].sig in {signature.sig for signature in signatures}
    }


@given(signatures=st.lists(any_signature, max_size=6))
@examples(400)
def test_fewer_entities_than_required_never_satisfy(signatures: list[Signature]) -> None:
    behind = entities_behind(signatures)
    try:
        quorum = asked(WORLD, signatures)
    except Refusal:
        return
    assert quorum.approved <= behind
    assert (quorum.missing == 0) is (len(quorum.approved) >= quorum.required == 2)
    assert WORLD.pledgor.entity not in quorum.approved
    assert any(s == SIGNATURES[WORLD.pledgor.public_key, INTENT.digest] for s in signatures)


@given(people=st.permutations(WORLD.approvers), count=st.integers(0, 3), more=st.integers(0, 3))
@examples(60)
def test_an_approval_more_never_removes_one(people: list[Person], count: int, more: int) -> None:
    maker = SIGNATURES[WORLD.pledgor.public_key, INTENT.digest]
    given_now = [SIGNATURES[person.public_key, INTENT.digest] for person in people]
    before = asked(WORLD, [maker, *given_now[:count]])
    after = asked(WORLD, [maker, *given_now[: count + more]])
    assert before.approved <= after.approved
    assert after.missing <= before.missing
    assert before.approved | before.candidates == after.approved | after.candidates


@given(signatures=st.permutations([WORLD.pledgor, *WORLD.approvers]))
@examples(30)
def test_the_order_of_signatures_means_nothing(signatures: list[Person]) -> None:
    quorum = asked(WORLD, [SIGNATURES[person.public_key, INTENT.digest] for person in signatures])
    assert quorum.approved == {person.entity for person in WORLD.approvers}


@given(devices=st.lists(st.sampled_from([WORLD.approvers[0], WORLD.second_device]), max_size=5))
@examples(60)
def test_one_entity_is_one_however_many_keys_it_signs_with(devices: list[Person]) -> None:
    maker = SIGNATURES[WORLD.pledgor.public_key, INTENT.digest]
    try:
        quorum = asked(WORLD, [maker, *(SIGNATURES[p.public_key, INTENT.digest] for p in devices)])
    except Refusal:
        assert len(devices) > 1
    else:
        assert len(quorum.approved) == len(devices) <= 1
