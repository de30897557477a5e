"""One journal, one policy: nothing is decided under another one, or before the policy stands in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from signers import configuration, wiring
from signers.bitcoin.node import NodeUnavailable
from signers.journal import AccountCosigned, document
from signers.rules import watch
from signers.rules.announce import announce
from signers.rules.onboarding import create_account_key
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds
from signers.statements.policy import Policy
from signers.statements.refusals import Tag
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage
from tests.signers.test_configuration import documented, written


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
