"""The trust root: one valid thing, one change, one refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bailee.custody.v1 import amount_pb2, destination_pb2, lien_pb2

from custody.client import Agreement, TrustRoot, VerificationError
from signers.statements import multisig
from signers.statements.account import Account, Enforcement
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset, Sats
from signers.statements.envelope import Envelope, Signature
from signers.statements.identifiers import Digest, EthereumAddress, SignerId
from signers.statements.intent import NonceAnchor
from signers.statements.network import Network
from signers.statements.receipt import Act
from tests.factories import DAY, Person, World, build_world, ethereum_address
from tests.unit.custody.client.fake_service import FakeCustody, chain_address, later

OTHER = build_world(seed="other")


def load(world: World, **changes: Any) -> TrustRoot:
    told: dict[str, Any] = {
        "envelope": world.policy_envelope.to_json(),
        "network": world.network,
        "policy_digest": world.policy.digest,
    }
    return TrustRoot.load(**{**told, **changes})


def test_the_pinned_policy_is_loaded(world: World) -> None:
    assert load(world).policy == world.policy


def tampered(envelope: Envelope) -> Envelope:
    """The first signature, one bit off."""
    first, *rest = envelope.signatures
    wrong = Signature(first.keyid, bytes([first.sig[0] ^ 1]) + first.sig[1:])
    return Envelope(envelope.payload_type, envelope.payload, (wrong, *rest))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda w: {"policy_digest": Digest("00" * 32)}, "is pinned"),
        (lambda w: {"envelope": OTHER.policy_envelope.to_json()}, "is pinned"),
        (lambda w: {"network": Network.MAINNET}, "statement-network"),
        (lambda w: {"envelope": b"{}"}, "statement-malformed"),
        (lambda w: {"envelope": w.sign(w.policy, w.admins[0]).to_json()}, "policy-quorum"),
        (lambda w: {"envelope": w.sign(w.policy, w.admins[0], w.stranger).to_json()}, "approval-key-unknown"),
        (lambda w: {"envelope": tampered(w.policy_envelope).to_json()}, "approval-wrong-intent"),
        (lambda w: {"envelope": w.account_envelope.to_json()}, "statement-type"),
    ],
)
def test_another_policy_is_refused(world: World, change: Callable[[World], dict[str, Any]], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        load(world, **change(world))


def test_a_complete_account_verifies(trust: TrustRoot, custody: FakeCustody, world: World) -> None:
    assert trust.verify_account(custody.account, account=world.account.account) == world.account


def drop(envelope: Envelope, index: int) -> bytes:
    kept = tuple(s for i, s in enumerate(envelope.signatures) if i != index)
    return Envelope(envelope.payload_type, envelope.payload, kept).to_json()


def reworded(world: World, **changes: Any) -> bytes:
    """Another account statement with every signature in place."""
    account = replace(world.account, **changes)
    parties = world.sign(account, world.pledgor, world.secured_party, world.custodian)
    return world.cosign(parties, *world.signers).to_json()


def other_policy(world: World, custody: FakeCustody) -> None:
    custody.account.envelope = reworded(world, policy_digest=OTHER.policy.digest)


def foreign_signer(world: World, custody: FakeCustody) -> None:
    """Custody's friend in place of the third signer: with a key and a proof of its own."""
    stranger = replace(OTHER.signers[2], signer=SignerId("signer-9"))
    key, proof = world.possession(stranger.bitcoin_key, signer=stranger.signer, asset=Asset.BTC)
    cosigners = list(world.account.bitcoin.cosigners)
    cosigners[2] = replace(cosigners[2], signer=stranger.signer, public_key=key, proof=proof)
    script = multisig.script_pubkey([c.public_key for c in cosigners])
    terms = replace(world.account.bitcoin, cosigners=tuple(cosigners), script_pubkey=script)
    custody.account.envelope = reworded(world, bitcoin=terms)
    custody.account.bitcoin_address.bitcoin_script_pubkey = script.raw


def wrong_ethereum_address(world: World, custody: FakeCustody) -> None:
    address = ethereum_address(world.destination_keys[Asset.ETH].public_key)
    custody.account.envelope = reworded(world, ethereum=replace(world.account.ethereum, address=address))
    custody.account.ethereum_address.ethereum_address = address.raw


def shown_bitcoin(world: World, custody: FakeCustody) -> None:
    custody.account.bitcoin_address.bitcoin_script_pubkey = b"\x00\x14" + b"\x07" * 20


def shown_ethereum(world: World, custody: FakeCustody) -> None:
    custody.account.ethereum_address.ethereum_address = b"\x07" * 20


def nothing_shown(world: World, custody: FakeCustody) -> None:
    custody.account.ClearField("bitcoin_address")


def missing(index: int) -> Callable[[World, FakeCustody], None]:
    def change(world: World, custody: FakeCustody) -> None:
        custody.account.envelope = drop(world.account_envelope, index)

    return change


def no_envelope(world: World, custody: FakeCustody) -> None:
    custody.account.envelope = b""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        *((missing(i), "lacks signatures of") for i in range(6)),
        (other_policy, "another policy"),
        (foreign_signer, "not one of each signer"),
        (wrong_ethereum_address, "not that of its key"),
        (shown_bitcoin, "addresses shown"),
        (shown_ethereum, "addresses shown"),
        (nothing_shown, "addresses shown"),
        (no_envelope, "statement-malformed"),
    ],
)
def test_another_account_is_refused(
    trust: TrustRoot,
    custody: FakeCustody,
    world: World,
    change: Callable[[World, FakeCustody], None],
    why: str,
) -> None:
    change(world, custody)
    with pytest.raises(VerificationError, match=why):
        trust.verify_account(custody.account, account=world.account.account)


def test_a_complete_statement_of_another_account_is_no_answer(trust: TrustRoot, custody: FakeCustody) -> None:
    with pytest.raises(VerificationError, match="is of acct-client-one, not of acct-client-two"):
        trust.verify_account(custody.account, account="acct-client-two")


def test_the_agreed_statement_is_the_agreed_one(agreement: Agreement, world: World) -> None:
    agreement.require(world.account)


@pytest.mark.parametrize("role", ["pledgor", "secured_party", "custodian"])
def test_a_key_of_custody_beside_a_party_s_name_is_refused(
    agreement: Agreement, world: World, role: str
) -> None:
    party = replace(getattr(world.account, role), public_key=world.stranger.public_key)
    statement: Account = replace(world.account, **{role: party})
    with pytest.raises(VerificationError, match=f"statement's {role} is"):
        agreement.require(statement)


def test_another_enforcement_address_is_refused(agreement: Agreement, world: World) -> None:
    elsewhere = Enforcement(bitcoin=world.account.enforcement.bitcoin, ethereum=EthereumAddress("99" * 20))
    with pytest.raises(VerificationError, match="statement's enforcement is"):
        agreement.require(replace(world.account, enforcement=elsewhere))


@pytest.mark.parametrize("asset", list(Asset))
def test_an_intent_of_the_account_is_read(trust: TrustRoot, world: World, asset: Asset) -> None:
    intent = world.intent(asset)
    assert trust.read_intent(intent.payload(), account=intent.account) == intent
    trust.require_signable(intent, now=world.now)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"account": "acct-client-two"}, "an intent of acct-client-two"),
        ({"policy_digest": OTHER.policy.digest}, "another policy"),
        ({"network": Network.MAINNET}, "statement-network"),
        ({"anchor": NonceAnchor(chain_id=1, nonce=0)}, "for chain 1"),
    ],
)
def test_an_intent_of_something_else_is_refused(
    trust: TrustRoot, world: World, changes: dict[str, Any], why: str
) -> None:
    intent = world.intent(Asset.ETH, **changes)
    with pytest.raises(VerificationError, match=why):
        trust.read_intent(intent.payload(), account=world.account.account)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"created_at": -2 * DAY, "expires_at": -DAY}, "expired"),
        ({"expires_at": 7 * DAY + 1}, "longer than the policy"),
        ({"created_at": 121}, "longer than the policy"),
        ({"amount": Sats(10 * 10**8 + 1)}, "policy-tier"),
        ({"fee_cap": Sats(100_001)}, "above the policy's"),
    ],
)
def test_an_intent_beyond_the_policy_is_not_signable(
    trust: TrustRoot, world: World, changes: dict[str, Any], why: str
) -> None:
    moved = {name: later(world, value) if name.endswith("_at") else value for name, value in changes.items()}
    with pytest.raises(VerificationError, match=why):
        trust.require_signable(world.intent(Asset.BTC, **moved), now=world.now)


def test_a_signer_s_receipt_verifies(trust: TrustRoot, world: World) -> None:
    intent = world.intent(Asset.BTC)
    receipt = world.receipt(world.signers[0], intent, Act.ANNOUNCED)
    envelope = world.cosign(receipt, world.signers[0])
    assert trust.verify_receipt(envelope.to_json(), intent) == receipt


@pytest.mark.parametrize(
    ("envelope", "why"),
    [
        (
            lambda w, i: w.cosign(w.receipt(w.signers[0], i, Act.ANNOUNCED), w.signers[1]),
            "signer-1 has not signed",
        ),
        (
            lambda w, i: w.cosign(
                w.receipt(w.signers[0], i, Act.ANNOUNCED, signer=SignerId("signer-9")), w.signers[0]
            ),
            "signer-9 is not a signer",
        ),
        (
            lambda w, i: w.cosign(w.receipt(w.signers[0], w.intent(Asset.ETH), Act.ANNOUNCED), w.signers[0]),
            "a receipt of intent",
        ),
        (lambda w, i: w.sign(i, w.pledgor), "statement-type"),
    ],
)
def test_another_receipt_is_refused(
    trust: TrustRoot, world: World, envelope: Callable[[World, Any], Envelope], why: str
) -> None:
    intent = world.intent(Asset.BTC)
    with pytest.raises(VerificationError, match=why):
        trust.verify_receipt(envelope(world, intent).to_json(), intent)


def destination(world: World, entry: AllowlistEntry, *, by: Person) -> destination_pb2.Destination:
    """As an honest service shows it."""
    return destination_pb2.Destination(
        asset=amount_pb2.ASSET_BTC,
        address=chain_address(entry.destination),
        envelope=world.sign(entry, by).to_json(),
        statement_digest=entry.digest,
    )


def test_an_allowlist_entry_is_the_pledgor_s(trust: TrustRoot, world: World) -> None:
    entry = world.allowlist_entry(Asset.BTC)
    resource = destination(world, entry, by=world.pledgor)
    read, _ = trust.verify_destination(resource, world.account, destination_id=entry.destination_id)
    assert read == entry


@pytest.mark.parametrize(
    ("changes", "signer", "why"),
    [
        ({}, "stranger", "pledgor has not signed"),
        ({}, "secured_party", "pledgor has not signed"),
        ({"account": "acct-client-two"}, "pledgor", "of acct-client-two"),
        ({"destination_id": "client-wallet-eth"}, "pledgor", "an entry client-wallet-eth"),
        ({"network": Network.MAINNET}, "pledgor", "statement-network"),
    ],
)
def test_another_entry_is_refused(
    trust: TrustRoot, world: World, changes: dict[str, Any], signer: str, why: str
) -> None:
    entry = world.allowlist_entry(Asset.BTC, **changes)
    resource = destination(world, entry, by=getattr(world, signer))
    with pytest.raises(VerificationError, match=why):
        trust.verify_destination(resource, world.account, destination_id="client-wallet-btc")


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("statement_digest", "ab" * 32, "another digest"),
        ("asset", amount_pb2.ASSET_ETH, "another asset"),
        (
            "address",
            amount_pb2.ChainAddress(bitcoin_script_pubkey=b"\x00\x14" + b"\xee" * 20),
            "another address",
        ),
    ],
)
def test_a_destination_that_says_something_else_than_its_entry_is_refused(
    trust: TrustRoot, world: World, field: str, value: Any, why: str
) -> None:
    entry = world.allowlist_entry(Asset.BTC)
    resource = destination(world, entry, by=world.pledgor)
    resource.MergeFrom(destination_pb2.Destination(**{field: value}))
    with pytest.raises(VerificationError, match=f"{why} is shown beside entry"):
        trust.verify_destination(resource, world.account, destination_id=entry.destination_id)


# Liens.


def lien(world: World, *, by: Person, **changes: Any) -> lien_pb2.Lien:
    """As an honest service shows it."""
    encumbrance = world.encumbrance(**changes)
    return lien_pb2.Lien(
        name=f"accounts/{encumbrance.account}/liens/{encumbrance.lien}",
        amount=amount_pb2.Amount(asset=amount_pb2.ASSET_BTC, units=str(encumbrance.amount.units)),
        state=lien_pb2.Lien.STATE_RESERVED,
        envelope=world.sign(encumbrance, by).to_json(),
        statement_digest=encumbrance.digest,
        encumbrance_sequence=encumbrance.sequence,
    )


@pytest.mark.parametrize("state", [lien_pb2.Lien.STATE_RESERVED, lien_pb2.Lien.STATE_EXPIRED])
def test_a_lien_is_the_secured_party_s(trust: TrustRoot, world: World, state: lien_pb2.Lien.State) -> None:
    resource = lien(world, by=world.secured_party)
    resource.state = state
    assert trust.verify_lien(resource, world.account) == world.encumbrance()


@pytest.mark.parametrize(
    ("changes", "signer", "why"),
    [
        ({}, "pledgor", "secured party has not signed"),
        ({"account": "acct-client-two"}, "secured_party", "of acct-client-two"),
        ({"network": Network.MAINNET}, "secured_party", "statement-network"),
    ],
)
def test_another_s_lien_is_refused(
    trust: TrustRoot, world: World, changes: dict[str, Any], signer: str, why: str
) -> None:
    with pytest.raises(VerificationError, match=why):
        trust.verify_lien(lien(world, by=getattr(world, signer), **changes), world.account)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("name", "accounts/acct-client-one/liens/lien-2", "name"),
        ("statement_digest", "ab" * 32, "digest"),
        ("encumbrance_sequence", 2, "sequence"),
        ("amount", amount_pb2.Amount(units="1"), "amount"),
        ("state", lien_pb2.Lien.STATE_VOIDED, "state"),
    ],
)
def test_a_lien_that_says_something_else_than_its_encumbrance_is_refused(
    trust: TrustRoot, world: World, field: str, value: Any, why: str
) -> None:
    resource = lien(world, by=world.secured_party)
    resource.MergeFrom(lien_pb2.Lien(**{field: value}))
    with pytest.raises(VerificationError, match=f"^another {why} is shown beside encumbrance"):
        trust.verify_lien(resource, world.account)


# Withdrawals.


@pytest.mark.parametrize("asset", list(Asset))
def test_a_withdrawal_says_what_its_intent_says(
    trust: TrustRoot, custody: FakeCustody, world: World, asset: Asset
) -> None:
    intent = world.intent(asset)
    assert trust.verify_withdrawal(custody.withdrawal(intent), account=intent.account) == intent


def test_a_withdrawal_without_an_intent_is_custody_s_word(
    trust: TrustRoot, custody: FakeCustody, world: World
) -> None:
    resource = custody.withdrawal(world.intent(Asset.BTC))
    resource.intent = b""
    assert trust.verify_withdrawal(resource, account=world.account.account) is None


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("intent_digest", "ab" * 32, "intent digest"),
        ("amount", amount_pb2.Amount(units="1"), "amount"),
        ("amount", amount_pb2.Amount(asset=amount_pb2.ASSET_ETH), "amount"),
        ("fee_cap", amount_pb2.Amount(units="1"), "fee cap"),
        ("destination", "accounts/acct-client-one/destinations/client-wallet-eth", "destination"),
        ("destination_address", amount_pb2.ChainAddress(ethereum_address=b"\xee" * 20), "address"),
        ("maker_entity", "custodian-one", "maker"),
        ("anchor", f"{'ab' * 32}:0", "anchor"),
    ],
)
def test_a_withdrawal_that_says_something_else_than_its_intent_is_refused(
    trust: TrustRoot, custody: FakeCustody, world: World, field: str, value: Any, why: str
) -> None:
    resource = custody.withdrawal(world.intent(Asset.BTC))
    resource.MergeFrom(type(resource)(**{field: value}))
    with pytest.raises(VerificationError, match=f"^another {why} is shown beside intent"):
        trust.verify_withdrawal(resource, account=world.account.account)
