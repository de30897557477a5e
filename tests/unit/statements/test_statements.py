"""What each statement refuses to say: one valid, one change, refused in memory and when read."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import pytest

from signers.statements import canonical, schema
from signers.statements.allowlist import (
    BitcoinDestination,
    Destination,
    EthereumDestination,
    ownership_message,
)
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.identifiers import (
    GENESIS,
    AccountId,
    DestinationId,
    Digest,
    EthereumAddress,
    ScriptPubKey,
    Seconds,
    TxId,
    Value,
)
from signers.statements.intent import INDEX_MAX, NonceAnchor, OutpointAnchor
from signers.statements.network import Network
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from signers.statements.report import Report, ReportBatch, ValueStatus
from signers.statements.statement import Statement
from tests.factories import World, build_world
from tests.unit.statements.refusing import refused

T = TypeVar("T")

DIGEST = Digest("ab" * 32)
WORLD = build_world()
INTENT = WORLD.intent(Asset.BTC)
ETHER = WORLD.intent(Asset.ETH)
RESERVE = WORLD.encumbrance()
POST = WORLD.encumbrance(RESERVE, kind=EncumbranceKind.POST)
VOID = WORLD.encumbrance(RESERVE, kind=EncumbranceKind.VOID)
SIGNED = WORLD.receipt(WORLD.signers[0], INTENT, Act.SIGNED)
ANNOUNCED = WORLD.receipt(WORLD.signers[0], INTENT, Act.ANNOUNCED)
REFUSED = WORLD.receipt(WORLD.signers[0], INTENT, Act.REFUSED, tags=(Tag.VELOCITY,))
HEAD = WORLD.journal_head(WORLD.signers[0], WORLD.signers[1])
ENTRY = WORLD.allowlist_entry(Asset.BTC)
PRICE = WORLD.price(WORLD.publishers[0], Asset.BTC)
REPORT = WORLD.report()
(POSITION,) = REPORT.positions


def falsified(value: T, **changes: Any) -> T:
    """The value with fields changed behind its own back, as somebody else's code would write it."""
    again = object.__new__(type(value))
    for field in fields(value):  # type: ignore[arg-type]
        object.__setattr__(again, field.name, changes.get(field.name, getattr(value, field.name)))
    return again


TABLE: list[tuple[str, Statement, dict[str, Any], str]] = [
    ("an intent of nothing", INTENT, {"amount": Sats(0)}, "more than nothing"),
    ("an intent without fee", INTENT, {"fee_cap": Sats(0)}, "more than nothing"),
    ("an amount of another asset", INTENT, {"amount": Wei(1)}, "of one asset"),
    ("a fee of another asset", INTENT, {"fee_cap": Wei(1)}, "of one asset"),
    ("another asset's anchor", INTENT, {"anchor": ETHER.anchor}, "of one asset"),
    ("another asset's destination", INTENT, {"destination": ETHER.destination}, "of one asset"),
    ("an outpoint for ETH", ETHER, {"anchor": INTENT.anchor}, "of one asset"),
    ("a script for ETH", ETHER, {"destination": INTENT.destination}, "of one asset"),
    ("more than can exist", INTENT, {"amount": Sats(Sats.maximum)}, "is outside"),
    ("expired at birth", INTENT, {"expires_at": INTENT.created_at}, "not after"),
    ("expired before birth", INTENT, {"expires_at": Seconds(INTENT.created_at - 1)}, "not after"),
    ("sequence 0", RESERVE, {"sequence": 0}, "starts at 1"),
    ("first with a predecessor", RESERVE, {"previous": DIGEST}, "no predecessor"),
    ("second without one", POST, {"previous": GENESIS}, "no predecessor"),
    ("a reserve of nothing", RESERVE, {"amount": Sats(0)}, "more than nothing"),
    ("a post of nothing", POST, {"amount": Sats(0)}, "more than nothing"),
    ("a reserve for ever", RESERVE, {"expires_at": None}, "exactly a reserve"),
    ("a post that expires", POST, {"expires_at": Seconds(1)}, "exactly a reserve"),
    ("a void that expires", VOID, {"expires_at": Seconds(1)}, "exactly a reserve"),
    ("a refusal without tag", REFUSED, {"tags": ()}, "exactly a refusal"),
    ("a signature with tag", SIGNED, {"tags": (Tag.VELOCITY,)}, "exactly a refusal"),
    ("an announcement with tag", ANNOUNCED, {"tags": (Tag.VELOCITY,)}, "exactly a refusal"),
    ("a signature of nothing", SIGNED, {"transaction": None}, "exactly a signature"),
    ("an announcement with transaction", ANNOUNCED, {"transaction": DIGEST}, "exactly a signature"),
    ("a refusal with transaction", REFUSED, {"transaction": DIGEST}, "exactly a signature"),
    ("an unseen journal with a head", HEAD, {"sequence": 0}, "unseen journal"),
    ("a seen journal without", HEAD, {"head": GENESIS}, "unseen journal"),
    ("usable before it exists", ENTRY, {"usable_at": Seconds(ENTRY.created_at - 1)}, "before created_at"),
    ("a price of nothing", PRICE, {"price": Value("0")}, "more than nothing"),
    ("two positions of one asset", REPORT, {"positions": (POSITION, POSITION)}, "one entry per asset"),
]


@pytest.mark.parametrize(
    ("statement", "changes", "says"), [pytest.param(s, c, says, id=name) for name, s, c, says in TABLE]
)
def test_one_change_is_not_said_and_not_read(
    statement: Statement, changes: dict[str, Any], says: str
) -> None:
    assert type(statement).parse(statement.payload()) == statement
    with pytest.raises(ValueError, match=says):
        replace(statement, **changes)
    with refused(Tag.STATEMENT_MALFORMED):
        type(statement).parse(canonical.encode(schema.to_json(falsified(statement, **changes))))


POSITIONS: list[tuple[str, dict[str, Any], str]] = [
    *[
        (f"{name} in ether", {name: Wei(1)}, "one asset")
        for name in (
            "confirmed",
            "pending",
            "reserved",
            "posted",
            "withdrawing",
            "leaving",
            "free",
            "shortfall",
        )
    ],
    ("a price without time", {"price_at": None}, "stand together"),
    ("a time without price", {"price": None}, "stand together"),
    ("a stale value lent against", {"status": ValueStatus.STALE}, "lends nothing"),
    ("a disputed value lent against", {"status": ValueStatus.DISPUTED}, "lends nothing"),
]


@pytest.mark.parametrize(("changes", "says"), [pytest.param(c, says, id=name) for name, c, says in POSITIONS])
def test_one_change_is_no_position(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(POSITION, **changes)
    false = falsified(REPORT, positions=(falsified(POSITION, **changes),))
    with refused(Tag.STATEMENT_MALFORMED):
        Report.parse(canonical.encode(schema.to_json(false)))


def test_an_output_index_has_a_bound() -> None:
    txid = TxId("ab" * 32)
    assert OutpointAnchor(txid=txid, index=INDEX_MAX).asset is Asset.BTC
    with pytest.raises(ValueError, match="output index"):
        OutpointAnchor(txid=txid, index=INDEX_MAX + 1)


def test_networks_name_their_chains() -> None:
    assert [(n.value, n.chain_id, n.bech32_prefix, n.bitcoin_genesis[:16]) for n in Network] == [
        ("mainnet", 1, "bc", "000000000019d668"),
        ("testnet", 11_155_111, "tb", "00000000da84f2ba"),
        ("regtest", 31_337, "bcrt", "0f9188f13cb7b2c7"),
    ]
    assert {anchor.chain_id for anchor in (ETHER.anchor,) if isinstance(anchor, NonceAnchor)} == {31_337}


def test_every_part_of_an_ownership_message_counts() -> None:
    script: Destination = BitcoinDestination(script_pubkey=ScriptPubKey("ab" * 20))
    address: Destination = EthereumDestination(address=EthereumAddress("ab" * 20))
    base: dict[str, Any] = {
        "network": Network.REGTEST,
        "account": AccountId("acct-one"),
        "destination_id": DestinationId("wallet-one"),
        "destination": script,
    }
    changes: list[dict[str, Any]] = [
        {},
        {"network": Network.MAINNET},
        {"account": AccountId("acct-two")},
        {"destination_id": DestinationId("wallet-two")},
        {"destination": address},
        {"destination": BitcoinDestination(script_pubkey=ScriptPubKey("ab" * 21))},
    ]
    messages = {ownership_message(**{**base, **change}) for change in changes}
    assert len(messages) == len(changes)
    assert "bailee allowlist regtest acct-one wallet-one bitcoin " + "ab" * 20 in messages


def test_a_batch_is_over_the_reports_bytes(world: World) -> None:
    reports = [world.report(account=AccountId(f"acct-{index}")) for index in range(3)]
    batch = ReportBatch.read(world.report_batch(*reports), network=world.network)
    assert batch.size == 3
    assert batch.root != ReportBatch.read(world.report_batch(*reports[:2]), network=world.network).root


def test_the_chain_of_encumbrances_links(world: World) -> None:
    chain = [RESERVE.read(envelope, network=world.network) for envelope in world.encumbrances()]
    assert [link.sequence for link in chain] == [1, 2, 3, 4]
    assert [link.previous for link in chain] == [GENESIS, *(link.digest for link in chain[:-1])]
    assert all(envelope.signed_by(world.secured_party.public_key) for envelope in world.encumbrances())
