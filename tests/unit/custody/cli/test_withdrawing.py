"""Journey 5 by commands: asked for, released, approved, and read on the reader's own machine."""

from dataclasses import replace

import pytest

from custody.cli.addresses import destination_text
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Asset
from signers.statements.identifiers import IntentId
from signers.statements.intent import Intent, Release
from tests.factories import BTC, Person, World
from tests.unit.custody.cli.conftest import ACCOUNT, Play, statement
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody

TERMS = ("--destination", "client-wallet-btc", "--amount", "0.5BTC", "--fee-cap", "50000sat")


def test_a_withdrawal_is_requested_signed_released_and_approved(
    play: Play, custody: FakeCustody, world: World
) -> None:
    digest = world.intent(Asset.BTC).digest
    assert play(world.pledgor, "withdrawal", "request", ACCOUNT, WITHDRAWAL, *TERMS).exit_code == 0
    assert play(world.pledgor, "withdrawal", "sign", ACCOUNT, WITHDRAWAL, *TERMS).exit_code == 0
    pinned = (ACCOUNT, WITHDRAWAL, "--digest", digest)
    assert play(world.secured_party, "withdrawal", "release", *pinned).exit_code == 0
    assert play(world.approvers[1], "withdrawal", "approve", *pinned).exit_code == 0
    assert statement(custody.sent("SignWithdrawal")[0], Intent).digest == digest
    assert statement(custody.sent("ReleaseWithdrawal")[0], Release).intent_digest == digest
    assert statement(custody.sent("ApproveWithdrawal")[0], Intent).digest == digest
    assert play(world.pledgor, "withdrawal", "cancel", ACCOUNT, WITHDRAWAL).exit_code == 0
    assert custody.sent("CancelWithdrawal")[0].etag == "withdrawal-etag"


CONSENTS = [
    ("sign", "pledgor", "SignWithdrawal"),
    ("release", "secured_party", "ReleaseWithdrawal"),
    ("approve", "approver", "ApproveWithdrawal"),
]


def who(world: World, role: str) -> Person:
    person: Person = world.approvers[1] if role == "approver" else getattr(world, role)
    return person


@pytest.mark.parametrize(("verb", "role", "method"), CONSENTS)
def test_a_script_signs_only_what_it_pins(
    play: Play, custody: FakeCustody, world: World, verb: str, role: str, method: str
) -> None:
    person = who(world, role)
    wrong = play(person, "withdrawal", verb, ACCOUNT, WITHDRAWAL, "--digest", "00" * 32)
    assert (wrong.exit_code, wrong.error["reason"]) == (1, "VERIFICATION_FAILED")
    without = play(person, "withdrawal", verb, ACCOUNT, WITHDRAWAL)
    assert (without.exit_code, without.error["reason"]) == (2, "USAGE")
    assert custody.sent(method) == []


@pytest.mark.parametrize(("answer", "exit_code"), [("y", 0), ("n", 1), ("", 1)])
@pytest.mark.parametrize(("verb", "role", "method"), CONSENTS)
def test_a_person_reads_what_this_machine_decoded(
    play: Play,
    custody: FakeCustody,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    role: str,
    method: str,
    answer: str,
    exit_code: int,
) -> None:
    monkeypatch.setattr("custody.cli.context._somebody_is_there", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer == "y")
    run = play(who(world, role), "withdrawal", verb, ACCOUNT, WITHDRAWAL, json=False)
    assert run.exit_code == exit_code
    assert len(custody.sent(method)) == (1 if exit_code == 0 else 0)
    intent = world.intent(Asset.BTC)
    for shown in (
        "0.50000000 BTC (50000000 sat)",
        "0.00050000 BTC (50000 sat)",
        destination_text(intent.destination, world.network),
        world.allowlist_entry(Asset.BTC).destination.script_pubkey,  # type: ignore[union-attr]
        intent.digest,
    ):
        assert shown in run.stderr


def test_what_was_released_counts_until_it_is_found_to_have_ended(
    play: Play, custody: FakeCustody, world: World
) -> None:
    engine, intent = world.secured_party, world.intent(Asset.BTC)
    assert play(engine, "withdrawal", "settle", ACCOUNT).json == {"outstanding": []}
    play(engine, "withdrawal", "release", ACCOUNT, WITHDRAWAL, "--digest", intent.digest)
    (counted,) = play(engine, "withdrawal", "settle", ACCOUNT).json["outstanding"]
    assert counted == {
        "withdrawal": WITHDRAWAL,
        "intent_digest": intent.digest,
        "asset": "BTC",
        "held_units": str(BTC // 2 + 50_000),
        "expires_at": intent.expires_at,
    }
    shown = play(engine, "withdrawal", "settle", ACCOUNT, json=False).stdout
    assert "0.50050000 BTC" in shown
    custody.settle(WITHDRAWAL)
    assert play(engine, "withdrawal", "settle", ACCOUNT).json == {"outstanding": []}


def test_a_destination_that_custody_exchanged_is_never_shown_for_approval(
    play: Play, custody: FakeCustody, world: World
) -> None:
    enforcement = world.account.enforcement.bitcoin
    intent = world.intent(Asset.BTC)
    lie = replace(intent, destination=BitcoinDestination(script_pubkey=enforcement))
    custody.show_intent(lie)
    run = play(world.approvers[1], "withdrawal", "approve", ACCOUNT, WITHDRAWAL, "--digest", lie.digest)
    assert run.exit_code == 1
    assert "another destination" in run.error["message"]


@pytest.mark.parametrize("command", [("show", ACCOUNT, WITHDRAWAL), ("list", ACCOUNT)], ids=" ".join)
@pytest.mark.parametrize("json", [True, False])
def test_an_amount_beside_another_intent_is_not_shown(
    play: Play, custody: FakeCustody, world: World, command: tuple[str, ...], json: bool
) -> None:
    custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"].amount.units = "1"
    run = play(world.pledgor, "withdrawal", *command, json=json)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "another amount is shown beside" in run.stderr


@pytest.mark.parametrize("command", [("show", ACCOUNT, "client-wallet-btc"), ("list", ACCOUNT)], ids=" ".join)
@pytest.mark.parametrize("json", [True, False])
def test_an_address_beside_another_entry_is_not_shown(
    play: Play, custody: FakeCustody, world: World, command: tuple[str, ...], json: bool
) -> None:
    for destination in custody.destinations.values():
        destination.address.bitcoin_script_pubkey = world.account.enforcement.bitcoin.raw
    run = play(world.pledgor, "destination", *command, json=json)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "another address is shown beside" in run.stderr


def test_a_second_intent_is_not_approved_by_a_later_command(
    play: Play, custody: FakeCustody, world: World
) -> None:
    first = world.intent(Asset.BTC)
    approve = ("withdrawal", "approve", ACCOUNT, WITHDRAWAL, "--digest")
    assert play(world.approvers[1], *approve, first.digest).exit_code == 0
    second = world.intent(Asset.BTC, intent=IntentId("11111111-1111-4111-8111-111111111111"))
    custody.show_intent(second)
    run = play(world.approvers[1], *approve, second.digest)
    assert run.exit_code == 1
    assert "already" in run.error["message"]


@pytest.mark.parametrize("missing", range(3))
def test_what_was_asked_is_given_whole(play: Play, world: World, missing: int) -> None:
    terms = TERMS[: 2 * missing] + TERMS[2 * missing + 2 :]
    assert play(world.pledgor, "withdrawal", "sign", ACCOUNT, WITHDRAWAL, *terms).exit_code == 2


def test_withdrawals_and_receipts_are_shown(play: Play, world: World) -> None:
    digest = world.intent(Asset.BTC).digest
    shown = play(world.pledgor, "withdrawal", "show", ACCOUNT, WITHDRAWAL)
    assert shown.json["intent"]["digest"] == digest
    assert shown.json["withdrawal"]["state"] == "STATE_AWAITING_SIGNATURES"
    assert (
        "0.50000000 BTC" in play(world.pledgor, "withdrawal", "show", ACCOUNT, WITHDRAWAL, json=False).stdout
    )
    (listed,) = play(world.pledgor, "withdrawal", "list", ACCOUNT).json["withdrawals"]
    assert listed["intent_digest"] == digest
    receipts = play(world.pledgor, "receipt", "show", ACCOUNT, WITHDRAWAL).json["receipts"]
    assert [receipt["statement"]["act"] for receipt in receipts] == ["announced"] * 3
    assert "signer-2" in play(world.pledgor, "receipt", "show", ACCOUNT, WITHDRAWAL, json=False).stdout
