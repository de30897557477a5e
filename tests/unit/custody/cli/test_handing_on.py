"""What a party verified, it can keep and hand on: somebody else checks it offline."""

from pathlib import Path

import pytest

from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from tests.factories import World
from tests.unit.custody.cli.conftest import ACCOUNT, Bailee, Play
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody


def shows(world: World) -> dict[str, tuple[str, ...]]:
    entry = world.allowlist_entry(Asset.BTC)
    return {
        "policy": ("policy", "show"),
        "account": ("account", "verify", ACCOUNT),
        "entry": ("destination", "show", ACCOUNT, entry.destination_id),
        "intent": ("withdrawal", "show", ACCOUNT, WITHDRAWAL),
    }


@pytest.mark.parametrize("name", ["policy", "account", "entry", "intent"])
def test_what_one_writes_another_verifies_offline(
    play: Play, bailee: Bailee, world: World, tmp_path: Path, name: str
) -> None:
    files = {each: tmp_path / f"{each}.json" for each in {"policy", "account", name}}
    for each, file in files.items():
        assert play(world.pledgor, *shows(world)[each], "--out", file).exit_code == 0
    run = bailee(
        *("statement", "show", files[name], "--account-file", files["account"], "--json"),
        *("--network", "regtest", "--policy-digest", world.policy.digest, "--policy-file", files["policy"]),
    )
    assert run.exit_code == 0, run.stderr
    assert run.json["signatures"]


def test_an_unverified_account_is_not_written(
    play: Play, custody: FakeCustody, world: World, tmp_path: Path
) -> None:
    custody.account.envelope = world.sign(world.account, world.pledgor).to_json()
    run = play(world.pledgor, "account", "verify", ACCOUNT, "--out", tmp_path / "account.json")
    assert run.exit_code == 1
    assert not (tmp_path / "account.json").exists()


def test_signatures_over_another_intent_are_not_written(
    play: Play, custody: FakeCustody, world: World, tmp_path: Path
) -> None:
    (withdrawal,) = custody.withdrawals.values()
    withdrawal.intent_envelope = world.intent_envelope(Asset.ETH).to_json()
    run = play(world.pledgor, *shows(world)["intent"], "--out", tmp_path / "intent.json")
    assert (run.exit_code, run.error["reason"]) == (1, "VERIFICATION_FAILED")
    assert not (tmp_path / "intent.json").exists()


def test_a_withdrawal_without_an_intent_has_nothing_to_hand_on(
    play: Play, custody: FakeCustody, world: World, tmp_path: Path
) -> None:
    (withdrawal,) = custody.withdrawals.values()
    withdrawal.intent = b""
    run = play(world.pledgor, *shows(world)["intent"], "--out", tmp_path / "intent.json")
    assert (run.exit_code, run.error["reason"]) == (2, "USAGE")


def test_what_is_decoded_is_shown_in_words(play: Play, bailee: Bailee, world: World, tmp_path: Path) -> None:
    for each in ("policy", "account", "entry"):
        assert play(world.pledgor, *shows(world)[each], "--out", tmp_path / f"{each}.json").exit_code == 0
    texts = {
        each: bailee("statement", "show", tmp_path / f"{each}.json").stdout for each in ("policy", "entry")
    }
    assert "haircut 6000 bps" in texts["policy"]
    assert "usable from" in texts["entry"]
    account = bailee("statement", "show", tmp_path / "account.json").stdout
    assert f"pledgor.entity                  {world.pledgor.entity}" in account
    envelope = Envelope.from_json((tmp_path / "account.json").read_bytes())
    assert envelope.digest in account
