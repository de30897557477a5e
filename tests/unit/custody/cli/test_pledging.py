"""Journey 2 by commands: prices, deposits, reports and the stream."""

from json import loads as parse

from custody.client import EventKind
from signers.statements.amounts import Asset
from signers.statements.identifiers import Digest, Seconds
from tests.factories import BTC, World
from tests.unit.custody.cli.conftest import ACCOUNT, Play
from tests.unit.custody.client.fake_service import FakeCustody
from tests.unit.custody.client.test_reader import HEARTBEAT, snapshot


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
