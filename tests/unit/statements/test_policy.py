"""A policy that means less than it says is no policy: one valid one, one change, one refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import GENESIS, Digest, EntityId, Label, Seconds
from signers.statements.policy import HAIRCUT_FLOOR_BPS, Policy, Role
from signers.statements.refusals import Tag
from tests.factories import BTC, ETH, World, policy_keys
from tests.unit.statements.refusing import refused

Change = Callable[[World], dict[str, Any]]
HEAD = Digest("ab" * 32)


def without(world: World, role: Role, *, keep: int) -> tuple[Any, ...]:
    """The policy's keys with only `keep` of those of a role."""
    of_role = [key for key in world.policy.keys if key.role is role]
    return tuple(key for key in world.policy.keys if key.role is not role or key in of_role[:keep])


def first(items: tuple[Any, ...], **changes: Any) -> tuple[Any, ...]:
    """The items with the first one changed."""
    return (replace(items[0], **changes), *items[1:])


def second_signer(world: World, **changes: Any) -> dict[str, Any]:
    one, two, three = world.policy.signers
    return {"signers": (one, replace(two, **changes), three)}


def prices(world: World, **changes: Any) -> dict[str, Any]:
    return {"prices": replace(world.policy.prices, **changes)}


REFUSED: list[tuple[str, Change, str]] = [
    ("version 0", lambda w: {"version": 0}, "versions start at 1"),
    ("version 1 with a predecessor", lambda w: {"previous": HEAD}, "versions start at 1"),
    ("version 2 without one", lambda w: {"version": 2, "previous": GENESIS}, "versions start at 1"),
    ("no admin", lambda w: {"keys": without(w, Role.ADMIN, keep=0)}, "admin_quorum"),
    ("fewer admins than the quorum", lambda w: {"keys": without(w, Role.ADMIN, keep=1)}, "admin_quorum"),
    ("admin quorum 0", lambda w: {"admin_quorum": 0}, "admin_quorum"),
    ("admin quorum above the admins", lambda w: {"admin_quorum": 4}, "admin_quorum"),
    ("a key twice under one role", lambda w: {"keys": (*w.policy.keys, w.policy.keys[0])}, "stands twice"),
    (
        "a key standing and revoked",
        lambda w: {"keys": (*w.policy.keys, replace(w.policy.keys[0], revoked_at=Seconds(1)))},
        "stands twice",
    ),
    ("two signers", lambda w: {"signers": w.policy.signers[:2]}, "exactly 3 signers"),
    (
        "four signers",
        lambda w: {
            "signers": (
                *w.policy.signers,
                replace(w.policy.signers[0], public_key=w.stranger.public_key),
            )
        },
        "exactly 3 signers",
    ),
    ("one name for two signers", lambda w: second_signer(w, signer=w.signers[0].signer), "two signers"),
    ("one operator for two", lambda w: second_signer(w, operator=EntityId("operator-1")), "two signers"),
    ("one cloud for two", lambda w: second_signer(w, cloud=Label("cloud-1")), "two signers"),
    (
        "one Vault holder for two",
        lambda w: second_signer(w, vault_holders=(Label("holder-2-a"), Label("holder-1-b"))),
        "two signers",
    ),
    (
        "an operator who is another signer's Vault holder",
        lambda w: second_signer(w, vault_holders=(Label("operator-1"),)),
        "two signers",
    ),
    ("a signer without Vault holder", lambda w: second_signer(w, vault_holders=()), "no Vault holder"),
    ("no approver", lambda w: {"keys": without(w, Role.APPROVER, keep=0)}, "approvers' entities"),
    ("no tiers", lambda w: {"tiers": ()}, "tiers of BTC"),
    ("no tier of one asset", lambda w: {"tiers": w.policy.tiers[:2]}, "tiers of ETH"),
    ("tiers that fall", lambda w: {"tiers": w.policy.tiers[::-1]}, "tiers of BTC"),
    (
        "two tiers to one amount",
        lambda w: {"tiers": first(w.policy.tiers, up_to=Sats(10 * BTC))},
        "tiers of BTC",
    ),
    ("a tier without approvers", lambda w: {"tiers": first(w.policy.tiers, approvers=0)}, "not reachable"),
    ("a tier beyond the approvers", lambda w: {"tiers": first(w.policy.tiers, approvers=5)}, "not reachable"),
    ("allowlist without approvers", lambda w: {"allowlist_approvers": 0}, "not reachable"),
    ("allowlist beyond the approvers", lambda w: {"allowlist_approvers": 5}, "not reachable"),
    ("no limits", lambda w: {"limits": ()}, "one entry per asset"),
    ("one asset without limit", lambda w: {"limits": w.policy.limits[:1]}, "one entry per asset"),
    ("two limits of one asset", lambda w: {"limits": w.policy.limits[:1] * 2}, "one entry per asset"),
    ("a limit of two assets", lambda w: {"limits": first(w.policy.limits, fee_cap=Wei(1))}, "one asset"),
    (
        "a limit over no time",
        lambda w: {"limits": first(w.policy.limits, window_seconds=Seconds(0))},
        "limits nothing",
    ),
    ("intents that never live", lambda w: {"intent_lifetime_max_seconds": Seconds(0)}, "lives"),
    (
        "intents that live for months",
        lambda w: {"intent_lifetime_max_seconds": Seconds(30 * 86_400 + 1)},
        "lives",
    ),
    (
        "intents that end with their timelock",
        lambda w: {"tiers": first(w.policy.tiers, timelock_seconds=w.policy.intent_lifetime_max_seconds)},
        "outlives",
    ),
    ("no assets", lambda w: {"assets": (), "limits": (), "tiers": ()}, "one entry per asset"),
    (
        "an asset twice",
        lambda w: {"assets": w.policy.assets[:1] * 2, "limits": w.policy.limits[:1] * 2},
        "one entry per asset",
    ),
    (
        "a haircut below the floor",
        lambda w: {"assets": first(w.policy.assets, haircut_bps=HAIRCUT_FLOOR_BPS - 1)},
        "haircut",
    ),
    ("a haircut above all", lambda w: {"assets": first(w.policy.assets, haircut_bps=10_001)}, "haircut"),
    (
        "credit before a block",
        lambda w: {"assets": first(w.policy.assets, confirmations=0)},
        "at least one block",
    ),
    (
        "final before credited",
        lambda w: {"assets": first(w.policy.assets, finality_depth=5)},
        "at least one block",
    ),
    ("two publishers", lambda w: {"keys": without(w, Role.PUBLISHER, keep=2)}, "publishers"),
    ("two prices are enough", lambda w: prices(w, publishers_min=2), "publishers"),
    ("more prices than publishers", lambda w: prices(w, publishers_min=4), "publishers"),
]


@pytest.mark.parametrize(("change", "says"), [pytest.param(c, s, id=name) for name, c, s in REFUSED])
def test_one_change_makes_it_no_policy(world: World, change: Change, says: str) -> None:
    changes = change(world)
    with pytest.raises(ValueError, match=says):
        replace(world.policy, **changes)


def key_under(world: World, entity: str, role: Role) -> dict[str, Any]:
    person = replace(world.approvers[0], entity=EntityId(entity))
    return {"keys": (*world.policy.keys, *policy_keys([person], role))}


SHARED: list[tuple[str, Change]] = [
    ("under two entities in one role", lambda w: key_under(w, "someone-else", Role.APPROVER)),
    ("under two entities in two roles", lambda w: key_under(w, "someone-else", Role.PUBLISHER)),
    (
        "revoked under the other",
        lambda w: {
            "keys": (
                *w.policy.keys,
                *policy_keys([replace(w.approvers[0], entity=EntityId("other"))], Role.ADMIN, revoked_at=1),
            )
        },
    ),
    ("custody's and an approver's", lambda w: {"custody_attestation_key": w.approvers[0].public_key}),
    ("custody's and a signer's", lambda w: {"custody_attestation_key": w.signers[0].public_key}),
    ("a signer's and an admin's", lambda w: second_signer(w, public_key=w.admins[0].public_key)),
    ("of two signers", lambda w: second_signer(w, public_key=w.signers[0].public_key)),
]


@pytest.mark.parametrize("change", [pytest.param(c, id=name) for name, c in SHARED])
def test_a_key_stands_for_one(world: World, change: Change) -> None:
    changes = change(world)
    with refused(Tag.POLICY_SHARED_KEY):
        replace(world.policy, **changes)


def test_a_shared_key_is_refused_by_its_tag_when_read(world: World) -> None:
    shared = world.policy.payload().replace(
        world.approvers[0].public_key.encode(), world.approvers[1].public_key.encode()
    )
    with refused(Tag.POLICY_SHARED_KEY):
        Policy.parse(shared)


def test_one_entity_may_hold_a_key_in_two_roles(world: World) -> None:
    changes = key_under(world, world.approvers[0].entity, Role.ADMIN)
    assert replace(world.policy, **changes).keys == changes["keys"]


def test_one_asset_alone_is_a_policy(world: World) -> None:
    policy = replace(
        world.policy,
        tiers=world.policy.tiers[:2],
        limits=world.policy.limits[:1],
        assets=world.policy.assets[:1],
    )
    assert policy.terms_of(Asset.BTC) is policy.assets[0]
    with pytest.raises(LookupError):
        policy.terms_of(Asset.ETH)
    with pytest.raises(LookupError):
        policy.limit_of(Asset.ETH)
    with refused(Tag.POLICY_TIER):
        policy.tier_of(Wei(1))


def test_revoked_keys_make_no_entity(world: World) -> None:
    assert world.policy.entities(Role.APPROVER) == {
        *(person.entity for person in world.approvers),
        world.pledgor.entity,
    }
    revoked = tuple(
        replace(key, revoked_at=world.now) if key.public_key == world.approvers[2].public_key else key
        for key in world.policy.keys
    )
    assert world.approvers[2].entity not in replace(world.policy, keys=revoked).entities(Role.APPROVER)


def test_a_tier_reaches_up_to_its_amount(world: World) -> None:
    small, large, small_eth, _ = world.policy.tiers
    assert world.policy.tier_of(Sats(1)) is small
    assert world.policy.tier_of(Sats(BTC)) is small
    assert world.policy.tier_of(Sats(BTC + 1)) is large
    assert world.policy.tier_of(Sats(10 * BTC)) is large
    assert world.policy.tier_of(Wei(10 * ETH)) is small_eth
    for amount in (Sats(10 * BTC + 1), Wei(100 * ETH + 1)):
        with refused(Tag.POLICY_TIER):
            world.policy.tier_of(amount)


def test_terms_are_found_by_asset_and_signer(world: World) -> None:
    assert world.policy.limit_of(Asset.ETH) is world.policy.limits[1]
    assert world.policy.terms_of(Asset.ETH) is world.policy.assets[1]
    for signer, terms in zip(world.signers, world.policy.signers, strict=True):
        assert world.policy.signer(signer.signer) is terms
    with pytest.raises(LookupError):
        world.policy.signer(type(world.signers[0].signer)("signer-4"))
