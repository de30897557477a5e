"""Pledgor, custodian, approver: what each signs, and what none of them does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bailee.custody.v1 import account_pb2

from custody.client import (
    Agreement,
    Approver,
    Connection,
    Custodian,
    MarginEngine,
    Pledgor,
    Publisher,
    Reader,
    SigningRecord,
    TrustRoot,
    VerificationError,
)
from custody.client.signing_party import SigningParty
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination
from signers.statements.amounts import Amount, Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, IntentId, Proof
from signers.statements.price import Price
from tests.factories import BTC, World, build_world
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, later

PROOF = Proof("00" * 65)
OTHER_INTENT = IntentId("11111111-1111-4111-8111-111111111111")


@pytest.fixture
def account(world: World) -> str:
    return world.account.account


@pytest.fixture
def clients(
    pledgor: Pledgor, engine: MarginEngine, custodian: Custodian, approver: Approver
) -> dict[str, Any]:
    return {"pledgor": pledgor, "engine": engine, "custodian": custodian, "approver": approver}


def show_intent(custody: FakeCustody, **changes: Any) -> None:
    custody.show_intent(custody.world.intent(Asset.BTC, **changes))


def signed(request: Any) -> Envelope:
    return Envelope.from_json(request.envelope)


# The account statement.


@pytest.mark.parametrize("who", ["pledgor", "engine", "custodian"])
async def test_each_party_signs_what_was_agreed(
    clients: dict[str, Any], custody: FakeCustody, agreement: Agreement, account: str, who: str
) -> None:
    party: SigningParty = clients[who]
    await party.sign_account(account, agreement=agreement)
    (sent,) = custody.sent("SignAccount")
    assert signed(sent).signed_by(party.party.public_key)
    assert Account.parse(signed(sent).payload) == custody.world.account
    assert len(signed(sent).signatures) == 1


def false_statement(**changes: Any) -> Callable[[FakeCustody], None]:
    def change(custody: FakeCustody) -> None:
        custody.account.statement = replace(custody.world.account, **changes).payload()

    return change


WORLD = build_world()
CUSTODY_S = WORLD.stranger.public_key


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            false_statement(secured_party=replace(WORLD.account.secured_party, public_key=CUSTODY_S)),
            "secured_party is",
        ),
        (
            false_statement(custodian=replace(WORLD.account.custodian, public_key=CUSTODY_S)),
            "custodian is",
        ),
        (
            false_statement(pledgor=replace(WORLD.account.pledgor, public_key=CUSTODY_S)),
            "with its own key",
        ),
        (
            false_statement(pledgor=WORLD.account.secured_party, secured_party=WORLD.account.pledgor),
            "with its own key",
        ),
        (
            false_statement(
                enforcement=replace(WORLD.account.enforcement, bitcoin=WORLD.account.bitcoin.script_pubkey)
            ),
            "enforcement is",
        ),
        (false_statement(policy_digest=Digest("00" * 32)), "another policy"),
    ],
)
async def test_another_statement_is_not_signed(
    pledgor: Pledgor,
    custody: FakeCustody,
    agreement: Agreement,
    account: str,
    change: Callable[[FakeCustody], None],
    why: str,
) -> None:
    change(custody)
    with pytest.raises(VerificationError, match=why):
        await pledgor.sign_account(account, agreement=agreement)
    assert custody.sent("SignAccount") == []


async def test_a_second_statement_of_one_account_is_not_signed(
    pledgor: Pledgor, custody: FakeCustody, agreement: Agreement, account: str, world: World
) -> None:
    await pledgor.sign_account(account, agreement=agreement)
    false_statement(created_at=later(world, -1))(custody)
    with pytest.raises(VerificationError, match=r"signed .* already"):
        await pledgor.sign_account(account, agreement=agreement)
    assert len(custody.sent("SignAccount")) == 1


async def test_no_statement_is_not_signed(
    pledgor: Pledgor, custody: FakeCustody, agreement: Agreement, account: str
) -> None:
    custody.account.statement = b""
    with pytest.raises(VerificationError, match="no statement"):
        await pledgor.sign_account(account, agreement=agreement)


async def test_a_party_is_not_shown_an_account_in_which_it_has_another_place(
    connection: Connection, trust: TrustRoot, world: World, account: str
) -> None:
    stranger = Pledgor(connection, trust, entity=world.pledgor.entity, key=world.stranger.key)
    with pytest.raises(VerificationError, match="with its own key"):
        await stranger.verified_account(account)


async def test_every_client_of_the_machine_is_shown_the_account_that_was_signed_on_it(
    pledgor: Pledgor,
    reader: Reader,
    custody: FakeCustody,
    agreement: Agreement,
    account: str,
    world: World,
) -> None:
    await pledgor.sign_account(account, agreement=agreement)
    assert await reader.verified_account(account) == world.account
    forged = replace(world.account, created_at=later(world, -1))
    envelope = world.sign(forged, world.pledgor, world.secured_party, world.custodian)
    custody.account.envelope = world.cosign(envelope, *world.signers).to_json()
    with pytest.raises(VerificationError, match="was signed"):
        await reader.verified_account(account)


async def test_an_account_is_asked_for_by_its_agreement(
    custodian: Custodian, custody: FakeCustody, agreement: Agreement
) -> None:
    await custodian.create_account("acct-client-two", agreement=agreement)
    (sent,) = custody.sent("CreateAccount")
    assert sent.account.secured_party.public_key == agreement.secured_party.public_key.raw
    assert sent.account.enforcement.ethereum_address == agreement.enforcement.ethereum.raw


async def test_a_halt_is_lifted_on_what_was_read(
    custodian: Custodian, custody: FakeCustody, account: str
) -> None:
    custody.account.etag = "ab" * 16
    await custodian.lift_halt(account, "HALT_UNKNOWN_SPEND")
    (sent,) = custody.sent("LiftHalt")
    assert (sent.name, sent.etag) == (custody.name, "ab" * 16)
    assert sent.halt == account_pb2.Account.HALT_UNKNOWN_SPEND


# Destinations.


async def test_a_destination_is_signed_and_handed_in(
    pledgor: Pledgor, custody: FakeCustody, account: str, world: World
) -> None:
    where = world.destination(Asset.BTC)
    await pledgor.propose_destination(account, "cold-store", where, proof=PROOF)
    (sent,) = custody.sent("CreateDestination")
    entry = AllowlistEntry.parse(signed(sent).payload)
    assert (entry.destination, entry.usable_at) == (where, later(world, 24 * 3600))
    assert signed(sent).signed_by(pledgor.party.public_key)


async def test_a_lost_answer_is_asked_for_with_the_same_entry(
    connection: Connection,
    trust: TrustRoot,
    record: SigningRecord,
    custody: FakeCustody,
    account: str,
    world: World,
) -> None:
    for seconds in (0, 60):
        pledgor = Pledgor(
            connection,
            trust,
            entity=world.pledgor.entity,
            key=world.pledgor.key,
            record=record,
            clock=lambda now=world.now + seconds: float(now),  # type: ignore[misc]
        )
        await pledgor.propose_destination(account, "cold-store", world.destination(Asset.BTC), proof=PROOF)
    first, second = custody.sent("CreateDestination")
    assert first.envelope == second.envelope


async def test_one_name_never_has_two_destinations(
    pledgor: Pledgor, custody: FakeCustody, account: str, world: World
) -> None:
    await pledgor.propose_destination(account, "cold-store", world.destination(Asset.BTC), proof=PROOF)
    with pytest.raises(VerificationError, match=r"signed .* already"):
        await pledgor.propose_destination(account, "cold-store", world.destination(Asset.ETH), proof=PROOF)
    assert len(custody.sent("CreateDestination")) == 1


async def test_an_approver_approves_the_entry_it_read(
    approver: Approver, custody: FakeCustody, account: str, world: World
) -> None:
    """And no other one: what custody changes after the one read has another etag."""
    entry = world.allowlist_entry(Asset.BTC)
    shown = custody.destinations[f"{custody.name}/destinations/{entry.destination_id}"]
    custody.meanwhile["GetDestination"] = [lambda: setattr(shown, "etag", "another-etag")]
    await approver.approve_destination(account, entry.destination_id, entry_digest=entry.digest)
    (sent,) = custody.sent("ApproveDestination")
    assert signed(sent).digest == entry.digest
    assert signed(sent).signed_by(approver.public_key)
    assert sent.etag == "destination-etag"
    assert [each for each, _ in custody.calls] == ["GetAccount", "GetDestination", "ApproveDestination"]


async def test_an_approver_does_not_approve_another_entry(
    approver: Approver, custody: FakeCustody, account: str
) -> None:
    with pytest.raises(VerificationError, match="the entry is now"):
        await approver.approve_destination(account, "client-wallet-btc", entry_digest=Digest("00" * 32))
    assert custody.sent("ApproveDestination") == []


# Withdrawals.

ASKED: dict[str, Any] = {
    "destination_id": "client-wallet-btc",
    "amount": Sats(BTC // 2),
    "fee_cap": Sats(50_000),
}


async def test_the_maker_signs_the_intent_that_says_what_it_asked(
    pledgor: Pledgor, custody: FakeCustody, account: str, world: World
) -> None:
    await pledgor.sign_withdrawal(account, WITHDRAWAL, **ASKED)
    (sent,) = custody.sent("SignWithdrawal")
    assert signed(sent).digest == world.intent(Asset.BTC).digest
    assert signed(sent).signed_by(pledgor.party.public_key)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("destination_id", "client-wallet-eth"),
        ("amount", Sats(BTC // 2 - 1)),
        ("fee_cap", Sats(49_999)),
    ],
)
async def test_the_maker_does_not_sign_something_else(
    pledgor: Pledgor, custody: FakeCustody, account: str, name: str, value: str | Amount
) -> None:
    with pytest.raises(VerificationError, match="was asked"):
        await pledgor.sign_withdrawal(account, WITHDRAWAL, **{**ASKED, name: value})
    assert custody.sent("SignWithdrawal") == []


async def test_the_maker_does_not_sign_what_another_party_asked(
    pledgor: Pledgor, custody: FakeCustody, account: str, world: World
) -> None:
    show_intent(custody, maker=world.custodian.entity)
    with pytest.raises(VerificationError, match="maker is custodian-one"):
        await pledgor.sign_withdrawal(account, WITHDRAWAL, **ASKED)


CONSENTS = {
    "pledgor": ("sign_intent", "SignWithdrawal"),
    "engine": ("release", "ReleaseWithdrawal"),
    "approver": ("approve_withdrawal", "ApproveWithdrawal"),
}


@pytest.mark.parametrize("who", CONSENTS)
async def test_a_consent_is_to_the_very_resource_that_was_verified(
    clients: dict[str, Any], custody: FakeCustody, account: str, world: World, who: str
) -> None:
    """What custody changes after the one read is not what anybody consented to: its etag is another one."""
    method, called = CONSENTS[who]
    shown = custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"]
    custody.meanwhile["GetWithdrawal"] = [lambda: setattr(shown, "etag", "another-etag")]
    await getattr(clients[who], method)(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    (sent,) = custody.sent(called)
    assert sent.etag == "withdrawal-etag"
    assert [each for each, _ in custody.calls] == ["GetWithdrawal", "GetAccount", "GetDestination", called]


async def test_the_maker_signs_the_very_resource_that_it_waited_for(
    pledgor: Pledgor, custody: FakeCustody, account: str
) -> None:
    await pledgor.sign_withdrawal(account, WITHDRAWAL, **ASKED)
    called = [each for each, _ in custody.calls]
    assert called == ["GetWithdrawal", "GetAccount", "GetDestination", "SignWithdrawal"]


@pytest.mark.parametrize("who", CONSENTS)
async def test_one_withdrawal_never_has_two_intents(
    clients: dict[str, Any], custody: FakeCustody, account: str, world: World, who: str
) -> None:
    """A lost answer, then the same payout on another anchor: signed twice, it would pay twice."""
    consent = getattr(clients[who], CONSENTS[who][0])
    for _ in range(2):
        await consent(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    calls = len(custody.calls)
    show_intent(custody, intent=OTHER_INTENT)
    other = world.intent(Asset.BTC, intent=OTHER_INTENT).digest
    with pytest.raises(VerificationError, match=r"signed .* already"):
        await consent(account, WITHDRAWAL, intent_digest=other)
    assert {method for method, _ in custody.calls[calls:]} <= {
        "GetWithdrawal",
        "GetAccount",
        "GetDestination",
    }


@pytest.mark.parametrize("who", CONSENTS)
async def test_nobody_signs_an_intent_exchanged_after_it_was_read(
    clients: dict[str, Any], custody: FakeCustody, account: str, who: str
) -> None:
    consent, stale = getattr(clients[who], CONSENTS[who][0]), Digest("00" * 32)
    with pytest.raises(VerificationError, match="the intent is now"):
        await consent(account, WITHDRAWAL, intent_digest=stale)


@pytest.mark.parametrize("who", CONSENTS)
async def test_nobody_signs_an_expired_intent(
    clients: dict[str, Any], custody: FakeCustody, account: str, world: World, who: str
) -> None:
    expired = {"created_at": later(world, -100), "expires_at": later(world, -1)}
    show_intent(custody, **expired)
    consent, digest = getattr(clients[who], CONSENTS[who][0]), world.intent(Asset.BTC, **expired).digest
    with pytest.raises(VerificationError, match="expired"):
        await consent(account, WITHDRAWAL, intent_digest=digest)


async def test_the_maker_keeps_to_the_destination_it_signed_under_that_name(
    pledgor: Pledgor, custody: FakeCustody, account: str, world: World
) -> None:
    """Custody shows an older entry of the pledgor's under the name of the newer one."""
    newer = BitcoinDestination(script_pubkey=world.account.enforcement.bitcoin)
    await pledgor.propose_destination(account, "client-wallet-btc", newer, proof=PROOF)
    with pytest.raises(VerificationError, match="not the destination that this key signed"):
        await pledgor.sign_withdrawal(account, WITHDRAWAL, **ASKED)


async def test_an_approver_does_not_approve_what_its_own_entity_asked(
    connection: Connection, trust: TrustRoot, world: World, account: str, clock: Callable[[], float]
) -> None:
    maker = Approver(connection, trust, key=world.pledgor_approver.key, clock=clock)
    with pytest.raises(VerificationError, match="may not approve"):
        await maker.approve_withdrawal(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)


@pytest.mark.parametrize("who", ["stranger", "revoked", "pledgor"])
async def test_only_a_standing_approver_approves(
    connection: Connection,
    trust: TrustRoot,
    world: World,
    account: str,
    clock: Callable[[], float],
    who: str,
) -> None:
    nobody = Approver(connection, trust, key=getattr(world, who).key, clock=clock)
    with pytest.raises(VerificationError, match="no approver's key"):
        await nobody.approve_withdrawal(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)


async def test_no_intent_in_time_is_a_timeout(pledgor: Pledgor, custody: FakeCustody, account: str) -> None:
    custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"].intent = b""
    with pytest.raises(TimeoutError):
        await pledgor.planned(account, WITHDRAWAL, patience_seconds=0.01)


# Prices.


async def test_a_publisher_signs_what_it_observed(
    connection: Connection, trust: TrustRoot, custody: FakeCustody, world: World, clock: Callable[[], float]
) -> None:
    who = world.publishers[0]
    publisher = Publisher(connection, trust, entity=who.entity, key=who.key, clock=clock)
    for _ in range(2):
        await publisher.publish({Asset.BTC: 7 * 10**8})
    first, second = (
        Price.parse(Envelope.from_json(sent.envelopes[0]).payload) for sent in custody.sent("PublishPrices")
    )
    assert (first.price, first.at, first.currency) == ("700000000", world.now, "USD")
    assert second.sequence > first.sequence
