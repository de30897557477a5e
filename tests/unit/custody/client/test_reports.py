"""Reports: one valid report, one change, one refusal; and what a report is worth."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from bailee.custody.v1 import collateral_report_pb2

from custody.client import TrustRoot, VerificationError
from custody.client.valuation import cited_prices, lending_values, verify_price
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Currency, Digest, Seconds, Value
from signers.statements.network import Network
from signers.statements.price import Price
from signers.statements.report import AssetPosition, Report, ValueStatus
from signers.statements.valuation import lending_value, market_value, price_set
from tests.factories import BTC, ETH, World, build_world
from tests.unit.custody.client.fake_service import FakeCustody, later

OTHER = build_world(seed="other")
Change = Callable[[FakeCustody], collateral_report_pb2.CollateralReport]


def test_a_report_in_a_signed_batch_verifies(trust: TrustRoot, custody: FakeCustody, world: World) -> None:
    verified = trust.verify_report(custody.report, account=world.account.account)
    assert [p.confirmed.units for p in verified.report.positions] == [2 * BTC, 10 * 10**18]
    assert verified.batch.sequence == 5


def with_position(asset: Asset, **changes: Any) -> Change:
    """One position changed, everything signed over it."""

    def change(custody: FakeCustody) -> collateral_report_pb2.CollateralReport:
        positions = tuple(custody.position(a, **(changes if a is asset else {})) for a in Asset)
        return custody.make_report(positions=positions)

    return change


def told(**changes: Any) -> Change:
    return lambda custody: custody.make_report(**changes)


def patched(**fields: Any) -> Change:
    """The proof changed, not what was signed."""

    def change(custody: FakeCustody) -> collateral_report_pb2.CollateralReport:
        report = custody.make_report()
        for name, value in fields.items():
            if name == "merkle_path":
                report.merkle_path[:] = value
            else:
                setattr(report, name, value)
        return report

    return change


def signed_by_a_signer(custody: FakeCustody) -> collateral_report_pb2.CollateralReport:
    report = custody.make_report()
    envelope = custody.world.cosign(_unsigned(report), custody.world.signers[0])
    report.batch = envelope.to_json()
    return report


def _unsigned(report: collateral_report_pb2.CollateralReport) -> Envelope:
    envelope = Envelope.from_json(report.batch)
    return Envelope(envelope.payload_type, envelope.payload)


def another_report(custody: FakeCustody) -> collateral_report_pb2.CollateralReport:
    """A real proof with a richer report beside it."""
    report = custody.make_report()
    richer = custody.make_report(account_sequence=99)
    report.report = richer.report
    return report


NOW = build_world().now
ONE = Value(str(10**8))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (signed_by_a_signer, "attestation key"),
        (another_report, "not in the signed batch"),
        (patched(leaf_index=0), "not in the signed batch"),
        (patched(tree_size=4), "not in the signed batch"),
        (patched(merkle_path=[]), "not in the signed batch"),
        (patched(merkle_path=[b"\x00" * 31]), "not a valid Digest"),
        (patched(batch=b"{}"), "statement-malformed"),
        (patched(report=b"{}"), "statement-malformed"),
        (told(network=Network.MAINNET), "on mainnet"),
        (told(policy_digest=OTHER.policy.digest), "another policy"),
        (told(at=Seconds(NOW + 1)), "younger than the batch"),
        (told(batch_changes={"previous": GENESIS}), "batch 5 follows 0000"),
        (told(batch=1, batch_changes={"previous": Digest("cd" * 32)}), "batch 1 follows cdcd"),
        (told(batch_changes={"sequence": 0}), "batch 0 follows cdcd"),
        (told(encumbrance_sequence=1), "encumbrance 1 is 0000"),
        (told(encumbrance_head=Digest("ab" * 32)), "encumbrance 0 is abab"),
        (with_position(Asset.BTC, posted=Sats(BTC), free=Sats(BTC)), "has signed none"),
        (with_position(Asset.ETH, reserved=Wei(1), free=Wei(10 * ETH - 1)), "has signed none"),
        (told(currency=Currency("HKD")), "in HKD"),
        (with_position(Asset.BTC, confirmed=Sats(3 * BTC)), "its parts are"),
        (with_position(Asset.BTC, free=Sats(3 * BTC)), "its parts are"),
        (with_position(Asset.BTC, shortfall=Sats(1)), "its parts are"),
        (with_position(Asset.BTC, price_sources=2), "valued with 2 prices"),
        (with_position(Asset.BTC, price_at=Seconds(NOW - 61)), "of 61 s before"),
        (with_position(Asset.BTC, price_at=Seconds(NOW + 6)), "of -6 s before"),
        (with_position(Asset.BTC, price=Value(str(10**20))), "follows"),
        (with_position(Asset.BTC, haircut_bps=6500), "follows"),
        (with_position(Asset.BTC, market_value=ONE), "follows"),
        (with_position(Asset.BTC, lending_value=ONE), "follows"),
        (with_position(Asset.BTC, capital_value=ONE), "follows"),
    ],
)
def test_another_report_is_refused(
    trust: TrustRoot, custody: FakeCustody, world: World, change: Change, why: str
) -> None:
    with pytest.raises(VerificationError, match=why):
        trust.verify_report(change(custody), account=world.account.account)


def test_a_report_without_an_asset_of_the_policy_is_refused(
    trust: TrustRoot, custody: FakeCustody, world: World
) -> None:
    report = custody.make_report(positions=(custody.position(Asset.BTC),))
    with pytest.raises(VerificationError, match="assets of the policy"):
        trust.verify_report(report, account=world.account.account)


def test_a_report_of_another_account_is_no_answer(trust: TrustRoot, custody: FakeCustody) -> None:
    with pytest.raises(VerificationError, match="not of acct-client-two"):
        trust.verify_report(custody.report, account="acct-client-two")


def test_a_shortfall_never_makes_confirmed_negative(
    trust: TrustRoot, custody: FakeCustody, world: World
) -> None:
    nothing = Sats(0)
    change = with_position(
        Asset.BTC,
        confirmed=nothing,
        free=nothing,
        shortfall=Sats(5),
        market_value=Value("0"),
        lending_value=Value("0"),
    )
    trust.verify_report(change(custody), account=world.account.account)


# What it is worth now.


def prices(world: World) -> list[Price]:
    return [
        verify_price(envelope, world.policy, network=world.network)
        for asset in Asset
        for envelope in world.prices(asset)
    ]


def value(
    custody: FakeCustody,
    world: World,
    *,
    at_prices: list[Price] | None = None,
    released: dict[Asset, int] | None = None,
    now: Seconds | None = None,
    **changes: Any,
) -> int:
    trust = TrustRoot(network=world.network, policy=world.policy, policy_digest=world.policy.digest)
    report = trust.verify_report(custody.make_report(**changes), account=world.account.account).report
    worth = lending_values(
        report,
        world.policy,
        prices=prices(world) if at_prices is None else at_prices,
        released=released or {},
        now=world.now if now is None else now,
    )
    return sum(each.units for each in worth.values())


BTC_LENT = 2 * 100_000 * 10**8 * 4000 // 10_000
ETH_LENT = 10 * 4_000 * 10**8 * 3500 // 10_000


def test_lending_value_is_quantity_by_price_less_haircut(custody: FakeCustody, world: World) -> None:
    assert value(custody, world) == BTC_LENT + ETH_LENT


def test_a_release_counts_as_gone(custody: FakeCustody, world: World) -> None:
    assert value(custody, world, released={Asset.BTC: BTC}) == BTC_LENT // 2 + ETH_LENT


def test_releases_beyond_the_quantity_leave_nothing_rather_than_less(
    custody: FakeCustody, world: World
) -> None:
    assert value(custody, world, released={Asset.BTC: 99 * BTC}) == ETH_LENT


def test_a_halted_account_lends_nothing(custody: FakeCustody, world: World) -> None:
    assert value(custody, world, halted=True) == 0


@pytest.mark.parametrize("status", [ValueStatus.STALE, ValueStatus.DISPUTED])
def test_what_custody_itself_calls_not_ok_lends_nothing(
    custody: FakeCustody, world: World, status: ValueStatus
) -> None:
    stale = custody.position(Asset.BTC, status=status, lending_value=Value("0"))
    assert value(custody, world, positions=(stale, custody.position(Asset.ETH))) == ETH_LENT


def test_prices_lend_as_long_as_the_policy_says_by_the_reader_s_clock(
    custody: FakeCustody, world: World
) -> None:
    # The prices are five seconds old; the policy allows sixty.
    assert value(custody, world, now=later(world, 55)) == BTC_LENT + ETH_LENT
    assert value(custody, world, now=later(world, 56)) == 0


def test_a_report_that_is_not_recent_lends_nothing(custody: FakeCustody, world: World) -> None:
    """Its quantities are from then, however fresh the publishers' prices are."""
    for age, lent in ((900, BTC_LENT + ETH_LENT), (901, 0)):
        report = Report.parse(custody.report_at(later(world, -age)).report)
        worth = lending_values(report, world.policy, prices=prices(world), released={}, now=world.now)
        assert sum(each.units for each in worth.values()) == lent


def test_a_reader_whose_clock_is_behind_does_not_lend(custody: FakeCustody, world: World) -> None:
    assert value(custody, world, now=later(world, -11)) == 0


# Prices that custody says, or chooses: its report is consistent with each of them.


def priced(custody: FakeCustody, asset: Asset, said: list[Price], **changes: Any) -> AssetPosition:
    """A position that is valued with these prices, whatever they are, and says that this is in order."""
    units = sorted(price.price.units for price in said)
    median, held = Value(str(units[len(units) // 2])), custody.position(asset).confirmed
    haircut = custody.world.policy.terms_of(asset).haircut_bps
    fields: dict[str, Any] = {
        "price": median,
        "price_set": price_set(said),
        "price_sources": len(said),
        "market_value": market_value(held, median),
        "lending_value": lending_value(held, median, haircut_bps=haircut),
    }
    return custody.position(asset, **{**fields, **changes})


def bitcoin(world: World, publishers: Sequence[int] = (0, 1, 2), /, **changes: Any) -> list[Price]:
    return [world.price(world.publishers[index], Asset.BTC, **changes) for index in publishers]


def times(price: Price, factor: int) -> Price:
    return replace(price, price=Value(str(price.price.units * factor)))


WORLD = build_world()
YEAR = 365 * 24 * 3600
SAID = {
    "a year old": [times(p, 10) for p in bitcoin(WORLD, at=Seconds(WORLD.now - YEAR))],
    "by one publisher": [
        replace(times(p, 10), sequence=i) for i, p in enumerate(bitcoin(WORLD, (0, 0, 0)), start=1)
    ],
    "by too few publishers": [times(p, 10) for p in bitcoin(WORLD, (0, 1))],
    "far apart": [times(p, factor) for p, factor in zip(bitcoin(WORLD), (1, 2, 4), strict=True)],
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_prices_that_the_policy_does_not_lend_at_lend_nothing(
    custody: FakeCustody, world: World, said: list[Price]
) -> None:
    position = priced(custody, Asset.BTC, said, price_sources=3)
    lent = value(custody, world, positions=(position, custody.position(Asset.ETH)), at_prices=said)
    assert lent == 0


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_report_that_cites_such_prices_is_refused(
    custody: FakeCustody, trust: TrustRoot, world: World, said: list[Price]
) -> None:
    position = priced(custody, Asset.BTC, said, price_sources=3)
    report = verified(custody, trust, position)
    with pytest.raises(
        VerificationError, match=r"BTC: ok at .*; from the prices it cites follows (stale|disputed) at"
    ):
        cited_prices(position, report, world.policy, prices=said)


def verified(custody: FakeCustody, trust: TrustRoot, position: AssetPosition) -> Report:
    resource = custody.make_report(positions=(position, custody.position(Asset.ETH)))
    return trust.verify_report(resource, account=custody.world.account.account).report


def test_a_price_of_custody_s_own_changes_nothing_that_is_lent(custody: FakeCustody, world: World) -> None:
    """Ten times the price, and a price set that nobody has: the reader counts with the publishers' own."""
    invented = priced(custody, Asset.BTC, [times(p, 10) for p in bitcoin(world)], price_set=Digest("ee" * 32))
    positions = (invented, custody.position(Asset.ETH))
    assert value(custody, world, positions=positions) == BTC_LENT + ETH_LENT


def test_a_price_of_custody_s_own_is_not_verified(
    custody: FakeCustody, trust: TrustRoot, world: World
) -> None:
    invented = priced(custody, Asset.BTC, [times(p, 10) for p in bitcoin(world)], price_set=Digest("ee" * 32))
    report = verified(custody, trust, invented)
    assert cited_prices(invented, report, world.policy, prices=prices(world)) == ()


# The prices behind it.


@pytest.mark.parametrize("asset", list(Asset))
def test_the_valuation_is_repeated_from_the_prices_cited(
    custody: FakeCustody, trust: TrustRoot, world: World, asset: Asset
) -> None:
    report = trust.verify_report(custody.report, account=world.account.account).report
    cited = cited_prices(custody.position(asset), report, world.policy, prices=prices(world))
    assert [price.publisher for price in cited] == ["prices-one", "prices-three", "prices-two"]


def test_prices_that_moved_on_are_not_repeated(custody: FakeCustody, trust: TrustRoot, world: World) -> None:
    newer = [replace(price, sequence=2) for price in prices(world)]
    report = trust.verify_report(custody.report, account=world.account.account).report
    assert cited_prices(custody.position(Asset.BTC), report, world.policy, prices=newer) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"price": ONE},
        {"price_at": Seconds(NOW)},
        {"price_sources": 4},
        {"status": ValueStatus.STALE, "lending_value": Value("0")},
    ],
)
def test_another_valuation_than_the_prices_cited_give_is_refused(
    custody: FakeCustody, trust: TrustRoot, world: World, changes: dict[str, Any]
) -> None:
    report = trust.verify_report(custody.report, account=world.account.account).report
    position = custody.position(Asset.BTC, **changes)
    with pytest.raises(VerificationError, match="from the prices it cites follows"):
        cited_prices(position, report, world.policy, prices=prices(world))


def test_what_the_nodes_dispute_may_have_good_prices(
    custody: FakeCustody, trust: TrustRoot, world: World
) -> None:
    disputed = custody.position(Asset.BTC, status=ValueStatus.DISPUTED, lending_value=Value("0"))
    report = verified(custody, trust, disputed)
    assert len(cited_prices(disputed, report, world.policy, prices=prices(world))) == 3


def test_a_price_of_the_publisher_verifies(world: World) -> None:
    envelope = world.prices(Asset.BTC)[0]
    assert verify_price(envelope, world.policy, network=world.network).publisher == "prices-one"


def test_a_price_by_another_publisher_s_key_is_refused(world: World) -> None:
    price = Price.parse(world.prices(Asset.BTC)[0].payload)
    with pytest.raises(VerificationError, match="prices-one has not signed"):
        verify_price(world.sign(price, world.publishers[1]), world.policy, network=world.network)


def test_a_price_in_another_currency_is_refused(world: World) -> None:
    """Genuine, and some eight times as high: a publisher may serve more policies than this one."""
    price = world.price(world.publishers[0], Asset.BTC, currency=Currency("HKD"))
    with pytest.raises(VerificationError, match="in HKD, the policy values in USD"):
        verify_price(world.sign(price, world.publishers[0]), world.policy, network=world.network)
