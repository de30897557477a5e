"""Every step of the journeys through the command, over real mutual TLS, against a service in memory."""

from collections.abc import Iterator
from dataclasses import replace
from json import loads as parse
from pathlib import Path
from typing import Any

import pytest
from bailee.custody.v1 import account_pb2
from bailee.custody.v1.collateral_service_pb2 import WatchCollateralResponse
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from custody.cli.addresses import bitcoin_text, destination_text, ethereum_text
from custody.client import EventKind
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination
from signers.statements.amounts import Asset, Sats
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, IntentId, Seconds
from signers.statements.intent import Intent, Release
from tests.factories import BTC, Person, World, build_world
from tests.unit.custody.cli.conftest import Bailee, Play, Profiles
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, Refused, failed
from tests.unit.custody.client.test_reader import HEARTBEAT, snapshot

ACCOUNT = "acct-client-one"


def statement(request: Any, kind: type[Any]) -> Any:
    return kind.parse(Envelope.from_json(request.envelope).payload)


# 1. Onboard.


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


# Prices, deposits, postings.


def test_prices_are_published_and_listed(play: Play, custody: FakeCustody, world: World) -> None:
    run = play(world.publishers[0], "price", "publish", "--btc", "100000.5", "--eth", "4000")
    assert [price["units"] for price in run.json["prices"]] == ["10000050000000", "400000000000"]
    assert len(play(world.pledgor, "price", "list").json["prices"]) == 6
    assert play(world.publishers[0], "price", "publish").exit_code == 2


def test_deposits_and_postings_are_listed_to_reconcile(play: Play, world: World) -> None:
    (deposit,) = play(world.pledgor, "deposit", "list", ACCOUNT).json["deposits"]
    assert (deposit["state"], deposit["amount"]["units"]) == ("STATE_CREDITED", str(2 * BTC))
    posting, *_ = play(world.pledgor, "postings", "list", ACCOUNT).json["postings"]
    assert (posting["debit"], posting["credit"]) == ("external", "pending")
    assert "2.00000000 BTC" in play(world.pledgor, "deposit", "list", ACCOUNT, json=False).stdout


# 2. Pledge: the report and the stream.


def test_a_report_is_shown_with_its_evidence(play: Play, world: World) -> None:
    run = play(world.secured_party, "report", "show", ACCOUNT)
    assert run.exit_code == 0, run.stderr
    assert run.json["statement"]["positions"][0]["lending_value"] == str(2 * 100_000 * 10**8 * 4 // 10)
    assert [len(prices) for prices in run.json["prices"].values()] == [3, 3]
    assert run.json["not_verified"] == ["quantities"]
    text = play(world.secured_party, "report", "show", ACCOUNT, json=False).stdout
    assert "2.00000000 BTC (200000000 sat)" in text
    assert "repeated from prices-one, prices-three, prices-two" in text
    assert "NOT verified  " in text


def test_a_price_that_nobody_can_be_shown_to_have_signed_is_said_to_be_unverified(
    play: Play, custody: FakeCustody, world: World
) -> None:
    lie = custody.position(Asset.BTC, price_set=Digest("ee" * 32))
    custody.report = custody.make_report(positions=(lie, custody.position(Asset.ETH)))
    shown = play(world.secured_party, "report", "show", ACCOUNT).json
    assert shown["not_verified"] == ["quantities", "BTC price"]
    assert shown["lending_values_now"]["BTC"] == str(2 * 100_000 * 10**8 * 4 // 10)
    assert "NOT VERIFIED" in play(world.secured_party, "report", "show", ACCOUNT, json=False).stdout


def test_a_report_lends_nothing_now_without_fresh_prices(
    play: Play, custody: FakeCustody, world: World
) -> None:
    old = Seconds(world.now - 61)
    custody.prices = [custody.price(envelope) for asset in Asset for envelope in world.prices(asset, at=old)]
    shown = play(world.secured_party, "report", "show", ACCOUNT).json
    assert shown["lending_values_now"] == {"BTC": "0", "ETH": "0"}


def test_a_false_report_is_not_shown(play: Play, custody: FakeCustody, world: World) -> None:
    custody.report.report = custody.make_report(account_sequence=99).report
    run = play(world.secured_party, "report", "show", ACCOUNT)
    assert (run.exit_code, run.stdout) == (1, "")


def test_a_report_does_not_go_back_between_two_commands(
    play: Play, custody: FakeCustody, world: World
) -> None:
    assert play(world.secured_party, "report", "show", ACCOUNT).exit_code == 0
    custody.report = custody.make_report(batch=4)
    run = play(world.secured_party, "report", "show", ACCOUNT)
    assert run.exit_code == 1
    assert "went back" in run.error["message"]


def test_the_stream_is_one_document_per_line(play: Play, custody: FakeCustody, world: World) -> None:
    custody.events = [snapshot(custody), HEARTBEAT]
    run = play(world.secured_party, "watch", ACCOUNT, "--snapshot")
    events = [parse(line) for line in run.stdout.splitlines()]
    assert [event["kind"] for event in events] == [EventKind.SNAPSHOT, EventKind.HEARTBEAT]
    assert events[0]["report"]["statement"]["account"] == ACCOUNT
    assert play(world.secured_party, "watch", json=False).exit_code == 0


# 3. Borrow.


def test_liens_are_reserved_posted_and_voided(play: Play, custody: FakeCustody, world: World) -> None:
    engine = world.secured_party
    for arguments in (
        ("reserve", ACCOUNT, "lien-1", "0.1BTC", "--seconds", 60),
        ("post", ACCOUNT, "lien-1", "10000000sat"),
        ("void", ACCOUNT, "lien-1"),
    ):
        assert play(engine, "lien", *arguments).exit_code == 0
    methods = ("ReserveLien", "PostLien", "VoidLien")
    chain = [statement(custody.sent(method)[0], Encumbrance) for method in methods]
    assert [(s.sequence, s.amount) for s in chain] == [(i, Sats(BTC // 10)) for i in (1, 2, 3)]
    assert play(engine, "lien", "show", ACCOUNT, "lien-1").json["state"] == "STATE_VOIDED"
    assert len(play(engine, "lien", "list", ACCOUNT).json["liens"]) == 1


@pytest.mark.parametrize("command", [("show", ACCOUNT, "lien-1"), ("list", ACCOUNT)], ids=" ".join)
def test_a_lien_beside_another_statement_is_not_shown(
    play: Play, custody: FakeCustody, world: World, command: tuple[str, ...]
) -> None:
    play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "0.1BTC")
    custody.liens[f"{custody.name}/liens/lien-1"].amount.units = "1"
    run = play(world.pledgor, "lien", *command)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "another amount is shown beside" in run.error["message"]


def test_every_command_remembers_the_chain(play: Play, custody: FakeCustody, world: World) -> None:
    """Each command is a process of its own: the record on disk is what keeps it from being led back."""
    play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "0.1BTC")
    old = custody.head
    play(world.secured_party, "lien", "post", ACCOUNT, "lien-1", "0.1BTC")
    custody.head = old
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = old
    run = play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-2", "0.1BTC")
    assert run.exit_code == 1
    assert "went back" in run.error["message"]


# 5. Withdraw.

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


# Errors.


def test_a_refusal_has_reason_data_fields_and_a_hint(play: Play, custody: FakeCustody, world: World) -> None:
    custody.failures["ReserveLien"] = [
        failed("COLLATERAL_INSUFFICIENT", metadata={"free_units": "5"}, message="6 asked, 5 free")
    ]
    run = play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "6sat")
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.error == {
        "reason": "COLLATERAL_INSUFFICIENT",
        "message": "6 asked, 5 free",
        "fields": {},
        "metadata": {"free_units": "5"},
        "hint": "`bailee report show` has the free quantity",
    }


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_a_time_that_no_calendar_has_does_not_verify(
    play: Play, custody: FakeCustody, world: World, seconds: int, json: bool
) -> None:
    for withdrawal in custody.withdrawals.values():
        withdrawal.update_time.seconds = seconds
    heartbeat = WatchCollateralResponse.Heartbeat(server_time=Timestamp(seconds=seconds))
    custody.events = [WatchCollateralResponse(heartbeat=heartbeat)]
    for command in (("withdrawal", "list", ACCOUNT), ("watch", "--seconds", 3)):
        run = play(world.pledgor, *command, json=json)
        assert (run.exit_code, run.stdout) == (1, "")
        assert "VERIFICATION_FAILED" in run.stderr


def test_a_message_of_the_service_cannot_forge_the_screen(
    play: Play, custody: FakeCustody, world: World
) -> None:
    forged = Refused(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND", message="gone\x1b[2K\r[bold]approved[/bold]")
    custody.failures["GetAccount"] = [forged]
    run = play(world.pledgor, "account", "show", ACCOUNT, json=False)
    assert run.exit_code == 1
    assert "\x1b" not in run.stderr
    assert "[bold]approved[/bold]" in run.stderr


def test_an_id_that_cannot_be_one_is_a_usage_error(play: Play, world: World) -> None:
    run = play(world.pledgor, "account", "show", "../etc")
    assert (run.exit_code, run.error["reason"]) == (2, "USAGE")


# The machine output is an interface.

KEYS = {
    ("account", "show", ACCOUNT): {"name", "state", "missing_signatures", "statement_digest", "etag"},
    ("account", "list"): {"accounts"},
    ("account", "verify", ACCOUNT): {"digest", "type", "statement", "addresses", "compared_with"},
    ("policy", "show"): {"digest", "type", "statement"},
    ("destination", "show", ACCOUNT, "client-wallet-btc"): {"destination", "entry"},
    ("destination", "list", ACCOUNT): {"destinations"},
    ("price", "list"): {"prices"},
    ("deposit", "list", ACCOUNT): {"deposits"},
    ("lien", "list", ACCOUNT): {"liens"},
    ("withdrawal", "show", ACCOUNT, WITHDRAWAL): {"withdrawal", "intent"},
    ("withdrawal", "list", ACCOUNT): {"withdrawals"},
    ("report", "show", ACCOUNT): {
        "digest",
        "type",
        "statement",
        "prices",
        "lending_values_now",
        "not_verified",
    },
    ("postings", "list", ACCOUNT): {"postings"},
    ("receipt", "show", ACCOUNT, WITHDRAWAL): {"receipts"},
}


@pytest.mark.parametrize("command", list(KEYS), ids=" ".join)
def test_the_machine_output_keeps_its_shape_and_is_repeatable(
    play: Play, world: World, command: tuple[str, ...]
) -> None:
    first, second = (play(world.pledgor, *command) for _ in range(2))
    assert first.exit_code == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.json.keys() >= KEYS[command]
    if "name" not in KEYS[command]:
        assert first.json.keys() == KEYS[command]


@pytest.mark.parametrize("command", list(KEYS), ids=" ".join)
def test_people_get_text(play: Play, world: World, command: tuple[str, ...]) -> None:
    run = play(world.pledgor, *command, json=False)
    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout.strip()
