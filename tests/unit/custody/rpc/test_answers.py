"""What the RPCs answer when nothing is wrong."""

import json
from pathlib import Path

import pytest
from bailee.custody.v1 import amount_pb2, cause_pb2
from bailee.custody.v1 import collateral_service_pb2 as rpc
from bailee.custody.v1.account_pb2 import Account
from bailee.custody.v1.collateral_report_pb2 import CollateralReport
from bailee.custody.v1.deposit_pb2 import Deposit
from bailee.custody.v1.destination_pb2 import Destination
from bailee.custody.v1.lien_pb2 import Lien
from bailee.custody.v1.policy_pb2 import Policy
from bailee.custody.v1.price_service_pb2 import PublishPricesResponse
from bailee.custody.v1.withdrawal_pb2 import Withdrawal

from signers.statements import merkle
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.report import Report, ReportBatch
from tests.factories import BTC, DAY
from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.deployment import Deployment, deployed
from tests.unit.custody.rpc.rows import (
    ACCOUNT,
    PENDING_DESTINATION,
    ROWS,
    approve_destination,
    awaiting_signatures,
    sign_account,
    with_pending_destination,
)
from tests.unit.custody.rpc.scenario import DEPOSIT_TX, TIP_HEIGHT, WITHDRAWAL, Scenario

GET_ACCOUNT = rpc.GetAccountRequest(name=ACCOUNT)


async def test_an_account_shows_what_anybody_can_verify(at: At) -> None:
    service = await at(ROWS["CollateralService/GetAccount"])
    world = service.scenario.world
    found = await service.ask("pledgor", "CollateralService/GetAccount", GET_ACCOUNT, Account)
    assert (found.name, found.state) == (ACCOUNT, Account.STATE_ACTIVE)
    assert found.statement == world.account.payload()
    assert found.statement_digest == world.account.digest
    envelope = Envelope.from_json(found.envelope)
    people = [person.public_key for person in (world.pledgor, world.secured_party, world.custodian)]
    assert all(envelope.signed_by(key) for key in [*people, *(s.public_key for s in world.signers)])
    assert list(found.missing_signatures) == []
    assert found.bitcoin_address.bitcoin_script_pubkey.hex() == world.account.bitcoin.script_pubkey
    assert found.ethereum_address.ethereum_address.hex() == world.account.ethereum.address
    assert found.ethereum_key_custody == Account.ETHEREUM_KEY_CUSTODY_SINGLE_HOLDER
    assert found.bitcoin_descriptor.startswith("wsh(sortedmulti(2,")
    assert found.encumbrance_sequence == 1
    assert found.encumbrance_digest == service.scenario.encumbrances[-1].digest


async def test_no_address_is_shown_before_it_is_proven(at: At) -> None:
    service = await at(ROWS["AccountService/SignAccount"])
    found = await service.ask("pledgor", "CollateralService/GetAccount", GET_ACCOUNT, Account)
    assert found.state == Account.STATE_AWAITING_SIGNATURES
    assert not found.HasField("bitcoin_address")
    assert not found.HasField("ethereum_address")
    assert found.bitcoin_descriptor == ""
    assert len(found.missing_signatures) == 6


async def test_two_parties_who_sign_at_once_do_not_abort_each_other(tmp_path: Path) -> None:
    """Both decided on the same etag; it covers the statement, not the signatures."""
    async with deployed(tmp_path, awaiting_signatures) as service:
        first, second = sign_account(service.scenario), sign_account(service.scenario)
        world = service.scenario.world
        second.envelope = world.sign(world.account, world.secured_party).to_json()
        await service.ask("pledgor", "AccountService/SignAccount", first, Account)
        signed = await service.ask("secured", "AccountService/SignAccount", second, Account)
        assert list(signed.missing_signatures) == ["custodian-one", "signer-1", "signer-2", "signer-3"]


async def test_two_approvers_who_approve_at_once_do_not_abort_each_other(deployment: Deployment) -> None:
    name = "ApprovalService/ApproveWithdrawal"
    world = deployment.scenario.world
    first, second = (ROWS[name].request(deployment.scenario) for _ in range(2))
    intent = deployment.scenario.intent_envelope()
    second.envelope = world.sign(intent, world.approvers[2]).to_json()  # type: ignore[attr-defined]
    await deployment.call("approver", name, first)
    approved = await deployment.ask("second-approver", name, second, Withdrawal)
    assert [(s.role, s.entity) for s in approved.signatures] == [
        (Withdrawal.ROLE_APPROVER, "trustee-one"),
        (Withdrawal.ROLE_APPROVER, "reviewer-one"),
    ]
    assert [m.role for m in approved.missing_signatures] == [
        Withdrawal.ROLE_MAKER,
        Withdrawal.ROLE_SECURED_PARTY,
    ]


async def test_the_last_signature_changes_state_and_etag(deployment: Deployment) -> None:
    scenario, world = deployment.scenario, deployment.scenario.world
    answer = Withdrawal()
    for word, name, person in (
        ("approver", "ApprovalService/ApproveWithdrawal", world.approvers[1]),
        ("second-approver", "ApprovalService/ApproveWithdrawal", world.approvers[2]),
        ("secured", "WithdrawalService/ReleaseWithdrawal", None),
        ("pledgor", "WithdrawalService/SignWithdrawal", world.pledgor),
    ):
        request = ROWS[name].request(scenario)
        if person is not None:
            request.envelope = world.sign(scenario.intent_envelope(), person).to_json()  # type: ignore[attr-defined]
        answer = await deployment.ask(word, name, request, Withdrawal)
    assert answer.state == Withdrawal.STATE_ANNOUNCING
    assert list(answer.missing_signatures) == []
    assert answer.etag != scenario.withdrawal_etag()
    late = await deployment.refused(
        "pledgor",
        "WithdrawalService/CancelWithdrawal",
        ROWS["WithdrawalService/CancelWithdrawal"].request(scenario),
    )
    assert late.reason == "ETAG_STALE"


async def test_a_withdrawal_says_what_is_missing(at: At) -> None:
    service = await at(ROWS["CollateralService/GetWithdrawal"])
    found = await service.ask(
        "auditor",
        "CollateralService/GetWithdrawal",
        ROWS["CollateralService/GetWithdrawal"].request(service.scenario),
        Withdrawal,
    )
    assert found.state == Withdrawal.STATE_AWAITING_SIGNATURES
    assert (found.amount.asset, found.amount.units) == (amount_pb2.ASSET_BTC, str(BTC // 2))
    assert found.anchor == f"{DEPOSIT_TX}:0"
    assert json.loads(found.intent)["amount"] == {"asset": "BTC", "units": str(BTC // 2)}
    assert [(m.role, m.count) for m in found.missing_signatures] == [
        (Withdrawal.ROLE_MAKER, 1),
        (Withdrawal.ROLE_SECURED_PARTY, 1),
        (Withdrawal.ROLE_APPROVER, 2),
    ]
    assert "client-one, which asked for it" in found.missing_signatures[0].description


async def test_a_report_verifies_without_us(at: At) -> None:
    service = await at(ROWS["CollateralService/GetCollateralReport"])
    world = service.scenario.world
    found = await service.ask(
        "secured",
        "CollateralService/GetCollateralReport",
        rpc.GetCollateralReportRequest(name=f"{ACCOUNT}/collateralReport"),
        CollateralReport,
    )
    batch = Envelope.from_json(found.batch)
    assert batch.signed_by(world.attestation.public_key)
    root = ReportBatch.read(batch, network=world.network).root
    path = tuple(Digest(each.hex()) for each in found.merkle_path)
    assert merkle.includes(
        root=root, size=found.tree_size, index=found.leaf_index, leaf=found.report, path=path
    )
    report = Report.parse(found.report)
    assert report.account_sequence == found.account_sequence
    btc = next(position for position in report.positions if position.asset is Asset.BTC)
    assert (btc.confirmed.units, btc.reserved.units) == (5 * BTC, BTC // 10)


async def test_lists(at: At) -> None:
    service = await at(ROWS["CollateralService/ListDeposits"])
    deposits = await service.ask(
        "pledgor",
        "CollateralService/ListDeposits",
        rpc.ListDepositsRequest(parent=ACCOUNT),
        rpc.ListDepositsResponse,
    )
    bitcoin = next(d for d in deposits.deposits if d.amount.asset == amount_pb2.ASSET_BTC)
    assert (bitcoin.state, bitcoin.transaction_id, bitcoin.output_index) == (
        Deposit.STATE_CREDITED,
        DEPOSIT_TX,
        0,
    )
    assert bitcoin.confirmations == TIP_HEIGHT - 101 + 1
    ether = next(d for d in deposits.deposits if d.amount.asset == amount_pb2.ASSET_ETH)
    assert (ether.transaction_id, ether.HasField("output_index")) == ("", False)

    postings = await service.ask(
        "pledgor",
        "CollateralService/ListPostings",
        rpc.ListPostingsRequest(parent=ACCOUNT),
        rpc.ListPostingsResponse,
    )
    held = postings.postings[-1]
    assert (held.debit, held.credit, held.cause) == (
        "available",
        "withdrawing",
        cause_pb2.CAUSE_WITHDRAWAL,
    )
    assert held.resource == f"{ACCOUNT}/withdrawals/{WITHDRAWAL}"
    sequences = [posting.account_sequence for posting in postings.postings]
    assert sequences == sorted(sequences)

    prices = await service.ask(
        "pledgor", "CollateralService/ListPrices", rpc.ListPricesRequest(), rpc.ListPricesResponse
    )
    assert len(prices.prices) == 6
    assert [price.name for price in prices.prices] == sorted(price.name for price in prices.prices)


async def test_a_lien_wholly_lived(deployment: Deployment) -> None:
    scenario = deployment.scenario
    posted = await deployment.ask(
        "secured", "LienService/PostLien", ROWS["LienService/PostLien"].request(scenario), Lien
    )
    assert posted.state == Lien.STATE_POSTED
    got = await deployment.ask(
        "pledgor", "CollateralService/GetLien", rpc.GetLienRequest(name=posted.name), Lien
    )
    assert got == posted


async def test_prices_come_back_in_the_order_they_were_sent(deployment: Deployment) -> None:
    request = ROWS["PriceService/PublishPrices"].request(deployment.scenario)
    answer = await deployment.ask("publisher", "PriceService/PublishPrices", request, PublishPricesResponse)
    assert [price.envelope for price in answer.prices] == list(request.envelopes)  # type: ignore[attr-defined]


async def test_an_account_is_created_with_this_deployments_custodian(deployment: Deployment) -> None:
    request = ROWS["AccountService/CreateAccount"].request(deployment.scenario)
    request.account.custodian.entity = "somebody-else"  # type: ignore[attr-defined]
    request.account.custodian.public_key = b"\x07" * 32  # type: ignore[attr-defined]
    made = await deployment.ask("custodian", "AccountService/CreateAccount", request, Account)
    assert (made.state, made.custodian.entity) == (Account.STATE_CREATING_KEYS, "custodian-one")


async def test_a_replay_after_the_account_went_on_answers_what_it_did_then(tmp_path: Path) -> None:
    """CreateAccount's answer knew of no statement, and still does not once there is one."""

    async def pinned(scenario: Scenario) -> None:
        await scenario.pin_policy()

    async with deployed(tmp_path, pinned) as service:
        request = ROWS["AccountService/CreateAccount"].request(service.scenario)
        request.account_id = service.scenario.account  # type: ignore[attr-defined]
        first = await service.call("custodian", "AccountService/CreateAccount", request)
        await service.scenario.prepare_statement()
        assert await service.call("custodian", "AccountService/CreateAccount", request) == first


async def test_a_replay_shows_no_signature_that_has_come_since(tmp_path: Path) -> None:
    """Envelope and missing signatures are those of the answer, not of the moment."""
    name = "AccountService/SignAccount"
    async with deployed(tmp_path, awaiting_signatures) as service:
        request = sign_account(service.scenario)
        first = await service.call("pledgor", name, request)
        await service.scenario.sign_account("secured", "custodian")
        await service.scenario.activate()
        assert await service.call("pledgor", name, request) == first
        assert len(Account.FromString(first).missing_signatures) == 5


async def test_a_replay_shows_a_destination_as_it_was_approved(tmp_path: Path) -> None:
    """Cooling then, and usable by now."""
    name = "ApprovalService/ApproveDestination"
    async with deployed(tmp_path, with_pending_destination) as service:
        await service.call("approver", name, approve_destination(service.scenario))
        second = approve_destination(service.scenario)
        person = service.scenario.world.approvers[2]
        entry = service.scenario.world.allowlist_entry(Asset.BTC, destination_id=PENDING_DESTINATION)
        second.envelope = service.scenario.world.sign(entry, person).to_json()
        first = await service.call("second-approver", name, second)
        assert Destination.FromString(first).state == Destination.STATE_COOLING
        object.__setattr__(service.scenario, "now", Seconds(service.scenario.now + 3 * DAY))
        assert await service.call("second-approver", name, second) == first
        found = await service.ask(
            "approver",
            "CollateralService/GetDestination",
            rpc.GetDestinationRequest(name=second.name),
            Destination,
        )
        assert found.state == Destination.STATE_USABLE


async def test_the_policy_by_number_and_by_word(at: At) -> None:
    service = await at(ROWS["PolicyService/GetPolicy"])
    world = service.scenario.world
    request = ROWS["PolicyService/GetPolicy"].request(service.scenario)
    current = await service.ask("neighbour", "PolicyService/GetPolicy", request, Policy)
    request.name = "policies/1"  # type: ignore[attr-defined]
    numbered = await service.ask("neighbour", "PolicyService/GetPolicy", request, Policy)
    assert current == numbered
    assert (current.digest, current.version) == (world.policy.digest, 1)


async def test_a_destination_awaits_its_quorum(at: At) -> None:
    row = ROWS["ApprovalService/ApproveDestination"]
    service = await at(row)
    found = await service.ask(
        "approver",
        "CollateralService/GetDestination",
        rpc.GetDestinationRequest(name=row.request(service.scenario).name),  # type: ignore[attr-defined]
        Destination,
    )
    assert (found.state, found.missing_approvals) == (Destination.STATE_PENDING_APPROVAL, 2)


@pytest.mark.parametrize("word", ["neighbour", "publisher"])
async def test_a_listing_shows_what_is_in_scope_and_nothing_else(word: str, at: At) -> None:
    service = await at(ROWS["CollateralService/ListAccounts"])
    request, answer = rpc.ListAccountsRequest(), rpc.ListAccountsResponse
    listed = await service.ask(word, "CollateralService/ListAccounts", request, answer)
    expected = {"neighbour": ["accounts/acct-neighbour"], "publisher": []}[word]
    assert [account.name for account in listed.accounts] == expected
    everything = await service.ask("auditor", "CollateralService/ListAccounts", request, answer)
    assert [account.name for account in everything.accounts] == [ACCOUNT, "accounts/acct-neighbour"]
