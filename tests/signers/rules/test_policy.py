"""The policy that a signer takes, and one journal for one policy: nothing is decided outside of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signers import configuration, wiring
from signers.bitcoin.node import NodeUnavailable
from signers.journal import AccountCosigned, document
from signers.rules import watch
from signers.rules.announce import announce
from signers.rules.onboarding import create_account_key
from signers.rules.policy import PolicyUnfit, pin, read_policy
from signers.statements import canonical
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Tier
from signers.statements.refusals import Tag
from tests.factories import DAY, World, build_world
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage
from tests.signers.test_configuration import documented, written


def read(world: World, envelope: Envelope, **changes: object) -> Policy:
    told = {"network": world.network, "pinned": envelope.digest, "at": world.now, **changes}
    policy, _ = read_policy(envelope.to_json(), **told)  # type: ignore[arg-type] # changes are a test's
    return policy


def test_baseline_policy() -> None:
    world = build_world()
    assert read(world, world.policy_envelope) == world.policy


@refuses(Tag.POLICY_DIGEST)
def test_a_policy_that_is_not_the_pinned_one() -> None:
    world = build_world()
    with refused(Tag.POLICY_DIGEST):
        read(world, world.policy_envelope, pinned=Digest("ab" * 32))


@refuses(Tag.POLICY_QUORUM)
def test_a_policy_that_one_admin_signed() -> None:
    world = build_world()
    with refused(Tag.POLICY_QUORUM):
        read(world, world.sign(world.policy, world.admins[0]))


@refuses(Tag.POLICY_SHARED_KEY)
def test_a_policy_with_one_key_under_two_entities() -> None:
    world = build_world()
    fields = json.loads(world.policy.payload())
    fields["keys"][3]["public_key"] = fields["keys"][4]["public_key"]
    envelope = world.sign(Envelope(Policy.TYPE, canonical.encode(fields)), *world.admins)
    with refused(Tag.POLICY_SHARED_KEY):
        read(world, envelope)


# What mainnet asks of it.


def strong(policy: Policy) -> dict[str, Any]:
    """The tests' policy with timelocks at mainnet's floor."""
    blocks = {Asset.BTC: 3, Asset.ETH: 150}
    return {
        "tiers": tuple(
            replace(tier, timelock_seconds=Seconds(3600), timelock_blocks=blocks[tier.up_to.asset])
            for tier in policy.tiers
        )
    }


def tiers(policy: Policy, index: int, **changes: Any) -> dict[str, tuple[Tier, ...]]:
    """One tier changed: 0 and 1 are of BTC, 2 and 3 of ETH."""
    (*all_tiers,) = strong(policy)["tiers"]
    all_tiers[index] = replace(all_tiers[index], **changes)
    return {"tiers": tuple(all_tiers)}


def bitcoin(policy: Policy, **changes: Any) -> dict[str, Any]:
    return {"assets": (replace(policy.assets[0], **changes), policy.assets[1])}


WEAK: dict[str, tuple[Any, str]] = {
    "one approver": (lambda p: tiers(p, 0, approvers=1), "a quorum of one"),
    "one approver of destinations": (lambda p: {"allowlist_approvers": 1}, "a quorum of one"),
    "one admin": (lambda p: {"admin_quorum": 1}, "one admin"),
    "cooling-off": (lambda p: {"allowlist_cooling_seconds": Seconds(DAY - 1)}, "cooling-off"),
    "seconds": (lambda p: tiers(p, 0, timelock_seconds=Seconds(3599)), "timelock below"),
    "blocks of BTC": (lambda p: tiers(p, 0, timelock_blocks=2), "timelock below"),
    "blocks of ETH": (lambda p: tiers(p, 2, timelock_blocks=149), "timelock below"),
    "fewer approvers": (lambda p: tiers(p, 0, approvers=4), "a larger amount"),
    "fewer approvers, tiers interleaved": (
        lambda p: {"tiers": tuple(tiers(p, 0, approvers=4)["tiers"][index] for index in (0, 2, 1, 3))},
        "a larger amount",
    ),
    "less time": (lambda p: tiers(p, 2, timelock_seconds=Seconds(3601)), "a larger amount"),
    "fewer blocks": (lambda p: tiers(p, 0, timelock_blocks=4), "a larger amount"),
    "window": (
        lambda p: {"limits": (replace(p.limits[0], window_seconds=Seconds(DAY - 1)), p.limits[1])},
        "window",
    ),
    "confirmations": (lambda p: bitcoin(p, confirmations=5), "bitcoin"),
}


@pytest.mark.parametrize(("change", "named"), WEAK.values(), ids=list(WEAK))
def test_mainnet_takes_no_weak_policy(change: Any, named: str) -> None:
    base = strong(build_world(network=Network.MAINNET).policy)
    floor = build_world(network=Network.MAINNET, policy_changes=base)
    read(floor, floor.policy_envelope)
    weak = build_world(network=Network.MAINNET, policy_changes={**base, **change(floor.policy)})
    with pytest.raises(PolicyUnfit, match=named):
        read(weak, weak.policy_envelope)


def test_other_networks_take_what_mainnet_does_not() -> None:
    world = build_world(policy_changes={"allowlist_approvers": 1, "allowlist_cooling_seconds": Seconds(0)})
    read(world, world.policy_envelope)


# One journal, one policy.


@refuses(Tag.POLICY_DIGEST)
async def test_a_journal_kept_under_another_policy(stage: Stage) -> None:
    pin(stage[0])
    other = replace(stage[0], policy=weaker(stage.world.policy))
    with refused(Tag.POLICY_DIGEST):
        pin(other)


def weaker(policy: Policy) -> Policy:
    """One approver, and no cooling-off."""
    tiers = tuple(replace(tier, approvers=1) for tier in policy.tiers)
    return replace(policy, tiers=tiers, allowlist_cooling_seconds=Seconds(0))


@refuses(Tag.POLICY_DIGEST)
async def test_nothing_is_announced_under_another_policy_than_the_journals(stage: Stage) -> None:
    signer = replace(await stage.restart(0), policy=weaker(stage.world.policy))
    intent = stage.intent(Asset.BTC, policy_digest=signer.policy_digest)
    approved = stage.world.approve(intent, by=stage.world.approvers[:1])
    with refused(Tag.POLICY_DIGEST):
        await announce(signer, stage.announcement(intent, intent=approved))


@refuses(Tag.POLICY_DIGEST)
async def test_nothing_is_decided_before_the_policy_stands_in_the_journal(tmp_path: Path) -> None:
    stage = await Stage.set_up(tmp_path, onboarded=False)
    for signer in stage.signers:
        assert signer.journal.sequence == 1
    stage[0].journal.close()
    stage.path(0).unlink()
    signer = stage.start(0)
    for peer in signer.reconciliation.silent:
        await signer.reconciliation.ask(peer)
    with refused(Tag.POLICY_DIGEST):
        await create_account_key(signer, stage.world.account.account, Asset.BTC)
    assert signer.journal.sequence == 0
    stage.close()


async def test_the_policy_is_pinned_before_any_node_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Stage.set_up(tmp_path, onboarded=False)
    stage[0].journal.close()
    stage.path(0).unlink()
    signer = stage.start(0)
    stood: list[bool] = []

    async def tip() -> None:
        stood.append(signer.journal.views.policy is not None)
        raise NodeUnavailable

    monkeypatch.setattr(stage.bitcoin, "tip", tip)
    assert await watch.tick(signer)
    assert stood == [True]
    stage.close()


@refuses(Tag.ACCOUNT_POLICY)
async def test_an_account_that_stands_under_another_policy(tmp_path: Path) -> None:
    """As a journal could hold one once policies change."""
    stage = await Stage.set_up(tmp_path, onboarded=False)
    account = replace(stage.world.account, policy_digest=weaker(stage.world.policy).digest)
    cosigned = AccountCosigned(
        account=account.account, account_digest=account.digest, statement=document(account.envelope())
    )
    stage[0].journal.append(cosigned, at=stage.clock[0])
    await stage.show_allowlist()
    with refused(Tag.ACCOUNT_POLICY):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    stage.close()


@refuses(Tag.POLICY_DIGEST)
async def test_a_signer_does_not_start_over_a_journal_kept_under_another_policy(
    stage: Stage, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    stage[0].journal.close()
    stage.path(0).rename(folder / "journal.db")
    told = documented().replace("/var/lib/bailee-signer", str(folder))
    config = configuration.read(written(tmp_path, told))
    with refused(Tag.POLICY_DIGEST):
        wiring.journal(config, weaker(stage.world.policy))
    wiring.journal(config, stage.world.policy).close()
