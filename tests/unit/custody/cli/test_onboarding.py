"""Journey 1 by commands: accounts, their addresses, and the destinations they may pay to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bailee.custody.v1 import account_pb2

from custody.cli.addresses import bitcoin_text, destination_text, ethereum_text
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset
from tests.factories import World, build_world
from tests.unit.custody.cli.conftest import ACCOUNT, Bailee, Play, Profiles, statement
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody


def test_the_custodian_creates_and_the_parties_sign(
    play: Play, custody: FakeCustody, world: World, agreement_file: Path
) -> None:
    made = play(world.custodian, "account", "create", ACCOUNT, "--agreement", agreement_file)
    assert (made.exit_code, made.json["name"]) == (0, f"accounts/{ACCOUNT}")
    for person in (world.pledgor, world.secured_party, world.custodian):
        assert play(person, "account", "sign", ACCOUNT, "--agreement", agreement_file).exit_code == 0
    sent = custody.sent("SignAccount")
    assert [statement(request, Account) for request in sent] == [world.account] * 3


@pytest.mark.parametrize("halt", ["unknown-spend", "finality-reorg", "reconciliation"])
def test_the_custodian_lifts_a_halt(play: Play, custody: FakeCustody, world: World, halt: str) -> None:
    assert play(world.custodian, "account", "lift-halt", ACCOUNT, halt).exit_code == 0
    (sent,) = custody.sent("LiftHalt")
    assert account_pb2.Account.Halt.Name(sent.halt) == f"HALT_{halt.upper().replace('-', '_')}"


def test_a_halt_that_ends_by_itself_is_no_argument(play: Play, custody: FakeCustody, world: World) -> None:
    run = play(world.custodian, "account", "lift-halt", ACCOUNT, "reorg-shortfall")
    assert (run.exit_code, custody.sent("LiftHalt")) == (2, [])


def test_a_person_outside_of_the_agreement_signs_nothing(
    play: Play, custody: FakeCustody, world: World, agreement_file: Path
) -> None:
    run = play(world.stranger, "account", "sign", ACCOUNT, "--agreement", agreement_file)
    assert run.exit_code == 2
    assert "no party of the agreement" in run.error["message"]
    assert custody.sent("SignAccount") == []


def test_an_agreement_with_another_key_stops_the_signature(
    play: Play, custody: FakeCustody, world: World, agreement_file: Path
) -> None:
    text = agreement_file.read_text()
    agreement_file.write_text(text.replace(world.secured_party.public_key, world.stranger.public_key))
    run = play(world.pledgor, "account", "sign", ACCOUNT, "--agreement", agreement_file)
    assert (run.exit_code, run.error["reason"]) == (1, "VERIFICATION_FAILED")
    assert custody.sent("SignAccount") == []


def test_addresses_are_printed_when_everything_behind_them_verified(play: Play, world: World) -> None:
    run = play(world.pledgor, "account", "verify", ACCOUNT)
    assert run.exit_code == 0
    assert run.json["addresses"]["bitcoin"] == bitcoin_text(
        world.account.bitcoin.script_pubkey, world.network
    )
    assert run.json["addresses"]["ethereum"] == ethereum_text(world.account.ethereum.address)
    assert "forged" not in run.stdout
    text = play(world.pledgor, "account", "verify", ACCOUNT, json=False).stdout
    assert run.json["addresses"]["bitcoin"] in text
    assert run.json["addresses"]["descriptor"] in text


def test_no_address_is_printed_when_it_is_not_what_was_agreed(
    play: Play, world: World, agreement_file: Path
) -> None:
    words = ("account", "verify", ACCOUNT, "--agreement", agreement_file)
    assert play(world.pledgor, *words).exit_code == 0
    agreement_file.write_text(
        agreement_file.read_text().replace(world.pledgor.public_key, world.stranger.public_key)
    )
    run = play(world.pledgor, *words)
    assert (run.exit_code, run.stdout, run.error["reason"]) == (1, "", "VERIFICATION_FAILED")
    assert "the statement's pledgor is" in run.error["message"]


def test_no_address_is_printed_when_something_is_missing(
    play: Play, custody: FakeCustody, world: World
) -> None:
    custody.account.envelope = world.sign(world.account, world.pledgor).to_json()
    run = play(world.pledgor, "account", "verify", ACCOUNT)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "lacks signatures" in run.error["message"]


def open_under_their_names(custody: FakeCustody, world: World, *roles: str) -> None:
    """Custody opens the account with keys of its own beside the names of these parties; signers co-sign."""
    thief = build_world(seed="thief", now=world.now)
    keys = {role: getattr(thief if role in roles else world, role) for role in ROLES}
    forged = replace(world.account, **{role: person.party for role, person in keys.items()})
    envelope = world.cosign(world.sign(forged, *keys.values()), *world.signers)
    custody.account.statement, custody.account.envelope = envelope.payload, envelope.to_json()
    custody.account.statement_digest = envelope.digest


ROLES = ("pledgor", "secured_party", "custodian")


@pytest.mark.parametrize("role", ROLES)
def test_an_account_under_a_party_s_name_with_another_s_key_is_not_shown_to_it(
    play: Play, custody: FakeCustody, world: World, role: str
) -> None:
    open_under_their_names(custody, world, role)
    run = play(getattr(world, role), "account", "verify", ACCOUNT)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "with its own key" in run.error["message"]


@pytest.mark.parametrize("role", ROLES)
def test_an_account_with_other_keys_than_agreed_is_shown_to_nobody(
    play: Play, custody: FakeCustody, world: World, agreement_file: Path, role: str
) -> None:
    open_under_their_names(custody, world, role)
    run = play(world.stranger, "account", "verify", ACCOUNT, "--agreement", agreement_file)
    assert (run.exit_code, run.stdout) == (1, "")
    assert f"{role} is" in run.error["message"]


def test_an_account_is_the_one_that_was_signed(
    play: Play, custody: FakeCustody, world: World, agreement_file: Path
) -> None:
    """The pledgor's own key in its place, and another secured party than it agreed to and signed."""
    assert play(world.pledgor, "account", "sign", ACCOUNT, "--agreement", agreement_file).exit_code == 0
    assert play(world.pledgor, "account", "verify", ACCOUNT).json["compared_with"] == ["signed-statement"]
    open_under_their_names(custody, world, "secured_party")
    run = play(world.pledgor, "account", "verify", ACCOUNT)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "was signed" in run.error["message"]


def test_an_account_of_others_is_not_a_party_s(play: Play, world: World) -> None:
    run = play(world.stranger, "account", "verify", ACCOUNT)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "is no party" in run.error["message"]


def test_it_is_said_with_what_the_keys_were_compared(
    play: Play, profile: Profiles, bailee: Bailee, world: World, agreement_file: Path
) -> None:
    verify = ("account", "verify", ACCOUNT)
    assert play(world.pledgor, *verify).json["compared_with"] == ["own-key"]
    agreed = play(world.stranger, *verify, "--agreement", agreement_file)
    assert agreed.json["compared_with"] == ["agreement"]
    auditor = profile(world.stranger)
    lines = auditor.read_text().splitlines()
    auditor.write_text("\n".join(line for line in lines if not line.startswith(("entity", "key_file"))))
    assert bailee(*verify, "--json", "--profile", auditor).json["compared_with"] == []
    assert "COMPARED WITH NOTHING" in bailee(*verify, "--profile", auditor).stdout


WITH_ADDRESSES = [
    ("account", "show", "acct-client-one"),
    ("account", "list"),
    ("destination", "show", "acct-client-one", "client-wallet-btc"),
    ("destination", "list", "acct-client-one"),
    ("withdrawal", "show", "acct-client-one", WITHDRAWAL),
    ("withdrawal", "list", "acct-client-one"),
]


@pytest.mark.parametrize("command", WITH_ADDRESSES, ids=" ".join)
def test_addresses_that_the_service_writes_are_nowhere(
    play: Play, custody: FakeCustody, world: World, command: tuple[str, ...]
) -> None:
    custody.account.enforcement.bitcoin_script_pubkey = world.account.enforcement.bitcoin.raw
    run = play(world.pledgor, *command)
    assert run.exit_code == 0
    written = set(fields_beside_statements(run.json))
    assert not {
        name for name in written if "address" in name or name in ("enforcement", "bitcoin_descriptor")
    }
    assert "forged" not in run.stdout + play(world.pledgor, *command, json=False).stdout


def fields_beside_statements(document: Any) -> Iterator[str]:
    """The names of the fields that the service wrote: all but those in decoded statements."""
    if isinstance(document, list):
        for each in document:
            yield from fields_beside_statements(each)
    if isinstance(document, dict):
        for name, value in document.items():
            yield name
            if name != "statement":
                yield from fields_beside_statements(value)


def test_the_policy_of_the_service_is_shown_when_it_is_the_pinned_one(play: Play, world: World) -> None:
    assert play(world.pledgor, "policy", "show").json["digest"] == world.policy.digest


# Destinations.


def test_a_destination_is_proposed_and_approved_as_pinned(
    play: Play, custody: FakeCustody, world: World
) -> None:
    where = world.destination(Asset.BTC)
    text = destination_text(where, world.network)
    made = play(world.pledgor, "destination", "propose", ACCOUNT, "cold-store", text, "--proof", "00" * 65)
    assert made.exit_code == 0
    assert statement(custody.sent("CreateDestination")[0], AllowlistEntry).destination == where
    digest = world.allowlist_entry(Asset.BTC).digest
    arguments = ("destination", "approve", ACCOUNT, "client-wallet-btc", "--digest", digest)
    assert play(world.approvers[1], *arguments).exit_code == 0
    assert statement(custody.sent("ApproveDestination")[0], AllowlistEntry).digest == digest


def test_a_destination_is_shown_as_it_was_signed(play: Play, world: World) -> None:
    entry = world.allowlist_entry(Asset.ETH)
    shown = play(world.pledgor, "destination", "show", ACCOUNT, entry.destination_id)
    assert shown.json["entry"]["digest"] == entry.digest
    text = play(world.pledgor, "destination", "list", ACCOUNT, json=False).stdout
    assert destination_text(entry.destination, world.network) in text
